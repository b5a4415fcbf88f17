"""A worker: it reads chunks, keeps them, and computes sums over them. It is the same one behind every executor."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed.chunks import unpack
from longlag.distributed.messages import Answer, ChunkTask, Handle, Memory, WorkerInfo
from longlag.distributed.sums import Sums, tree_sum
from longlag.errors import InputError, LonglagError
from longlag.nn.curvature import Curvature
from longlag.nn.seeding import seed_generators
from longlag.ops.select import native_status
from longlag.optim.function import BoundObjective, curvature_of

__all__ = ["Worker", "one_thread", "worker_info"]

K = TypeVar("K")
V = TypeVar("V")

# How many a worker keeps. Most training has two objectives; a curvature holds a forward pass.
OBJECTIVES, CURVATURES = 4, 8


class Worker:
    """Answers tasks, one after the other, on one thread.

    Parameters
    ----------
    memory : Memory
        What the driver has shared.
    keep : int
        Bytes of samples kept after they were read; beyond, the chunks used longest ago are dropped.
    """

    def __init__(self, memory: Memory, *, keep: int) -> None:
        self.memory, self.keep = memory, keep
        self._objectives: OrderedDict[int, Any] = OrderedDict()
        self._samples: OrderedDict[tuple[int, int], SequenceBatch] = OrderedDict()
        self._curvatures: OrderedDict[tuple[int, int, int, int, float], Curvature] = OrderedDict()
        self._bytes = 0

    def answer(self, task: ChunkTask) -> Answer:
        """Return the sums over the task's chunks, added in the order of the tree, or a sentence about what failed."""
        began = time.perf_counter()
        try:
            with one_thread():
                sums = tree_sum(task.start, task.stop, lambda start, stop: self._chunk_sums(task, start, stop))
        except Exception as error:  # whatever it is, the driver reports it where somebody can read it
            return Answer(
                task.number,
                problem=f"{error}" if isinstance(error, LonglagError) else f"{type(error).__name__}: {error}",
                user_error=isinstance(error, InputError),
            )
        return Answer(task.number, sums, time.perf_counter() - began)

    def _chunk_sums(self, task: ChunkTask, start: int, stop: int) -> Sums | None:
        """Return the sums over one chunk; None for a longer run, which is added up of its chunks."""
        if stop - start > 1:
            return None
        try:
            samples = self._chunk(task, start)
        except LonglagError as error:
            raise type(error)(f"chunk {start}: {error}") from error
        with _seeded(task.request.seed, start, samples.inputs.device):
            return self._sums(task, start, samples)

    def _sums(self, task: ChunkTask, chunk: int, samples: SequenceBatch) -> Sums:
        request = task.request
        objective, count = self._objective(request.objective), len(samples)
        scale = count if objective.averages else 1  # makes a sum of a mean
        function = BoundObjective(objective, samples)
        theta = self.memory.read(request.theta)[0].clone()
        if request.kind == "value":
            return Sums(count, function.value(theta) * scale)
        if request.kind == "gradient":
            value, gradient = function.value_and_gradient(theta)
            return Sums(count, value * scale, gradient * scale)
        if request.kind == "linearise":
            value, gradient, stored = function.linearise(theta)
            return Sums(count, value * scale, gradient * scale, None if stored is None else stored.dense() * scale)
        curvature = self._curvature(task, chunk, function, theta)
        if request.kind == "product":
            assert request.v is not None
            return Sums(count, vector=(curvature @ self.memory.read(request.v)[0].clone()) * scale)
        wanted = request.kind == "dense_matrix" or curvature.is_stored
        return Sums(count, matrix=curvature.dense() * scale if wanted else None)

    # -- what a worker keeps ---------------------------------------------------------------------------------------

    def _objective(self, handle: Handle) -> Any:
        return _cached(self._objectives, handle.number, lambda: unpack(self.memory.read(handle)[0]), OBJECTIVES)

    def _curvature(
        self, task: ChunkTask, chunk: int, function: BoundObjective[SequenceBatch], theta: Tensor
    ) -> Curvature:
        """Return the curvature on a chunk. Products at one theta share what the first of them computed."""
        request = task.request
        key = (request.objective.number, request.theta.number, task.dataset.number, chunk, request.structural)
        return _cached(self._curvatures, key, lambda: curvature_of(function, theta, request.structural), CURVATURES)

    def _chunk(self, task: ChunkTask, chunk: int) -> SequenceBatch:
        key = (task.dataset.number, chunk)
        if key in self._samples:
            self._samples.move_to_end(key)
            return self._samples[key]
        samples = task.chunks[chunk - task.start].read(self.memory)
        self._samples[key] = samples
        self._bytes += _size(samples)
        while self._bytes > self.keep and len(self._samples) > 1:
            self._bytes -= _size(self._samples.popitem(last=False)[1])
        return samples

    def forget(self, numbers: set[int]) -> None:
        """Drop what belongs to handles that the driver has released."""
        for key in [key for key in self._samples if key[0] in numbers]:
            self._bytes -= _size(self._samples.pop(key))
        for number in numbers & self._objectives.keys():
            del self._objectives[number]
        for keys in [keys for keys in self._curvatures if numbers & set(keys[:3])]:
            del self._curvatures[keys]


def _cached(store: OrderedDict[K, V], key: K, make: Callable[[], V], most: int) -> V:
    """Return the entry, made if it is missing; of more than ``most`` entries the one used longest ago is dropped."""
    if key not in store:
        store[key] = make()
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)
    return store[key]


def _size(samples: SequenceBatch) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in samples.tensors)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread in the block: several would add up in another order."""
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


@contextlib.contextmanager
def _seeded(seed: int | None, chunk: int, device: torch.device) -> Iterator[None]:
    """Let random numbers follow from seed and chunk, if there is a seed: whoever computes drops the same units."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        seed_generators((seed + chunk) % 2**63, device)
        yield


def worker_info() -> WorkerInfo:
    """Return what a worker in this process says of itself when it joins."""
    try:
        own = importlib.metadata.version("longlag")
    except importlib.metadata.PackageNotFoundError:
        own = "not installed"
    versions = (("longlag", own), ("torch", str(torch.__version__)), ("python", platform.python_version()))
    return WorkerInfo(os.getpid(), socket.gethostname(), versions, native_status())
