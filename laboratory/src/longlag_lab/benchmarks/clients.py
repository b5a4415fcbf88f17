"""Clients of different speed on one machine, and the work that they share: what `longlag bench cluster` times."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective, ProcessExecutor, SerialExecutor
from longlag.distributed.messages import Answered, Event, Lost
from longlag.errors import ClusterError, LonglagError
from longlag.gradients import NetworkObjective
from longlag.nn import LSTM, Network, SquaredError
from longlag.tasks import Multiplication

__all__ = ["Clients", "Work", "chunk_of", "work"]

SHORTEST = 11
"""Steps. The batch paper has 10; in the 1997 paper's problem one mark falls on one of the first ten, before the end."""

MOURNING = 10.0  # seconds that a death may go unnoticed


class Clients(ProcessExecutor):
    """Processes of which one can be told to work alone, or killed amid an iteration.

    Parameters
    ----------
    speeds : sequence of float
        Of each, relative to a core; "worker 1" has the first.
    """

    def __init__(self, speeds: Sequence[float]) -> None:
        self.speeds = {f"worker {number}": speed for number, speed in enumerate(speeds, 1)}
        super().__init__(len(speeds), replace=False)
        self.answers = 0
        self.killed_at: float | None = None
        self.lost_at: float | None = None
        self._only: str | None = None
        self._fatal: int | None = None

    def _entry(self, number: int) -> tuple[str, tuple[object, ...]]:
        """Return what a worker process runs: one added later is as fast as its core."""
        return "longlag_lab.benchmarks.slow_worker", (self.speeds.get(f"worker {number}", 1.0),)

    @property
    def idle(self) -> list[str]:
        """Workers that wait for a task and may have one."""
        return [worker for worker in super().idle if self._only in (None, worker)]

    def events(self, seconds: float) -> Sequence[Event]:
        """As any executor's. A death is noted with its time, and the one that was asked for is brought about."""
        found = super().events(seconds)
        self.answers += sum(isinstance(event, Answered) for event in found)
        if any(isinstance(event, Lost) for event in found):
            self.lost_at = time.perf_counter()
        busy = [worker for worker, task in self.workers.items() if task is not None]
        if self._fatal is not None and self.answers >= self._fatal and busy:
            self._fatal = None
            self.killed_at = time.perf_counter()
            os.kill(self.processes[busy[0]], signal.SIGKILL)
        return found

    def kill_after(self, answers: int) -> None:
        """Kill a worker that is at work, as soon as so many more answers have come."""
        self._fatal, self.killed_at, self.lost_at = self.answers + answers, None, None

    def mourned(self) -> float:
        """Seconds from the killing until it was noticed; waits for that.

        Raises
        ------
        ClusterError
            If nobody was killed, or it is not noticed.
        """
        end = time.perf_counter() + MOURNING
        while self.lost_at is None and time.perf_counter() < end:
            self.events(0.05)
        if self.killed_at is None or self.lost_at is None:
            raise ClusterError("no worker was killed and missed amid an iteration; expected one of more chunks")
        return self.lost_at - self.killed_at

    @contextmanager
    def alone(self, worker: str) -> Iterator[None]:
        """Nobody else gets a task."""
        self._only = worker
        try:
            yield
        finally:
            self._only = None


def gather(executor: Executor, count: int) -> None:
    """Wait until so many workers are there and none is at work: not even at what nobody needs any more.

    Raises
    ------
    ClusterError
        If fewer than that will come.
    """
    while len(executor.workers) < count or any(task is not None for task in executor.workers.values()):
        executor.gather(count)
        executor.events(0.05)


# -- the work ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Work:
    """A gradient over samples, at two points in turn: each iteration has parameters to send, as training has.

    chunk : samples of a chunk, None for the default cut; answers : value and gradient of each point, the oracle's.
    """

    objective: NetworkObjective
    samples: SequenceBatch
    chunk: int | None
    points: list[Tensor]
    answers: list[tuple[float, Tensor]]

    def of(self, samples: SequenceBatch) -> Work:
        """The same with other samples, in chunks of the same size."""
        answers = _oracle(self.objective, samples, self.chunk, self.points)
        return Work(self.objective, samples, self.chunk, self.points, answers)

    def shared(self, executor: Executor) -> MapReduceObjective:
        """To be computed by the executor's workers."""
        return MapReduceObjective(self.objective, executor, chunk=self.chunk)

    def seconds(self, shared: MapReduceObjective, iterations: int = 1) -> float:
        """Of an iteration, the mean of a few one after another.

        Raises
        ------
        LonglagError
            If one bit of an answer differs from the oracle's.
        """
        began = time.perf_counter()
        found = [shared.value_and_gradient(self.points[turn % 2], self.samples) for turn in range(iterations)]
        seconds = (time.perf_counter() - began) / iterations
        for turn, (value, gradient) in enumerate(found):
            wanted, wanted_gradient = self.answers[turn % 2]
            if value != wanted or not torch.equal(gradient, wanted_gradient):
                raise LonglagError(
                    f"the numbers of a {type(shared.executor).__name__} are not the bits of SerialExecutor: they "
                    "cannot be timed"
                )
        return seconds


def work(cells: int, samples: int, *, seed: int, chunk_seconds: float | None = None) -> tuple[Work, float | None]:
    """The batch paper's network with so many memory cells, on sequences of 11 and 12 steps.

    Parameters
    ----------
    chunk_seconds : float, optional
        What a chunk should cost on a full core at least. Default: the cut that training has by default.

    Returns
    -------
    work, cost
        And the measured seconds of a chunk, where some were asked for.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lstm = LSTM(2, cells, cell=CellSpec.batch2013(), dtype=torch.float64)
        objective = NetworkObjective(Network(lstm, 1).double(), SquaredError())
    drawn = Multiplication(T=SHORTEST).sample(samples, np.random.default_rng(seed)).to(dtype=torch.float64)
    chunk, cost = None, None
    if chunk_seconds is not None:
        chunk, cost = chunk_of(objective, drawn, chunk_seconds)
    points = [objective.theta, objective.theta * 0.9]
    return Work(objective, drawn, chunk, points, _oracle(objective, drawn, chunk, points)), cost


def _oracle(
    objective: NetworkObjective, samples: SequenceBatch, chunk: int | None, points: Sequence[Tensor]
) -> list[tuple[float, Tensor]]:
    with SerialExecutor() as oracle:
        shared = MapReduceObjective(objective, oracle, chunk=chunk)
        return [shared.value_and_gradient(point, samples) for point in points]


def chunk_of(objective: NetworkObjective, samples: SequenceBatch, seconds: float) -> tuple[int, float]:
    """Samples whose gradient costs so many seconds at least, or all of them; and what they do cost, on one thread."""
    theta, size = objective.theta, 1
    while True:
        piece = samples.select(torch.arange(size))
        cost = min(_busy(objective, theta, piece) for _ in range(5))
        if cost >= seconds or size == len(samples):
            return size, cost
        # Little by little: the cost of a sample falls with their number.
        size = min(len(samples), max(size + 1, math.ceil(size * min(1.1 * seconds / cost, 4.0))))


def _busy(objective: NetworkObjective, theta: Tensor, samples: SequenceBatch) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began = time.thread_time()
        objective.value_and_gradient(theta, samples)
        return time.thread_time() - began
    finally:
        torch.set_num_threads(before)
