"""Worker processes of set speeds, of which one may work alone, or is killed amid an iteration."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from longlag.checks import is_number
from longlag.distributed import Executor, ProcessExecutor
from longlag.distributed.messages import Answered, Event, Lost
from longlag.errors import ClusterError, InputError

__all__ = ["ThrottledWorkers", "gather"]

LOST_TIMEOUT = 10.0  # seconds in which the loss of a worker must be noticed


class ThrottledWorkers(ProcessExecutor):
    """Worker processes of set speeds. One can be told to work alone, or be killed amid an iteration.

    Parameters
    ----------
    speeds : sequence of float
        The speed of each worker, relative to a core; "worker 1" has the first.

    Raises
    ------
    InputError
        If a speed is not above 0 and at most 1.
    """

    def __init__(self, speeds: Sequence[float]) -> None:
        if not all(is_number(speed) and 0 < speed <= 1 for speed in speeds):
            raise InputError(f"speeds are {list(speeds)!r}; expected numbers above 0 and at most 1")
        self.speeds = {f"worker {number}": speed for number, speed in enumerate(speeds, 1)}
        super().__init__(len(speeds), replace=False)
        self.answers = 0
        self.killed_at: float | None = None
        self.lost_at: float | None = None
        self._only: str | None = None
        self._kill_at: int | None = None

    def _entry(self, number: int) -> tuple[str, tuple[object, ...]]:
        """Return what a worker process runs: one added later is as fast as its core."""
        return "longlag_lab.benchmarks.slow_worker", (self.speeds.get(f"worker {number}", 1.0),)

    @property
    def idle(self) -> list[str]:
        """Workers that wait for a task and may have one."""
        return [worker for worker in super().idle if self._only in (None, worker)]

    def events(self, seconds: float) -> Sequence[Event]:
        """The events, as any executor has them. Notes when a worker is lost, and kills the one that is to be killed."""
        events = super().events(seconds)
        self.answers += sum(isinstance(event, Answered) for event in events)
        if any(isinstance(event, Lost) for event in events):
            self.lost_at = time.perf_counter()
        busy = [worker for worker, task in self.workers.items() if task is not None]
        if self._kill_at is not None and self.answers >= self._kill_at and busy:
            self._kill_at = None
            self.killed_at = time.perf_counter()
            os.kill(self.processes[busy[0]], signal.SIGKILL)
        return events

    def kill_after(self, answers: int) -> None:
        """Kill a worker that is at work, as soon as so many more answers have come."""
        self._kill_at, self.killed_at, self.lost_at = self.answers + answers, None, None

    def seconds_until_lost(self) -> float:
        """Wait until the loss of the killed worker is noticed; the seconds that passed since it was killed.

        Raises
        ------
        ClusterError
            If no worker was killed, or its loss is not noticed.
        """
        end = time.perf_counter() + LOST_TIMEOUT
        while self.lost_at is None and time.perf_counter() < end:
            self.events(0.05)
        if self.killed_at is None or self.lost_at is None:
            raise ClusterError("no worker was killed and missed amid an iteration; expected one of more chunks")
        return self.lost_at - self.killed_at

    @contextmanager
    def only(self, worker: str) -> Iterator[None]:
        """Let no other worker have a task in the block."""
        self._only = worker
        try:
            yield
        finally:
            self._only = None


def gather(executor: Executor, count: int) -> None:
    """Wait until so many workers have joined and none is at work, not even on a task that is not needed any more.

    Raises
    ------
    ClusterError
        If fewer than that will come.
    """
    while len(executor.workers) < count or any(task is not None for task in executor.workers.values()):
        executor.gather(count)
        executor.events(0.05)
