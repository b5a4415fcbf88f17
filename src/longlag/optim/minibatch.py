"""Mini-batches for batch methods: some iterations on each, and nothing that holds for one batch alone outlives it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from longlag.errors import DivergenceError, InputError
from longlag.optim.checks import number, require, whole
from longlag.optim.counting import Budget, BudgetSpent, EvaluationCounter
from longlag.optim.function import BoundObjective, Function, SampleObjective, SeparateCurvature
from longlag.optim.minimise import Callback, Loop, Method, State, Tolerances
from longlag.optim.result import Result, Stop
from longlag.renamed import renamed_arguments

__all__ = ["growing", "index_batches", "minimise_batches"]

M = TypeVar("M", bound=State)
S = TypeVar("S")


@renamed_arguments(inner="inner_iterations", curvature_samples="curvature_batch")
def minimise_batches(
    method: Method[M],
    objective: SampleObjective[S],
    theta: Tensor,
    batches: Iterable[S],
    *,
    inner_iterations: int = 20,
    curvature_batch: Callable[[S], S] | None = None,
    budget: Budget | None = None,
    tolerances: Tolerances | None = None,
    callback: Callback | None = None,
) -> Result:
    """Minimise an objective on one batch after another.

    Between batches ``method.restart`` decides what is kept: L-BFGS and CG begin anew, for a curvature pair needs both
    gradients of the same samples; Hessian-free and Levenberg-Marquardt keep their damping. ``inner_iterations=1`` suits
    Hessian-free.

    Parameters
    ----------
    batches : iterable
        Batches, each whatever the objective takes. A generator may make them larger as it goes (``growing``).
    inner_iterations : int
        Iterations on each batch at most; where the method converges or stalls on one, it goes on to the next.
    curvature_batch : callable, optional
        From a batch, the one to take the curvature on; otherwise it is the same.
    budget, tolerances, callback
        As for ``minimise``.

    Raises
    ------
    InputError
        If there is no batch, or an option cannot be used.
    DivergenceError
        If the objective is not finite at ``theta`` on the first batch. On a later one, that is why the result stopped.
    """
    least = "a whole number of at least 1"
    require("minimise_batches", "inner_iterations", inner_iterations, whole(inner_iterations) >= 1, least)
    loop = Loop(method, EvaluationCounter(budget), tolerances, callback)
    state: M | None = None
    count = 0
    for count, batch in enumerate(batches, 1):
        function: Function = BoundObjective(objective, batch)
        if curvature_batch is not None:
            function = SeparateCurvature(function, BoundObjective(objective, curvature_batch(batch)))
        counted = loop.counted(function)
        try:
            state = method.start(counted, theta) if state is None else method.restart(counted, state)
        except BudgetSpent as spent:
            if state is None:
                return loop.nowhere(theta, spent)
            return loop.result(state, Stop("budget", str(spent)))
        except DivergenceError as error:
            if state is None:
                raise
            return loop.result(state, Stop("stalled", f"batch {count}: {error}"))
        stop = loop.run(counted, state, inner_iterations, leaves=True)
        if stop is not None and stop.status in ("budget", "stopped"):
            return loop.result(state, stop)
    if state is None:
        raise InputError("minimise_batches: there is no batch; expected at least one")
    return loop.result(state, Stop("budget", f"all {count} batches were used"))


def growing(first: int, growth: float, count: int) -> Iterator[int]:
    """Yield sizes of batches without end: ``first`` * ``growth``^k rounded down, at most ``count``."""
    require("growing", "first", first, 1 <= whole(first) <= count, f"from 1 to the {count} samples")
    require("growing", "growth", growth, 1 <= number(growth) < math.inf, "a finite number, at least 1")
    return _growing(float(first), growth, count)


def _growing(size: float, growth: float, count: int) -> Iterator[int]:
    while True:
        yield min(int(size), count)
        size = min(size * growth, float(count))


def index_batches(count: int, sizes: Iterable[int], generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled indices (size,) into ``count`` samples for each of ``sizes``, none of them twice in a batch.

    The samples are dealt out in a random order; what is left and too few for the next batch is shuffled in again.
    """
    order = torch.empty(0, dtype=torch.long, device=generator.device)
    for size in sizes:
        require("index_batches", "a size", size, 1 <= whole(size) <= count, f"from 1 to the {count} samples")
        if order.numel() < size:
            order = torch.randperm(count, generator=generator, device=generator.device)
        yield order[:size]
        order = order[size:]
