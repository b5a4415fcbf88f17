"""Mini-batches for batch methods: some iterations on each batch, and nothing from one batch mistaken for another's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from longlag.errors import DivergenceError, InputError
from longlag.optim.counting import Budget, BudgetSpent, Meter
from longlag.optim.function import Bound, Function, SampleObjective, SeparateCurvature
from longlag.optim.minimise import Callback, Loop, Method, State, Tolerances
from longlag.optim.result import Result, Stop
from longlag.optim.vectors import require

__all__ = ["growing", "index_batches", "minimise_batches"]

M = TypeVar("M", bound=State)
S = TypeVar("S")


def minimise_batches(
    method: Method[M],
    objective: SampleObjective[S],
    theta: Tensor,
    batches: Iterable[S],
    *,
    inner: int = 20,
    curvature_samples: Callable[[S], S] | None = None,
    budget: Budget | None = None,
    tolerances: Tolerances | None = None,
    callback: Callback | None = None,
) -> Result:
    """Up to ``inner`` iterations on each batch in turn; converged or stalled on one, it goes on to the next.

    Between batches ``method.restart`` decides what is kept: L-BFGS and CG begin anew, for a curvature pair needs both
    gradients of the same samples; Hessian-free (give it ``inner=1``) and Levenberg-Marquardt keep their damping.

    Parameters
    ----------
    batches : iterable of samples
        Whatever the objective takes. A generator may make them longer as it goes (``growing``).
    curvature_samples : callable, optional
        From a batch, the samples to take the curvature on.

    Raises
    ------
    InputError
        If there is no batch, or an option cannot be used.
    DivergenceError
        If the objective is not finite at ``theta`` on the first batch. On a later one, that is why the result stopped.
    """
    require("minimise_batches", "inner", inner, inner >= 1, "at least 1")
    loop = Loop(method, Meter(budget), tolerances, callback)
    state: M | None = None
    number = 0
    for number, samples in enumerate(batches, 1):
        function: Function = Bound(objective, samples)
        if curvature_samples is not None:
            function = SeparateCurvature(function, Bound(objective, curvature_samples(samples)))
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
            return loop.result(state, Stop("stalled", f"batch {number}: {error}"))
        stop = loop.run(counted, state, inner, leaves=True)
        if stop is not None and stop.status in ("budget", "stopped"):
            return loop.result(state, stop)
    if state is None:
        raise InputError("minimise_batches: there is no batch; expected at least one")
    return loop.result(state, Stop("budget", f"all {number} batches were used"))


def growing(first: int, growth: float, count: int) -> Iterator[int]:
    """Sizes of batches without end: ``first`` * ``growth``^k rounded down, at most ``count``."""
    require("growing", "first", first, 1 <= first <= count, f"from 1 to the {count} samples")
    require("growing", "growth", growth, 1 <= growth < math.inf, "a finite number, at least 1")
    return _growing(float(first), growth, count)


def _growing(size: float, growth: float, count: int) -> Iterator[int]:
    while True:
        yield min(int(size), count)
        size = min(size * growth, float(count))


def index_batches(count: int, sizes: Iterable[int], generator: torch.Generator) -> Iterator[Tensor]:
    """Indices (size,) into ``count`` samples, for each of ``sizes``: shuffled, and no sample twice in a batch.

    The samples are dealt out in a random order; what is left and too few for the next batch is shuffled in again.
    """
    order = torch.empty(0, dtype=torch.long)
    for size in sizes:
        require("index_batches", "a size", size, 1 <= size <= count, f"from 1 to the {count} samples")
        if order.numel() < size:
            order = torch.randperm(count, generator=generator)
        yield order[:size]
        order = order[size:]
