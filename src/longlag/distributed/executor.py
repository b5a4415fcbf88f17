"""What an executor is: workers that take tasks and answer them, and memory that they can read."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self

from torch import Tensor

from longlag.distributed.datasets import Datasets
from longlag.distributed.question import Answered, Event, Failed, Greeting, Handle, Joined, Lost, Task
from longlag.distributed.worker import greeting
from longlag.errors import ClusterError, InputError

__all__ = ["KEEP", "Executor"]

KEEP = 1 << 30
"""Bytes of samples that a worker keeps unless asked otherwise."""


class Executor(ABC):
    """Base of the executors. One question at a time, from one thread.

    Used as a context manager it ends its workers with the block; otherwise call ``close``.

    Attributes
    ----------
    standing : dict of str to int or None
        The workers that are there; the number of the task each is at, None while it waits for one.
    greetings : dict of str to Greeting
        What each worker that ever joined said of itself.
    latency : float
        Seconds that it takes to give a task and to take its answer, about. It decides what is worth sharing out.
    """

    latency = 0.0005

    def __init__(self) -> None:
        self.standing: dict[str, int | None] = {}
        self.greetings: dict[str, Greeting] = {}
        self.datasets = Datasets(self)
        self._numbers = 0
        self.closed = False

    # -- what the master of a question calls -------------------------------------------------------------------------

    @property
    def idle(self) -> list[str]:
        """Workers that wait for a task."""
        return [worker for worker, task in self.standing.items() if task is None]

    def give(self, worker: str, task: Task) -> None:
        """Hand a task to an idle worker."""
        self.standing[worker] = task.number
        self._submit(worker, task)

    def events(self, seconds: float) -> Sequence[Event]:
        """What has happened, waiting for something up to so many seconds.

        Raises
        ------
        ClusterError
            If a worker that joins runs another version of longlag, PyTorch or Python than this process does; it is
            sent away.
        """
        found, stranger = self._wait(seconds), ""
        for event in found:
            match event:
                case Joined(worker, own):
                    stranger = stranger or self._stranger(worker, own)
                    if stranger:
                        self._dismiss(worker)
                    else:
                        self.standing[worker] = None
                case Answered(worker, answer) if self.standing.get(worker) == answer.number:
                    self.standing[worker] = None
                case Lost(worker):
                    self.standing.pop(worker, None)
                case Failed() | Answered():
                    pass
        if stranger:
            raise ClusterError(stranger)
        return found

    def _stranger(self, worker: str, own: Greeting) -> str:
        """Why the worker cannot take part, or "" once it is noted who has joined."""
        ours, theirs = dict(greeting().versions), dict(own.versions)
        if ours != theirs:
            return (
                f"{worker} (process {own.process} on {own.host}) runs {_listed(theirs)}, this process {_listed(ours)}; "
                "expected the same versions everywhere"
            )
        others = {known.kernels for known in self.greetings.values()} - {own.kernels}
        self.greetings[worker] = own
        if others:
            warnings.warn(
                f"the processor of {worker} has other instructions than those of other workers, so the last bits of "
                "a result depend on who computes what",
                stacklevel=2,
            )
        return ""

    def numbered(self) -> int:
        """A number that no task or handle of this executor has had."""
        self._numbers += 1
        return self._numbers

    def gather(self, workers: int) -> None:
        """Wait until so many workers are there. Questions need not wait for that: whoever is there begins.

        Raises
        ------
        ClusterError
            If they will not come.
        """
        self.check_open()
        why = "no more are being started"
        while len(self.standing) < workers:
            if not self.hopeful:
                raise ClusterError(f"{len(self.standing)} workers are there, {workers} were expected ({why})")
            for event in self.events(1.0):
                if isinstance(event, Failed | Lost):
                    why = event.why

    def now(self) -> float:
        """Seconds on the clock by which leases run out."""
        return time.monotonic()

    # -- what each executor does its own way -------------------------------------------------------------------------

    @property
    @abstractmethod
    def hopeful(self) -> bool:
        """Whether a worker may still join without anybody doing something about it."""

    @abstractmethod
    def share(self, groups: Iterable[Sequence[Tensor]]) -> list[Handle]:
        """Put tensors where workers can read them, a handle for each group. They are on the CPU."""

    @abstractmethod
    def release(self, handles: Iterable[Handle]) -> None:
        """They are not needed any more, here or by workers. After ``close`` nothing is left to release."""

    @abstractmethod
    def _submit(self, worker: str, task: Task) -> None:
        """Send it, and do not wait."""

    @abstractmethod
    def _wait(self, seconds: float) -> list[Event]:
        """What happened since the last call; at once if something did."""

    @abstractmethod
    def _dismiss(self, worker: str) -> None:
        """End a worker that has just joined."""

    @abstractmethod
    def _close(self) -> None:
        """End what was started."""

    # -- its end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the workers. Safe to call again."""
        if not self.closed:
            self.closed = True
            self._close()
            self.standing.clear()

    def check_open(self) -> None:
        """Refuse to work after ``close``."""
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
        """Itself: copies of an estimator (scikit-learn makes many) share one set of workers."""
        return self

    def __reduce__(self) -> NoReturn:
        raise InputError(
            f"a {type(self).__name__} holds workers and cannot be pickled; expected estimators with an executor to be "
            "saved by their save(), and to be searched with n_jobs=None"
        )


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
