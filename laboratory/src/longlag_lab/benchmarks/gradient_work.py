"""The work that workers of different speed share: a gradient, with an oracle for its bits."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective, SerialExecutor
from longlag.errors import LonglagError
from longlag.gradients import NetworkObjective
from longlag.nn import LSTM, Network, SquaredError
from longlag.tasks import Multiplication
from longlag_lab.harness.timer import torch_threads

__all__ = ["SHORTEST", "GradientWork", "chunk_of", "gradient_work"]

SHORTEST = 11
"""The least number of steps. The batch paper has 10, but in the 1997 paper's problem one mark falls on one of the first
ten steps, before the end."""


@dataclass(eq=False)
class GradientWork:
    """A gradient over samples, at two points in turn: each iteration has parameters to send, as training has.

    Parameters
    ----------
    objective : NetworkObjective
    samples : SequenceBatch
    chunk : int, optional
        Samples of a chunk; None: the default cut.
    points : list of (W,) tensors
    answers : list of (float, (W,) tensor)
        Value and gradient at each point, as the oracle computes them.
    """

    objective: NetworkObjective
    samples: SequenceBatch
    chunk: int | None
    points: list[Tensor]
    answers: list[tuple[float, Tensor]]

    def of(self, samples: SequenceBatch) -> GradientWork:
        """Return the same work on other samples, in chunks of the same size."""
        answers = _oracle(self.objective, samples, self.chunk, self.points)
        return GradientWork(self.objective, samples, self.chunk, self.points, answers)

    def shared(self, executor: Executor) -> MapReduceObjective:
        """Return the objective, computed by the executor's workers."""
        return MapReduceObjective(self.objective, executor, chunk=self.chunk)

    def seconds(self, shared: MapReduceObjective, iterations: int = 1) -> float:
        """Return the mean time of a few iterations, one after another.

        Raises
        ------
        LonglagError
            If one bit of an answer differs from the oracle's.
        """
        began = time.perf_counter()
        results = [shared.value_and_gradient(self.points[turn % 2], self.samples) for turn in range(iterations)]
        seconds = (time.perf_counter() - began) / iterations
        for turn, (value, gradient) in enumerate(results):
            expected, expected_gradient = self.answers[turn % 2]
            if value != expected or not torch.equal(gradient, expected_gradient):
                raise LonglagError(
                    f"the numbers of a {type(shared.executor).__name__} are not the bits of SerialExecutor: they "
                    "cannot be timed"
                )
        return seconds


def gradient_work(
    cells: int, samples: int, *, seed: int, chunk_seconds: float | None = None
) -> tuple[GradientWork, float | None]:
    """Return the gradient of the batch paper's network with so many memory cells, on sequences of 11 and 12 steps.

    Parameters
    ----------
    chunk_seconds : float, optional
        What a chunk should cost on a full core at least. Default: the cut that training has by default.

    Returns
    -------
    work : GradientWork
    cost : float, optional
        The measured seconds of a chunk, if ``chunk_seconds`` was given.
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
    return GradientWork(objective, drawn, chunk, points, _oracle(objective, drawn, chunk, points)), cost


def _oracle(
    objective: NetworkObjective, samples: SequenceBatch, chunk: int | None, points: Sequence[Tensor]
) -> list[tuple[float, Tensor]]:
    with SerialExecutor() as oracle:
        shared = MapReduceObjective(objective, oracle, chunk=chunk)
        return [shared.value_and_gradient(point, samples) for point in points]


def chunk_of(objective: NetworkObjective, samples: SequenceBatch, seconds: float) -> tuple[int, float]:
    """Return how many samples have a gradient of so many seconds at least (or all of them), and what it costs.

    Both on one thread.
    """
    theta, size = objective.theta, 1
    while True:
        piece = samples.select(torch.arange(size))
        cost = min(_busy(objective, theta, piece) for _ in range(5))
        if cost >= seconds or size == len(samples):
            return size, cost
        # Little by little: the cost of a sample falls with their number.
        size = min(len(samples), max(size + 1, math.ceil(size * min(1.1 * seconds / cost, 4.0))))


def _busy(objective: NetworkObjective, theta: Tensor, samples: SequenceBatch) -> float:
    """Return the processor time of a gradient."""
    with torch_threads(1):
        began = time.thread_time()
        objective.value_and_gradient(theta, samples)
        return time.thread_time() - began
