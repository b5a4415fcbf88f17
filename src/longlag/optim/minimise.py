"""The driver that all methods share: iterate, record, and say why it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from torch import Tensor

from longlag.errors import DivergenceError, InputError
from longlag.optim.checks import number, require, whole
from longlag.optim.counting import Budget, BudgetSpent, CountingFunction, EvaluationCounter
from longlag.optim.function import Function
from longlag.optim.result import Outcome, Record, Result, Stop
from longlag.optim.vectors import check_theta, finite, largest
from longlag.renamed import renamed_arguments

__all__ = ["Callback", "Loop", "Method", "State", "Tolerances", "begin", "minimise"]


class State(Protocol):
    """What every method remembers: a dataclass, which ``PackedState`` turns into named tensors and back."""

    @property
    def theta(self) -> Tensor:
        """The point (W,), which is finite."""
        ...

    @property
    def value(self) -> float:
        """The function's value there, f(theta), which is finite."""
        ...

    @property
    def gradient(self) -> Tensor | None:
        """The gradient there (W,), which is finite; None when it was not taken.

        It is not taken after the last step on some samples, nor once the budget is spent.
        """
        ...

    def pack(self) -> dict[str, Tensor]:
        """Return the state as named tensors."""
        ...

    @classmethod
    def unpack(cls, packed: Mapping[str, Tensor]) -> Self:
        """Return the state that ``pack`` took, to the bit.

        CheckpointError if the tensors are not those of such a state.
        """
        ...


M = TypeVar("M", bound=State)
Callback = Callable[[Record, State], bool]
"""Called after every iteration; True stops. The state is the method's own: read it, copy it, do not change it."""


class Method(Protocol[M]):
    """An optimisation method: a frozen dataclass of its options. What it learns on the way is in the state."""

    @property
    def state_type(self) -> type[M]:
        """The class of its states."""
        ...

    @property
    def takes_curvature(self) -> bool:
        """Whether it asks for the curvature wherever it has asked for a gradient: one Jacobian may give both."""
        ...

    def start(self, function: Function, theta: Tensor) -> M:
        """Return the state at ``theta``, before the first iteration. It costs one gradient."""
        ...

    def restart(self, function: Function, state: M) -> M:
        """Return the state before an iteration on other samples, without what holds for the old ones alone."""
        ...

    def step(self, function: Function, state: M, *, last: bool = False) -> Outcome:
        """Make one outer iteration. Theta changes to a better finite point, or not by a single bit.

        With ``last`` no iteration follows on this function, so the gradient at the new point need not be taken.
        """
        ...


@renamed_arguments(progress="change")
@dataclass(frozen=True)
class Tolerances:
    """When an optimisation stops.

    Parameters
    ----------
    gradient : float
        It has converged when no derivative is larger.
    change : float
        It has stalled when an iteration that moved lowered the value by no more than this, relative to the largest of
        1, the value before and the value after.

    Raises
    ------
    InputError
        For what is not a number of at least 0.
    """

    gradient: float = 1e-5
    change: float = 1e-9

    def __post_init__(self) -> None:
        for name, value in (("gradient", self.gradient), ("change", self.change)):
            require("Tolerances", name, value, number(value) >= 0, "at least 0")


def begin(function: Function, theta: Tensor) -> tuple[Tensor, float, Tensor]:
    """Take the value and the gradient at ``theta``; return a copy of it with both.

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
    """Iterations of one method under one counter; the history goes on from one set of samples to the next."""

    def __init__(
        self,
        method: Method[M],
        counter: EvaluationCounter,
        tolerances: Tolerances | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.method, self.counter = method, counter
        self.tolerances = Tolerances() if tolerances is None else tolerances
        self.callback = callback
        self.history: list[Record] = []

    def counted(self, function: Function) -> CountingFunction:
        """Return the function, counted by this loop's counter."""
        return CountingFunction(function, self.counter, linearise=self.method.takes_curvature)

    def run(self, function: Function, state: M, iterations: int, *, leaves: bool = False) -> Stop | None:
        """Make up to ``iterations`` more. Return why it stopped; None when all were used.

        With ``leaves`` the samples are others afterwards, so the last iteration need not take its gradient.
        """
        for iteration in range(iterations):
            if stop := self._flat(state):
                return stop
            before = state.value
            outcome = self.method.step(function, state, last=leaves and iteration == iterations - 1)
            if stop := self._record(state, outcome) or outcome.stop or self._slow(before, state, outcome):
                return stop
        return self._flat(state)

    def result(self, state: M, stop: Stop) -> Result:
        """Return the end of the optimisation at ``state``, as the user gets it."""
        return Result(state.theta, state.value, stop.status, stop.reason, self.counter.evaluations, tuple(self.history))

    def nowhere(self, theta: Tensor, spent: BudgetSpent) -> Result:
        """Return the end of an optimisation whose budget had no gradient: at ``theta``, whose value nobody knows."""
        return Result(theta.detach().clone(), math.nan, "budget", str(spent), self.counter.evaluations, ())

    def _flat(self, state: M) -> Stop | None:
        if state.gradient is None or largest(state.gradient) > self.tolerances.gradient:
            return None
        return Stop("converged", f"no derivative is larger than {self.tolerances.gradient:g}")

    def _slow(self, before: float, state: M, outcome: Outcome) -> Stop | None:
        # The last step may have reached the minimum: then the gradient says so, which is the better news.
        if not outcome.moved or self._flat(state):
            return None
        scale = max(1.0, abs(before), abs(state.value))
        if before - state.value > self.tolerances.change * scale:
            return None
        return Stop("stalled", f"the value fell by {before - state.value:g}, tolerance {self.tolerances.change:g}")

    def _record(self, state: M, outcome: Outcome) -> Stop | None:
        norm = math.nan if state.gradient is None else largest(state.gradient)
        record = Record(
            iteration=len(self.history) + 1,
            value=state.value,
            gradient_norm=norm,
            step=outcome.step,
            evaluations=self.counter.evaluations,
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
    require("minimise", "max_iterations", max_iterations, whole(max_iterations) >= 0, "a whole number of at least 0")
    loop = Loop(method, EvaluationCounter(budget), tolerances, callback)
    counted = loop.counted(function)
    try:
        state = method.start(counted, theta)
    except BudgetSpent as spent:
        return loop.nowhere(theta, spent)
    used_up = Stop("budget", f"all {max_iterations} iterations were used")
    return loop.result(state, loop.run(counted, state, max_iterations) or used_up)
