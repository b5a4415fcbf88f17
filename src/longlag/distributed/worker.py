"""A worker: it reads chunks, keeps them, and answers questions about them. The same one behind every executor."""

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
from longlag.distributed.parts import unpack
from longlag.distributed.question import Answer, Greeting, Handle, Memory, Task
from longlag.distributed.sums import Sums, added
from longlag.errors import InputError, LonglagError
from longlag.nn.curvature import Curvature
from longlag.ops.select import native_status
from longlag.optim.function import Bound, curvature_of

__all__ = ["Worker", "greeting", "one_thread"]

K = TypeVar("K")
V = TypeVar("V")

OBJECTIVES, CURVATURES = 4, 8  # kept: most training has two of the one; the others hold a forward pass each


class Worker:
    """Answers tasks, one after the other, on one thread.

    Parameters
    ----------
    memory : Memory
        What the driver has shared.
    keep : int
        Bytes of samples kept after they were read; beyond, the chunks used longest ago are dropped.
    speed : float
        Below 1 it answers as late as a processor of so many times this one's speed: for measurements.
    """

    def __init__(self, memory: Memory, *, keep: int, speed: float = 1.0) -> None:
        self.memory, self.keep, self.speed = memory, keep, speed
        self._objectives: OrderedDict[int, Any] = OrderedDict()
        self._samples: OrderedDict[tuple[int, int], SequenceBatch] = OrderedDict()
        self._curvatures: OrderedDict[tuple[int, int, int, int, float], Curvature] = OrderedDict()
        self._bytes = 0

    def answer(self, task: Task) -> Answer:
        """The sums over the task's chunks, added in the order of the tree. What goes wrong comes back as a sentence."""
        began, busy = time.perf_counter(), time.thread_time()
        try:
            with one_thread():
                sums = added(task.start, task.stop, lambda start, stop: self._leaf(task, start, stop))
        except Exception as error:  # whatever it is, the driver says it where somebody can read it
            return Answer(
                task.number,
                problem=f"{error}" if isinstance(error, LonglagError) else f"{type(error).__name__}: {error}",
                mistaken=isinstance(error, InputError),
            )
        if self.speed < 1.0:
            time.sleep(max(0.0, (time.thread_time() - busy) / self.speed - (time.perf_counter() - began)))
        return Answer(task.number, sums, time.perf_counter() - began)

    def _leaf(self, task: Task, start: int, stop: int) -> Sums | None:
        if stop - start > 1:
            return None
        try:
            samples = self._chunk(task, start)
        except LonglagError as error:
            raise type(error)(f"chunk {start}: {error}") from error
        with _dropping(task.seed, start):
            return self._sums(task, start, samples)

    def _sums(self, task: Task, chunk: int, samples: SequenceBatch) -> Sums:
        objective, count = self._objective(task.objective), len(samples)
        scale = count if objective.averages else 1  # of a mean makes a sum
        function = Bound(objective, samples)
        theta = self.memory.read(task.theta)[0].clone()
        if task.kind == "value":
            return Sums(count, function.value(theta) * scale)
        if task.kind == "gradient":
            value, gradient = function.value_and_gradient(theta)
            return Sums(count, value * scale, gradient * scale)
        if task.kind == "linearise":
            value, gradient, stored = function.linearise(theta)
            return Sums(count, value * scale, gradient * scale, None if stored is None else stored.dense() * scale)
        curvature = self._curvature(task, chunk, function, theta)
        if task.kind == "product":
            assert task.v is not None
            return Sums(count, vector=curvature @ self.memory.read(task.v)[0].clone() * scale)
        wanted = task.kind == "any matrix" or curvature.is_stored
        return Sums(count, matrix=curvature.dense() * scale if wanted else None)

    # -- what is kept ----------------------------------------------------------------------------------------------

    def _objective(self, handle: Handle) -> Any:
        return _kept(self._objectives, handle.number, lambda: unpack(self.memory.read(handle)[0]), OBJECTIVES)

    def _curvature(self, task: Task, chunk: int, function: Bound[SequenceBatch], theta: Tensor) -> Curvature:
        """Products at one theta share what the first of them computed."""
        key = (task.objective.number, task.theta.number, task.dataset.number, chunk, task.structural)
        return _kept(self._curvatures, key, lambda: curvature_of(function, theta, task.structural), CURVATURES)

    def _chunk(self, task: Task, chunk: int) -> SequenceBatch:
        key = (task.dataset.number, chunk)
        if key in self._samples:
            self._samples.move_to_end(key)
            return self._samples[key]
        samples = task.parts[chunk - task.start].read(self.memory)
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


def _kept(store: OrderedDict[K, V], key: K, make: Callable[[], V], most: int) -> V:
    """The entry, made if it is missing; of more than ``most`` the one used longest ago is dropped."""
    if key not in store:
        store[key] = make()
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)
    return store[key]


def _size(samples: SequenceBatch) -> int:
    tensors = (samples.inputs, samples.lengths, samples.targets, samples.target_mask)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums of several threads would be added in another order."""
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


@contextlib.contextmanager
def _dropping(seed: int | None, chunk: int) -> Iterator[None]:
    """Random numbers that follow from seed and chunk, if the question has a seed: all drop the same units."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((seed + chunk) % 2**63)
        yield


def greeting() -> Greeting:
    """Of this process."""
    try:
        own = importlib.metadata.version("longlag")
    except importlib.metadata.PackageNotFoundError:
        own = "not installed"
    versions = (("longlag", own), ("torch", str(torch.__version__)), ("python", platform.python_version()))
    return Greeting(os.getpid(), socket.gethostname(), versions, native_status())
