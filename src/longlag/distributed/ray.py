"""RayExecutor: workers are actors of a Ray cluster. ray is imported when the first executor is made."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
import warnings
import weakref
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.data.checks import is_whole
from longlag.distributed.executor import KEEP, Executor
from longlag.distributed.question import Answer, Answered, Event, Failed, Greeting, Handle, Joined, Lost, Task
from longlag.distributed.sums import Sums
from longlag.distributed.worker import Worker, greeting
from longlag.errors import InputError

__all__ = ["RayExecutor"]

JOIN = 60.0  # seconds that a question waits for a first worker
LOOK = 1.0  # seconds between two looks at how large the cluster is
KNOCK = 10.0  # seconds that the head of a cluster has to answer
TRIES = 3  # actors in a row that cannot be started, until no more are tried


class Actor:
    """What runs on the cluster: a worker, and what it has read of the driver's memory. An actor has one thread."""

    def __init__(self, keep: int, path: list[str]) -> None:
        sys.path += [entry for entry in path if entry not in sys.path]  # where the driver finds an objective's class
        self.worker = Worker(self, keep=keep)
        self.last: dict[int, list[Tensor]] = {}  # what this question's tasks share

    def greet(self) -> Greeting:
        """Who it is."""
        return greeting()

    def read(self, handle: Handle) -> list[Tensor]:
        """From the object store."""
        import ray

        if handle.number not in self.last:
            arrays: list[NDArray[Any]] = ray.get(handle.where)  # type: ignore[call-overload]
            self.last[handle.number] = [torch.from_numpy(np.array(array)) for array in arrays]
        return self.last[handle.number]

    def answer(self, task: Task, forgotten: set[int]) -> tuple[Answer, Any, Any]:
        """The answer without its tensors, and those as arrays."""
        self.worker.forget(forgotten)
        wanted = {handle.number for handle in (task.objective, task.theta, task.v) if handle is not None}
        self.last = {number: tensors for number, tensors in self.last.items() if number in wanted}
        answer = self.worker.answer(task)
        if answer.sums is None:
            return answer, None, None
        sums = answer.sums
        vector, matrix = (None if part is None else part.numpy() for part in (sums.vector, sums.matrix))
        return Answer(answer.number, Sums(sums.count, sums.value), answer.seconds), vector, matrix


class RayExecutor(Executor):
    """Workers on a Ray cluster, each an actor with one processor, on one thread.

    Ray repeats nothing by itself: what a lost actor was at goes to another one, and where processors are free a new
    one starts and joins.

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

    Raises
    ------
    InputError
        If ray is not installed, there is no cluster at the address, or an option cannot be used.
    """

    latency = 0.002

    def __init__(self, workers: int | None = None, *, address: str | None = None, keep: int = KEEP) -> None:
        super().__init__()
        if workers is not None and (not is_whole(workers) or workers < 1):
            raise InputError(f"workers is {workers!r}; expected a whole number of at least 1, or None")
        if not is_whole(keep) or keep < 0:
            raise InputError(f"keep is {keep!r}; expected a number of bytes")
        self.workers, self.keep = workers, int(keep)
        self._ray, self._owner = _joined(address, workers)
        self._actor_class = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(Actor)
        self._actors: dict[str, Any] = {}
        self._asked: dict[Any, str] = {}  # what was asked of whom: its answers to come
        self._greeting: dict[Any, str] = {}
        self._forgotten: dict[str, set[int]] = {}
        self._started = self._failures = 0
        self._finalizer = weakref.finalize(self, _end, self._ray, self._owner, self._actors)
        self._alone_since = time.monotonic()  # when somebody was last there
        self._recruit()

    @property
    def hopeful(self) -> bool:
        """While actors are being started, for a while."""
        coming = bool(self._greeting) or (self._wanted > 0 and self._failures < TRIES)
        return coming and time.monotonic() - self._alone_since < JOIN

    @property
    def actors(self) -> dict[str, Any]:
        """Ray's handles by worker."""
        return dict(self._actors)

    # -- workers ---------------------------------------------------------------------------------------------------

    def _recruit(self) -> None:
        """Start actors for what the cluster has to offer now."""
        self._looked = time.monotonic()
        if self._failures >= TRIES:
            return
        for _ in range(self._wanted - len(self._actors)):
            self._started += 1
            name = f"worker {self._started}"
            self._actors[name] = self._actor_class.options(scheduling_strategy="SPREAD").remote(self.keep, sys.path)
            self._forgotten[name] = set()
            self._greeting[self._actors[name].greet.remote()] = name

    @property
    def _wanted(self) -> int:
        if self.workers is not None:
            return self.workers
        return max(1, int(self._ray.cluster_resources().get("CPU", 0)))

    def _submit(self, worker: str, task: Task) -> None:
        forgotten, self._forgotten[worker] = self._forgotten[worker], set()
        self._asked[self._actors[worker].answer.remote(task, forgotten)] = worker

    def _wait(self, seconds: float) -> list[Event]:
        if time.monotonic() - self._looked > LOOK:
            self._recruit()
        pending = [*self._greeting, *self._asked]
        if not pending:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(pending, num_returns=1, timeout=seconds, fetch_local=False)
        if ready and len(pending) > 1:
            ready, _ = self._ray.wait(pending, num_returns=len(pending), timeout=0, fetch_local=False)
        if len(self._greeting) < len(self._actors):
            self._alone_since = time.monotonic()
        return [self._hear(reference) for reference in ready]

    def _hear(self, reference: Any) -> Event:
        greets = reference in self._greeting
        worker = self._greeting.pop(reference) if greets else self._asked.pop(reference)
        try:
            found = self._ray.get(reference)
        except (self._ray.exceptions.RayError, RuntimeError) as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            why = last.split(". ")[0]  # Ray explains at length
            self._ray.kill(self._actors.pop(worker))
            del self._forgotten[worker]
            if not greets:
                return Lost(worker, why)
            self._failures += 1
            return Failed(f"{worker} could not be started: {why}")
        if greets:
            self._failures = 0
            return Joined(worker, found)
        answer, vector, matrix = found
        if answer.sums is not None:
            tensors = [None if part is None else torch.from_numpy(np.array(part)) for part in (vector, matrix)]
            answer = Answer(answer.number, Sums(answer.sums.count, answer.sums.value, *tensors), answer.seconds)
        return Answered(worker, answer)

    def _dismiss(self, worker: str) -> None:
        self._ray.kill(self._actors.pop(worker))
        del self._forgotten[worker]

    # -- memory ----------------------------------------------------------------------------------------------------

    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        return [
            Handle(self.numbered(), self._ray.put([tensor.detach().numpy() for tensor in tensors]))
            for tensors in groups
        ]

    def release(self, handles: Iterable[Handle]) -> None:
        if not self.closed:  # the store frees what nobody refers to
            numbers = {handle.number for handle in handles}
            for forgotten in self._forgotten.values():
                forgotten |= numbers

    def _close(self) -> None:
        self._asked.clear()
        self._greeting.clear()
        self._finalizer()


def _joined(address: str | None, workers: int | None) -> tuple[ModuleType, bool]:
    """The module ray, connected to a cluster; and whether that was started here."""
    if address is None:
        _close_to_others()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            f"the package 'ray' is needed for a RayExecutor ({error}); expected it after: pip install \"longlag[ray]\""
        ) from error
    if ray.is_initialized():
        return ray, False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if address is not None:
                _knock(address)
                ray.init(address=address, **options)
                return ray, True
            ray.init(
                address="local",  # otherwise Ray joins whatever cluster somebody has started on this machine
                num_cpus=workers,
                include_dashboard=False,
                **options,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"no Ray cluster could be joined at {address!r} ({reason}); expected one started by `ray start --head`"
            if address is not None
            else f"Ray could not be started on this machine ({reason})"
        ) from error
    return ray, True


def _knock(address: str) -> None:
    """Fail at once where nobody listens: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in address:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()


def _close_to_others() -> None:
    """A cluster started from here lets in who knows its token, and listens to this machine alone.

    The first is what Ray does unless it is told otherwise. The second it has for systems on which it runs no clusters
    of many machines, and reads when it is imported.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        raise InputError(
            f"RAY_AUTH_MODE is {os.environ['RAY_AUTH_MODE']!r}, and without a token anybody may run code on a cluster; "
            "expected it to be unset, or the address of a cluster of your own"
        )
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if "ray" in sys.modules:
        setattr(importlib.import_module("ray._private.ray_constants"), "ENABLE_RAY_CLUSTER", False)  # noqa: B010


def _end(ray: ModuleType, owner: bool, actors: dict[str, Any]) -> None:
    if not ray.is_initialized():
        return
    for actor in actors.values():
        ray.kill(actor)
    actors.clear()
    if owner:
        ray.shutdown()
