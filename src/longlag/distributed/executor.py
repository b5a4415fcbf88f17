"""What an executor is: workers that take tasks and answer them, and memory that they can read."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from torch import Tensor

from longlag.checks import instance_of, whole_number
from longlag.distributed.datasets import Datasets
from longlag.distributed.messages import (
    Alive,
    Answered,
    ChunkTask,
    Event,
    Handle,
    Joined,
    Lost,
    StartFailed,
    WorkerInfo,
)
from longlag.distributed.worker import worker_info
from longlag.errors import ClusterError, InputError

__all__ = ["KEEP", "Executor", "WorkerCache", "check_executor"]

T = TypeVar("T")

KEEP = 1 << 30
"""Bytes of samples that a worker keeps unless told otherwise."""


class Executor(ABC):
    """Base of the executors. It serves one request at a time, from one thread.

    Used as a context manager it ends its workers with the block; otherwise call ``close``.

    Attributes
    ----------
    workers : dict of str to int or None
        The workers that have joined and live; the number of the task each is at, None for one that is idle.
    worker_infos : dict of str to WorkerInfo
        What each worker that ever joined said of itself.
    latency : float
        Seconds that it takes to send a task and to receive its answer, about. It decides what is worth sharing out.
    """

    latency = 0.0005

    def __init__(self) -> None:
        self.workers: dict[str, int | None] = {}
        self.worker_infos: dict[str, WorkerInfo] = {}
        self.datasets = Datasets(self)
        self._numbers = 0
        self.closed = False

    # -- what a request calls --------------------------------------------------------------------------------------

    @property
    def idle(self) -> list[str]:
        """The workers that wait for a task."""
        return [worker for worker, task in self.workers.items() if task is None]

    def assign(self, worker: str, task: ChunkTask) -> None:
        """Send a task to an idle worker."""
        self.workers[worker] = task.number
        self._submit(worker, task)

    def ping(self) -> None:
        """Ask every worker for a sign of life. One that lives reports ``Alive``, even in the midst of a task."""
        for worker in list(self.workers):
            self._ping(worker)

    def events(self, seconds: float) -> Sequence[Event]:
        """Return what has happened; wait up to ``seconds`` until something has.

        Raises
        ------
        ClusterError
            If a worker that joins runs another version of longlag, PyTorch or Python than this process does; it is
            sent away.
        """
        events, refusal = self._wait(seconds), ""
        for event in events:
            match event:
                case Joined(worker, info):
                    refusal = refusal or self._refusal(worker, info)
                    if refusal:
                        self._dismiss(worker)
                    else:
                        self.workers[worker] = None
                case Answered(worker, answer) if self.workers.get(worker) == answer.number:
                    self.workers[worker] = None
                case Lost(worker):
                    self.workers.pop(worker, None)
                case StartFailed() | Answered() | Alive():
                    pass
        if refusal:
            raise ClusterError(refusal)
        return events

    def _refusal(self, worker: str, info: WorkerInfo) -> str:
        """Return why the worker cannot take part; "" where it can, and is entered in ``worker_infos``."""
        ours, theirs = dict(worker_info().versions), dict(info.versions)
        if ours != theirs:
            return (
                f"{worker} (process {info.process} on {info.host}) runs {_listed(theirs)}, this process "
                f"{_listed(ours)}; expected the same versions everywhere"
            )
        others = {known.kernels for known in self.worker_infos.values()} - {info.kernels}
        self.worker_infos[worker] = info
        if others:
            warnings.warn(
                f"the processor of {worker} has other instructions than those of other workers, so the last bits of "
                "a result depend on who computes what",
                stacklevel=2,
            )
        return ""

    def next_number(self) -> int:
        """Return a number that no task or handle of this executor has had."""
        self._numbers += 1
        return self._numbers

    def gather(self, workers: int) -> None:
        """Wait until so many workers have joined. Nothing has to wait for that: the first to join begins.

        Raises
        ------
        ClusterError
            If they will not come: they failed to start and no more are being started.
        """
        self.check_open()
        workers, reason = whole_number("workers", workers, 0), "no more are being started"
        while len(self.workers) < workers:
            if not self.expecting:
                raise ClusterError(f"{len(self.workers)} workers have joined, {workers} were expected ({reason})")
            for event in self.events(1.0):
                if isinstance(event, StartFailed | Lost):
                    reason = event.reason

    def now(self) -> float:
        """Return the seconds on the clock by which leases run out."""
        return time.monotonic()

    # -- what each executor does its own way -----------------------------------------------------------------------

    @property
    @abstractmethod
    def expecting(self) -> bool:
        """Whether a worker may still join without anybody doing something about it."""

    @abstractmethod
    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        """Put CPU tensors where workers can read them; return a handle for each group."""

    @abstractmethod
    def release(self, handles: Iterable[Handle]) -> None:
        """Free the tensors of ``handles``, here and in the workers. After ``close`` there is nothing left to free."""

    @abstractmethod
    def _submit(self, worker: str, task: ChunkTask) -> None:
        """Send the task, and do not wait for its answer."""

    @abstractmethod
    def _ping(self, worker: str) -> None:
        """Ask the worker for ``Alive``, and do not wait for it."""

    @abstractmethod
    def _wait(self, seconds: float) -> list[Event]:
        """Return what has happened since the last call; wait up to ``seconds`` if nothing has."""

    @abstractmethod
    def _dismiss(self, worker: str) -> None:
        """End a worker that has just joined."""

    @abstractmethod
    def _close(self) -> None:
        """End the workers, and free what was shared."""

    # -- its end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the workers. A second call does nothing."""
        if not self.closed:
            self.closed = True
            self._close()
            self.workers.clear()

    def check_open(self) -> None:
        """Raise InputError after ``close``."""
        if self.closed:
            raise InputError(f"this {type(self).__name__} is closed; expected an open one, or a new one")

    def __enter__(self) -> Self:
        self.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself: copies of an estimator (scikit-learn makes many) share one set of workers."""
        return self

    def __reduce__(self) -> NoReturn:
        raise InputError(
            f"a {type(self).__name__} holds workers and cannot be pickled; expected estimators with an executor to be "
            "saved by their save(), and to be searched with n_jobs=None"
        )

    # -- names until the next release ------------------------------------------------------------------------------

    @property
    def standing(self) -> dict[str, int | None]:
        """``workers``, by its former name."""
        return _former("standing", "workers", self.workers)

    @property
    def greetings(self) -> dict[str, WorkerInfo]:
        """``worker_infos``, by its former name."""
        return _former("greetings", "worker_infos", self.worker_infos)


@dataclass(eq=False)
class WorkerCache:
    """The driver's record of what one worker may have kept of its tasks, and what of that it may drop."""

    held: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)

    def sent(self, task: ChunkTask) -> set[int]:
        """Record a task that is sent; return the numbers of the handles that the worker shall forget with it."""
        self.held |= {handle.number for handle in task.handles}
        released, self.released = self.released, set()
        return released

    def release(self, numbers: set[int]) -> None:
        """Record handles that were released. Those that the worker never had are none of its business."""
        self.released |= self.held & numbers
        self.held -= numbers


def check_executor(executor: object) -> None:
    """Raise InputError unless ``executor`` is one."""
    instance_of("executor", executor, Executor, "a SerialExecutor, ProcessExecutor or RayExecutor")


def _former(name: str, today: str, value: T) -> T:
    warnings.warn(
        f"Executor.{name} is now Executor.{today}; the old name goes with the next release",
        DeprecationWarning,
        stacklevel=3,
    )
    return value


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
