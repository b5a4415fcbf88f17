"""The driver that all methods share: iterate, record, and say why it ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from longlag.errors import DivergenceError, InputError
from longlag.optim.counting import Budget, BudgetSpent, Counted, Meter
from longlag.optim.function import Function
from longlag.optim.result import Outcome, Record, Result, Stop
from longlag.optim.vectors import check_theta, finite, largest, require

__all__ = ["Callback", "Loop", "Method", "State", "Tolerances", "begin", "minimise"]


class State(Protocol):
    """What every method remembers. Its fields are tensors and numbers, and lists of them."""

    @property
    def theta(self) -> Tensor:
        """(W,), finite."""
        ...

    @property
    def value(self) -> float:
        """f(theta), finite."""
        ...

    @property
    def gradient(self) -> Tensor | None:
        """(W,), finite; None when it was not taken: after the last step on some samples, or of the budget."""
        ...


M = TypeVar("M", bound=State)
Callback = Callable[[Record, State], bool]
"""Called after every iteration; True stops. The state is the method's own: read it, copy it, do not change it."""


class Method(Protocol[M]):
    """An optimisation method: frozen options. What it learns on the way is in the state."""

    @property
    def takes_curvature(self) -> bool:
        """Whether it asks for the curvature wherever it has asked for a gradient: one Jacobian may give both."""
        ...

    def start(self, function: Function, theta: Tensor) -> M:
        """The state before the first iteration. One gradient."""
        ...

    def restart(self, function: Function, state: M) -> M:
        """The state before an iteration on other samples: what holds for the old ones alone is forgotten."""
        ...

    def step(self, function: Function, state: M, *, last: bool = False) -> Outcome:
        """One outer iteration. Theta changes to a better finite point, or not by a single bit.

        ``last``: none follows on this function, so a gradient at the new point is not taken for its own sake.
        """
        ...


@dataclass(frozen=True)
class Tolerances:
    """When to stop.

    gradient : converged when no derivative is larger; progress : stalled when an iteration that moved lowered the
    value by no more than this, relative to the largest of 1, the value before and the value after.
    """

    gradient: float = 1e-5
    progress: float = 1e-9

    def __post_init__(self) -> None:
        for name, value in (("gradient", self.gradient), ("progress", self.progress)):
            require("Tolerances", name, value, value >= 0, "at least 0")


def begin(function: Function, theta: Tensor) -> tuple[Tensor, float, Tensor]:
    """A copy of theta, the value and the gradient there.

    Raises
    ------
    InputError
        If theta is not a flat, finite float vector, or the gradient has another shape.
    DivergenceError
        If value or gradient are not finite: there is no finite point to go back to.
    """
    check_theta(theta)
    theta = theta.detach().clone()
    value, gradient = function.value_and_gradient(theta)
    if gradient.shape != theta.shape:
        raise InputError(f"the gradient is {tuple(gradient.shape)}; expected theta's {tuple(theta.shape)}")
    if not math.isfinite(value) or not finite(gradient):
        what = "gradient" if math.isfinite(value) else "loss"
        raise DivergenceError(f"the {what} is not finite at the parameters to start from; expected a finite start")
    return theta, value, gradient


class Loop(Generic[M]):
    """Iterations of one method under one meter; the history goes on from one set of samples to the next."""

    def __init__(
        self, method: Method[M], meter: Meter, tolerances: Tolerances | None = None, callback: Callback | None = None
    ) -> None:
        self.method, self.meter = method, meter
        self.tolerances = Tolerances() if tolerances is None else tolerances
        self.callback = callback
        self.history: list[Record] = []

    def counted(self, function: Function) -> Counted:
        """The function under this loop's meter."""
        return Counted(function, self.meter, linearise=self.method.takes_curvature)

    def run(self, function: Function, state: M, iterations: int, *, leaves: bool = False) -> Stop | None:
        """Up to ``iterations`` more. None when all were used. ``leaves``: the samples are others afterwards."""
        for iteration in range(iterations):
            if stop := self._flat(state):
                return stop
            before = state.value
            outcome = self.method.step(function, state, last=leaves and iteration == iterations - 1)
            if stop := self._record(state, outcome) or outcome.stop or self._slow(before, state, outcome):
                return stop
        return self._flat(state)

    def result(self, state: M, stop: Stop) -> Result:
        """The end, as the user gets it."""
        return Result(state.theta, state.value, stop.status, stop.reason, self.meter.evaluations, tuple(self.history))

    def nowhere(self, theta: Tensor, spent: BudgetSpent) -> Result:
        """The end before the first gradient: theta as it was given, at a value nobody knows."""
        return Result(theta.detach().clone(), math.nan, "budget", str(spent), self.meter.evaluations, ())

    def _flat(self, state: M) -> Stop | None:
        if state.gradient is None or largest(state.gradient) > self.tolerances.gradient:
            return None
        return Stop("converged", f"no derivative is larger than {self.tolerances.gradient:g}")

    def _slow(self, before: float, state: M, outcome: Outcome) -> Stop | None:
        # The last step may have reached the minimum: then the gradient says so, which is the better news.
        if not outcome.moved or self._flat(state):
            return None
        scale = max(1.0, abs(before), abs(state.value))
        if before - state.value > self.tolerances.progress * scale:
            return None
        return Stop("stalled", f"the value fell by {before - state.value:g}, tolerance {self.tolerances.progress:g}")

    def _record(self, state: M, outcome: Outcome) -> Stop | None:
        norm = math.nan if state.gradient is None else largest(state.gradient)
        record = Record(
            iteration=len(self.history) + 1,
            value=state.value,
            gradient_norm=norm,
            step=outcome.step,
            evaluations=self.meter.evaluations,
            inner=outcome.inner,
            damping=outcome.damping,
            note=outcome.note,
        )
        self.history.append(record)
        if self.callback is not None and self.callback(record, state):
            return Stop("stopped", f"the callback stopped it after iteration {record.iteration}")
        return None


def minimise(
    method: Method[M],
    function: Function,
    theta: Tensor,
    *,
    max_iterations: int = 100,
    budget: Budget | None = None,
    tolerances: Tolerances | None = None,
    callback: Callback | None = None,
) -> Result:
    """Minimise ``function`` from ``theta`` (W,), which is not changed.

    Raises
    ------
    InputError
        If theta or an option cannot be used.
    DivergenceError
        If the function is not finite at ``theta``. Later such points are stepped back from.
    """
    require("minimise", "max_iterations", max_iterations, max_iterations >= 0, "at least 0")
    loop = Loop(method, Meter(budget), tolerances, callback)
    counted = loop.counted(function)
    try:
        state = method.start(counted, theta)
    except BudgetSpent as spent:
        return loop.nowhere(theta, spent)
    used_up = Stop("budget", f"all {max_iterations} iterations were used")
    return loop.result(state, loop.run(counted, state, max_iterations) or used_up)
