"""The cost of sharing: of an iteration with nothing to compute, and of a worker that is killed amid an iteration."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective, ProcessExecutor, RayExecutor
from longlag.errors import LonglagError
from longlag_lab.benchmarks.gradient_work import GradientWork
from longlag_lab.benchmarks.machine import cores
from longlag_lab.benchmarks.workers import ThrottledWorkers, gather
from longlag_lab.harness.timer import seconds_of

__all__ = ["Constant", "Killed", "Overhead", "killed", "overheads"]

WORKERS = 5
CHUNKS = 64  # as many as the default cut makes of a data set that is large enough
WEIGHTS = (101, 10_000)


class Constant:
    """An objective that computes nothing, so that the time of an iteration is the cost of sharing it."""

    averages = True

    def __init__(self, weights: int) -> None:
        self.gradient = torch.zeros(weights, dtype=torch.float64)

    def value(self, theta: Tensor, samples: SequenceBatch) -> float:
        """Return zero."""
        return 0.0

    def value_and_gradient(self, theta: Tensor, samples: SequenceBatch) -> tuple[float, Tensor]:
        """Return zeros."""
        return 0.0, self.gradient

    def curvature_product(self, theta: Tensor, v: Tensor, samples: SequenceBatch) -> Tensor:
        """Return zeros."""
        return self.gradient


@dataclass(frozen=True)
class Overhead:
    """The median seconds of an iteration in which nothing is computed, or a ``note`` that says why there are none."""

    executor: str
    weights: int
    workers: int = WORKERS
    chunks: int = CHUNKS
    seconds: float | None = None
    note: str = ""


def overheads(iterations: int, *, ray: bool) -> list[Overhead]:
    """Measure processes, and Ray if it is wanted and installed."""
    results = _overheads("ProcessExecutor", lambda: ProcessExecutor(WORKERS), iterations)
    if ray:
        if importlib.util.find_spec("ray") is None:
            results += [Overhead("RayExecutor", weights, note="ray is not installed") for weights in WEIGHTS]
        else:
            results += _overheads("RayExecutor", lambda: RayExecutor(workers=WORKERS), iterations)
    return results


def _overheads(name: str, start: Callable[[], Executor], iterations: int) -> list[Overhead]:
    nothing = [torch.zeros(2, 1)] * (10 * CHUNKS)
    samples = SequenceBatch.every_step(nothing, nothing)
    results: list[Overhead] = []
    try:
        with start() as executor:
            gather(executor, WORKERS)
            for weights in WEIGHTS:
                shared = MapReduceObjective(Constant(weights), executor, chunk=len(samples) // CHUNKS)
                theta = torch.zeros(weights, dtype=torch.float64)
                seconds = []
                for _ in range(iterations + 5):
                    theta = theta + 1.0  # a new point, which has to be sent
                    seconds.append(seconds_of(functools.partial(shared.value_and_gradient, theta, samples))())
                results.append(Overhead(name, weights, seconds=median(seconds[5:])))
    except LonglagError as error:  # the other measurements are worth keeping
        known = {overhead.weights for overhead in results}
        results += [Overhead(name, weights, note=str(error)) for weights in WEIGHTS if weights not in known]
    return results


# -- a worker is killed ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Killed:
    """Seconds of iterations in which a worker was killed halfway (SIGKILL), each after one in which none was.

    There are more workers than cores, so that those left keep the cores as busy. What the rest of an iteration takes
    longer was then lost, and does not come of one worker less.

    Parameters
    ----------
    workers : int
    chunk : float
        What a worker took for a chunk, beside the others.
    undisturbed, disturbed : list of float
        Iterations without and with a killed worker.
    detection : list of float
        The time until the driver knew. It may be longer than the iteration: others repeat what the dead worker does not
        answer.
    """

    workers: int
    chunk: float
    undisturbed: list[float]
    disturbed: list[float]
    detection: list[float]

    @property
    def cost(self) -> float:
        """The median cost of a killed worker in chunk times, its detection included. Noise may make it negative."""
        pairs = zip(self.disturbed, self.undisturbed, strict=True)
        return median(disturbed - undisturbed for disturbed, undisturbed in pairs) / self.chunk

    @property
    def allowed(self) -> float:
        """The allowed cost in chunk times: two, and the detection."""
        return 2.0 + median(self.detection) / self.chunk


def killed(work: GradientWork, kills: int) -> Killed:
    """Kill one worker after the other, amid iterations.

    Raises
    ------
    LonglagError
        If no worker died, or the bits are not those of ``SerialExecutor``.
    """
    count = max(WORKERS, 2 * cores() + 1)
    undisturbed, disturbed, detection, chunk = [], [], [], []
    assert work.chunk is not None
    with ThrottledWorkers([1.0] * count) as workers:
        shared = work.shared(workers)
        gather(workers, count)
        work.seconds(shared, 2)
        for turn in range(kills):
            gather(workers, count)
            answers_before = workers.answers
            undisturbed.append(work.seconds(shared))
            measured = workers.datasets.find(work.samples, work.chunk).seconds_per_chunk
            seconds = [measured.get((worker, "gradient")) for worker in workers.workers]
            chunk.append(median(value for value in seconds if value is not None))
            answers = workers.answers - answers_before
            gather(workers, count)
            workers.kill_after(answers // 2)
            disturbed.append(work.seconds(shared))
            detection.append(workers.seconds_until_lost())
            if turn < kills - 1:
                workers.add()
    return Killed(count, median(chunk), undisturbed, disturbed, detection)
