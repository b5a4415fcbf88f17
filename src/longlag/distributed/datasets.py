"""Samples cut into chunks, and who has which of them at hand."""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longlag.data.sequences import SequenceBatch
from longlag.distributed.parts import FromFiles, Shared, pieces
from longlag.distributed.question import Handle, Part
from longlag.errors import InputError

if TYPE_CHECKING:
    from longlag.distributed.executor import Executor

__all__ = ["Dataset", "Datasets"]


@dataclass(eq=False)
class Dataset:
    """The chunks of some samples, shared with the workers.

    name : the workers'; count : samples; parts : the chunks' sources; homes : who has read each; pace : seconds that a
    worker takes for a chunk when asked this kind of question.
    """

    samples: weakref.ref[SequenceBatch | FromFiles]
    version: tuple[int, ...]
    count: int
    name: Handle
    parts: list[Part]
    shared: list[Handle]
    homes: list[str | None]
    pace: dict[tuple[str, str], float] = field(default_factory=dict)
    _seen: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    def note(self, worker: str, kind: str, seconds: float) -> None:
        """A chunk has taken so long. The least of the last three counts: what else took time need not come again."""
        seen = self._seen.setdefault((worker, kind), deque(maxlen=3))
        seen.append(seconds)
        self.pace[worker, kind] = min(seen)


class Datasets:
    """The data sets that an executor's workers have now. One is released when nobody holds its samples any more."""

    def __init__(self, executor: Executor) -> None:
        self._executor = weakref.proxy(executor)
        self._known: dict[tuple[int, int], Dataset] = {}

    def find(self, samples: SequenceBatch | FromFiles, size: int) -> Dataset:
        """These samples in chunks of ``size``; cut and shared the first time, and again where a tensor has changed.

        Raises
        ------
        InputError
            If they are neither in memory nor in files, or there are none.
        """
        self._release_forgotten()
        key, version = (id(samples), size), _version(samples)
        known = self._known.get(key)
        if known is not None and known.version != version:
            self._executor.release(self._known.pop(key).shared)
            known = None
        if known is None:
            known = self._known[key] = self._cut(samples, size, version)
        return known

    def _cut(self, samples: SequenceBatch | FromFiles, size: int, version: tuple[int, ...]) -> Dataset:
        shared: list[Handle] = []
        parts: list[Part]
        if isinstance(samples, SequenceBatch | FromFiles) and not len(samples):
            raise InputError("there are no samples; expected at least one")
        if isinstance(samples, SequenceBatch):
            shared = self._executor.share(pieces(samples, size))
            parts = [Shared(handle) for handle in shared]
        elif isinstance(samples, FromFiles):
            parts = samples.parts(size)
        else:
            raise InputError(
                f"the samples are a {type(samples).__name__}; expected a SequenceBatch, or sequences in files such as "
                "ParquetSequences"
            )
        name, homes = Handle(self._executor.numbered(), None), [None] * len(parts)
        return Dataset(weakref.ref(samples), version, len(samples), name, parts, [*shared, name], [*homes])

    def _release_forgotten(self) -> None:
        for key in [key for key, dataset in self._known.items() if dataset.samples() is None]:
            self._executor.release(self._known.pop(key).shared)


def _version(samples: object) -> tuple[int, ...]:
    """Counts of the changes made to its tensors in place."""
    if not isinstance(samples, SequenceBatch):
        return ()
    return tuple(tensor._version for tensor in (samples.inputs, samples.lengths, samples.targets, samples.target_mask))
