"""RayExecutor: workers are actors of a Ray cluster. Ray is imported when the first executor is made."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.checks import instance_of, whole_number
from longlag.distributed.executor import KEEP, Executor, WorkerCache
from longlag.distributed.messages import (
    Alive,
    Answer,
    Answered,
    ChunkTask,
    Event,
    Handle,
    Joined,
    Lost,
    StartFailed,
    WorkerInfo,
)
from longlag.distributed.ray_cluster import connect
from longlag.distributed.sums import Sums
from longlag.distributed.worker import Worker, worker_info

__all__ = ["RayExecutor"]

JOIN_SECONDS = 60.0  # that a request waits for an actor that is on its way
RECRUIT_SECONDS = 1.0  # between two looks at how large the cluster is
MOST_FAILURES = 3  # actors in a row that cannot be started, until no more are tried
MOST_WORKERS = 10_000

_PINGS = "pings"


class Actor:
    """What runs on the cluster: a worker, and what it has read of the driver's memory.

    Tasks are answered one after the other, on one thread. Another thread answers pings in the meantime.
    """

    def __init__(self, keep: int, path: list[str]) -> None:
        sys.path += [entry for entry in path if entry not in sys.path]  # where the driver finds an objective's class
        self.worker = Worker(self, keep=keep)
        self.arrays: dict[int, list[Tensor]] = {}  # what the tasks of one request share

    def info(self) -> WorkerInfo:
        """Return what the worker says of itself when it joins."""
        return worker_info()

    def ping(self) -> None:
        """Show that this process runs."""

    def read(self, handle: Handle) -> list[Tensor]:
        """Return tensors from the object store. (The actor is its worker's memory.)"""
        import ray

        if handle.number not in self.arrays:
            arrays: list[NDArray[Any]] = ray.get(handle.location)  # type: ignore[call-overload]
            self.arrays[handle.number] = [torch.from_numpy(np.array(array)) for array in arrays]
        return self.arrays[handle.number]

    def answer(self, task: ChunkTask, forgotten: set[int]) -> tuple[Answer, Any, Any]:
        """Return the answer without its tensors, and those as arrays."""
        self.worker.forget(forgotten)
        request = task.request
        wanted = {handle.number for handle in (request.objective, request.theta, request.v) if handle is not None}
        self.arrays = {number: tensors for number, tensors in self.arrays.items() if number in wanted}
        answer = self.worker.answer(task)
        if answer.sums is None:
            return answer, None, None
        sums = answer.sums
        vector, matrix = (None if tensor is None else tensor.numpy() for tensor in (sums.vector, sums.matrix))
        return Answer(answer.number, Sums(sums.count, sums.value), answer.seconds), vector, matrix


class RayExecutor(Executor):
    """Workers on a Ray cluster, each an actor with one processor.

    Ray repeats nothing by itself: what a lost actor was at goes to another one, and where processors are free a new
    one starts and joins. A request waits a minute for actors that are on their way.

    Parameters
    ----------
    workers : int, optional
        How many. Default: as many as the cluster has processors, now and as it grows.
    address : str, optional
        Of a running cluster ("auto": the one on this machine). Default: the one that this process has joined already;
        without one, a cluster of this machine is started for as long as the executor is open: reachable from this
        machine alone, only with its token, without a dashboard.
    keep : int
        Bytes of samples that each worker keeps.

    Attributes
    ----------
    size : int or None
        How many workers are wanted; None for one per processor. It may be changed at any time.

    Raises
    ------
    InputError
        If ray is not installed, there is no cluster at the address, or an option cannot be used.
    """

    latency = 0.002

    def __init__(self, workers: int | None = None, *, address: str | None = None, keep: int = KEEP) -> None:
        super().__init__()
        self.size = None if workers is None else whole_number("workers", workers, 1, MOST_WORKERS)
        instance_of("address", address, (str, type(None)), "HOST:PORT, 'auto', or None")
        self.keep = whole_number("keep", keep, 0)
        self._ray, self._owner = connect(address, self.size)
        # Ray runs the methods of a concurrency group on threads of their own.
        self._actor_class = self._ray.remote(
            num_cpus=1, max_restarts=0, max_task_retries=0, concurrency_groups={_PINGS: 1}
        )(Actor)
        self._actors: dict[str, Any] = {}
        # References to what was asked of whom: the answers to come.
        self._tasks: dict[Any, str] = {}
        self._joining: dict[Any, str] = {}
        self._pings: dict[Any, str] = {}
        self._caches: dict[str, WorkerCache] = {}
        self._started = self._failures = 0
        self._finalizer = weakref.finalize(self, _end, self._ray, self._owner, self._actors)
        self._heard = time.monotonic()  # when anything was last heard of a worker
        self._recruit()

    @property
    def expecting(self) -> bool:
        """Whether actors are on their way, or will be, and the cluster has not been silent for too long."""
        coming = bool(self._joining) or (self._wanted > 0 and self._failures < MOST_FAILURES)
        return coming and time.monotonic() - self._heard < JOIN_SECONDS

    @property
    def actors(self) -> dict[str, Any]:
        """Ray's handles by worker; those that have not joined yet too."""
        return dict(self._actors)

    # -- workers ---------------------------------------------------------------------------------------------------

    def _recruit(self) -> None:
        """Start actors for what the cluster has to offer now."""
        self._recruited = time.monotonic()
        if self._failures >= MOST_FAILURES:
            return
        for _ in range(self._wanted - len(self._actors)):
            self._started += 1
            name = f"worker {self._started}"
            self._actors[name] = self._actor_class.options(scheduling_strategy="SPREAD").remote(self.keep, sys.path)
            self._caches[name] = WorkerCache()
            self._joining[self._actors[name].info.remote()] = name

    @property
    def _wanted(self) -> int:
        if self.size is not None:
            return self.size
        return max(1, int(self._ray.cluster_resources().get("CPU", 0)))

    def _submit(self, worker: str, task: ChunkTask) -> None:
        forgotten = self._caches[worker].sent(task)
        self._tasks[self._actors[worker].answer.remote(task, forgotten)] = worker

    def _ping(self, worker: str) -> None:
        if worker not in self._pings.values():
            self._pings[self._actors[worker].ping.options(concurrency_group=_PINGS).remote()] = worker

    def _wait(self, seconds: float) -> list[Event]:
        if time.monotonic() - self._recruited > RECRUIT_SECONDS:
            self._recruit()
        pending = [*self._joining, *self._tasks, *self._pings]
        if not pending:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(pending, num_returns=1, timeout=seconds, fetch_local=False)
        if ready and len(pending) > 1:
            ready, _ = self._ray.wait(pending, num_returns=len(pending), timeout=0, fetch_local=False)
        if ready:
            self._heard = time.monotonic()
        return [event for reference in ready for event in self._receive(reference)]

    def _receive(self, reference: Any) -> list[Event]:
        """Return what has come of one call of an actor."""
        pinged = self._pings.pop(reference, None)
        joining = self._joining.pop(reference, None)
        worker = pinged or joining or self._tasks.pop(reference)
        try:
            message = self._ray.get(reference)
        except (self._ray.exceptions.RayError, RuntimeError) as error:
            if worker not in self._actors or pinged:  # another call has told, or will
                return []
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            reason = last.split(". ")[0]  # Ray explains at length
            self._dismiss(worker)
            if not joining:
                return [Lost(worker, reason)]
            self._failures += 1
            return [StartFailed(f"{worker} could not be started: {reason}")]
        if pinged:
            return [Alive(worker)]
        if joining:
            self._failures = 0
            return [Joined(worker, message)]
        answer, vector, matrix = message
        if answer.sums is not None:
            tensors = [None if array is None else torch.from_numpy(np.array(array)) for array in (vector, matrix)]
            answer = Answer(answer.number, Sums(answer.sums.count, answer.sums.value, *tensors), answer.seconds)
        return [Answered(worker, answer)]

    def _dismiss(self, worker: str) -> None:
        self._ray.kill(self._actors.pop(worker))
        del self._caches[worker]

    # -- memory ----------------------------------------------------------------------------------------------------

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        return [
            Handle(self.next_number(), self._ray.put([tensor.detach().numpy() for tensor in tensors]))
            for tensors in groups
        ]

    def release(self, handles: Iterable[Handle]) -> None:
        if not self.closed:  # the store frees what nobody refers to
            numbers = {handle.number for handle in handles}
            for cache in self._caches.values():
                cache.release(numbers)

    def _close(self) -> None:
        self._tasks.clear()
        self._joining.clear()
        self._pings.clear()
        self._finalizer()


def _end(ray: ModuleType, owner: bool, actors: dict[str, Any]) -> None:
    if not ray.is_initialized():
        return
    for actor in actors.values():
        ray.kill(actor)
    actors.clear()
    if owner:
        ray.shutdown()
