"""Samples cut into chunks, and which worker has read which of them."""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass, field

from longlag.data.sequences import SequenceBatch
from longlag.distributed.chunks import FromFiles, SharedChunk, cut
from longlag.distributed.messages import ChunkSource, Handle, Store
from longlag.errors import InputError

__all__ = ["Dataset", "Datasets", "check_samples"]

RECENT = 3  # chunks over which a worker's pace is measured


@dataclass(eq=False)
class Dataset:
    """The chunks of some samples, shared with the workers.

    samples : what was cut; version : how often its tensors had been changed then; count : the number of samples;
    name : the workers' name for the data set; chunks : the sources; shared : what to release in the end; locality : for
    each chunk the worker that has read it; seconds_per_chunk : by worker and kind of request.
    """

    samples: weakref.ref[SequenceBatch | FromFiles]
    version: tuple[int, ...]
    count: int
    name: Handle
    chunks: list[ChunkSource]
    shared: list[Handle]
    locality: list[str | None]
    seconds_per_chunk: dict[tuple[str, str], float] = field(default_factory=dict)
    _recent: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def record_seconds(self, worker: str, kind: str, seconds: float) -> None:
        """Record what a chunk took. The least of the last three counts: whatever delayed the others need not recur."""
        recent = self._recent.setdefault((worker, kind), deque(maxlen=RECENT))
        recent.append(seconds)
        self.seconds_per_chunk[worker, kind] = min(recent)


class Datasets:
    """The data sets that an executor's workers have now. One is released when nobody holds its samples any more.

    Parameters
    ----------
    store : Store
        Where chunks in memory are shared. It is the executor, and referred to weakly: the executor holds this.
    """

    def __init__(self, store: Store) -> None:
        self._store: Store = weakref.proxy(store)
        self._datasets: dict[tuple[int, int], Dataset] = {}

    def find(self, samples: SequenceBatch | FromFiles, size: int) -> Dataset:
        """Return the samples in chunks of ``size``: cut when they are new, and again when a tensor has changed."""
        self._release_forgotten()
        key, version = (id(samples), size), _version(samples)
        dataset = self._datasets.get(key)
        if dataset is not None and dataset.version != version:
            self._store.release(self._datasets.pop(key).shared)
            dataset = None
        if dataset is None:
            dataset = self._datasets[key] = self._cut(samples, size, version)
        return dataset

    def _cut(self, samples: SequenceBatch | FromFiles, size: int, version: tuple[int, ...]) -> Dataset:
        shared: list[Handle] = []
        chunks: list[ChunkSource]
        if isinstance(samples, SequenceBatch):
            shared = self._store.share(cut(samples, min(size, len(samples))))
            chunks = [SharedChunk(handle) for handle in shared]
        else:
            chunks = samples.chunks(min(size, len(samples)))
        name = Handle(self._store.next_number(), None)
        locality: list[str | None] = [None] * len(chunks)
        return Dataset(weakref.ref(samples), version, len(samples), name, chunks, [*shared, name], locality)

    def _release_forgotten(self) -> None:
        for key in [key for key, dataset in self._datasets.items() if dataset.samples() is None]:
            self._store.release(self._datasets.pop(key).shared)


def check_samples(samples: object) -> None:
    """Raise InputError unless there are samples, and they are in CPU memory or in files."""
    if not isinstance(samples, SequenceBatch | FromFiles):
        raise InputError(
            f"the samples are a {type(samples).__name__}; expected a SequenceBatch, or sequences in files such as "
            "ParquetSequences"
        )
    if not len(samples):
        raise InputError("there are no samples; expected at least one")
    if isinstance(samples, SequenceBatch) and samples.inputs.device.type != "cpu":
        raise InputError(f"the samples are on {samples.inputs.device}; expected them on the CPU")


def _version(samples: object) -> tuple[int, ...]:
    """Return how often each tensor of the samples has been changed in place."""
    if not isinstance(samples, SequenceBatch):
        return ()
    return tuple(tensor._version for tensor in samples.tensors)
