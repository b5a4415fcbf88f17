"""What sharing costs: an iteration with nothing to compute, and a worker that is killed amid an iteration."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective, ProcessExecutor, RayExecutor
from longlag.errors import LonglagError
from longlag_lab.benchmarks.clients import Clients, Work, gather
from longlag_lab.benchmarks.machine import cores

__all__ = ["Constant", "Killed", "Overhead", "killed", "overheads"]

WORKERS = 5
CHUNKS = 64  # as many as the default cut makes of a data set that is large enough
WEIGHTS = (101, 10_000)


class Constant:
    """An objective that computes nothing. What an iteration takes is then what sharing costs."""

    averages = True

    def __init__(self, weights: int) -> None:
        self.gradient = torch.zeros(weights, dtype=torch.float64)

    def value(self, theta: Tensor, samples: SequenceBatch) -> float:
        """Zero."""
        return 0.0

    def value_and_gradient(self, theta: Tensor, samples: SequenceBatch) -> tuple[float, Tensor]:
        """Zeros."""
        return 0.0, self.gradient

    def curvature_product(self, theta: Tensor, v: Tensor, samples: SequenceBatch) -> Tensor:
        """Zeros."""
        return self.gradient


@dataclass(frozen=True)
class Overhead:
    """Of an executor with ``workers``: median seconds of an iteration in which nothing is computed.

    note : why there is none.
    """

    executor: str
    weights: int
    workers: int = WORKERS
    chunks: int = CHUNKS
    seconds: float | None = None
    note: str = ""


def overheads(iterations: int, *, ray: bool) -> list[Overhead]:
    """Of processes, and of Ray where that is installed and asked for."""
    found = _overheads("ProcessExecutor", lambda: ProcessExecutor(WORKERS), iterations)
    if ray:
        if importlib.util.find_spec("ray") is None:
            found += [Overhead("RayExecutor", weights, note="ray is not installed") for weights in WEIGHTS]
        else:
            found += _overheads("RayExecutor", lambda: RayExecutor(workers=WORKERS), iterations)
    return found


def _overheads(name: str, start: Callable[[], Executor], iterations: int) -> list[Overhead]:
    nothing = [torch.zeros(2, 1)] * (10 * CHUNKS)
    samples = SequenceBatch.every_step(nothing, nothing)
    found = []
    try:
        with start() as executor:
            gather(executor, WORKERS)
            for weights in WEIGHTS:
                shared = MapReduceObjective(Constant(weights), executor, chunk=len(samples) // CHUNKS)
                theta = torch.zeros(weights, dtype=torch.float64)
                seconds = []
                for _ in range(iterations + 5):
                    theta = theta + 1.0  # a new point, which has to be sent
                    began = time.perf_counter()
                    shared.value_and_gradient(theta, samples)
                    seconds.append(time.perf_counter() - began)
                found.append(Overhead(name, weights, seconds=median(seconds[5:])))
    except LonglagError as error:  # the other measurements are worth keeping
        known = {overhead.weights for overhead in found}
        found += [Overhead(name, weights, note=str(error)) for weights in WEIGHTS if weights not in known]
    return found


# -- a worker is killed ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Killed:
    """Iterations in which one of ``workers`` was killed halfway (SIGKILL), each after one in which none was. Seconds.

    More workers than cores, so that those left keep the cores as busy: what the rest of an iteration takes longer is
    then what was lost, and not that there is one worker less.

    chunk : that one worker took for a chunk, beside the others; detection : from then until the driver knew, which
    may be after the iteration: others repeat what the dead worker does not answer.
    """

    workers: int
    chunk: float
    undisturbed: list[float]
    disturbed: list[float]
    detection: list[float]

    @property
    def cost(self) -> float:
        """What a death cost, its detection included, in chunk times: the median. Noise may make it negative."""
        pairs = zip(self.disturbed, self.undisturbed, strict=True)
        return median(disturbed - undisturbed for disturbed, undisturbed in pairs) / self.chunk

    @property
    def allowed(self) -> float:
        """Chunk times: two, and the detection."""
        return 2.0 + median(self.detection) / self.chunk


def killed(work: Work, kills: int) -> Killed:
    """Kill one worker after the other, amid iterations.

    Raises
    ------
    LonglagError
        If nobody died, or the bits are not those of ``SerialExecutor``.
    """
    workers = max(WORKERS, 2 * cores() + 1)
    undisturbed, disturbed, detection, chunk = [], [], [], []
    assert work.chunk is not None
    with Clients([1.0] * workers) as clients:
        shared = work.shared(clients)
        gather(clients, workers)
        work.seconds(shared, 2)
        for turn in range(kills):
            gather(clients, workers)
            before = clients.answers
            undisturbed.append(work.seconds(shared))
            measured = clients.datasets.find(work.samples, work.chunk).seconds_per_chunk
            paces = [measured.get((worker, "gradient")) for worker in clients.workers]
            chunk.append(median(seconds for seconds in paces if seconds is not None))
            leases = clients.answers - before
            gather(clients, workers)
            clients.kill_after(leases // 2)
            disturbed.append(work.seconds(shared))
            detection.append(clients.mourned())
            if turn < kills - 1:
                clients.add()
    return Killed(workers, median(chunk), undisturbed, disturbed, detection)
