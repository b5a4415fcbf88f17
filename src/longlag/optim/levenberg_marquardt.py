"""Levenberg-Marquardt with the dense Gauss-Newton matrix: for up to some thousand weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from longlag.checks import one_of
from longlag.optim.checks import number, require, whole
from longlag.optim.counting import BudgetSpent
from longlag.optim.function import Function
from longlag.optim.minimise import begin
from longlag.optim.result import Outcome, Stop
from longlag.optim.state import PackedState
from longlag.optim.vectors import dot, finite

__all__ = ["LevenbergMarquardtMethod", "LevenbergMarquardtState"]


@dataclass
class LevenbergMarquardtState(PackedState):
    """A point and its damping.

    gradient : None where it was not taken. damping : lambda, 0 before the first step. factor : Nielsen's nu.
    """

    theta: Tensor
    value: float
    gradient: Tensor | None
    damping: float = 0.0
    factor: float = 2.0


@dataclass(frozen=True)
class LevenbergMarquardtMethod:
    """Levenberg-Marquardt and its options. One step solves (G + lambda D) p = -g by Cholesky in float64.

    lambda is raised until f falls.

    Parameters
    ----------
    damping : float
        lambda to begin with; with scaling "identity" relative to the largest diagonal entry of G.
    scaling : {"diagonal", "identity"}
        D: I (Levenberg 1944), or diag(G) (Marquardt 1963), which does not depend on the scale of a weight; but a weight
        without influence, as those behind a shut gate are at first, it hardly holds at all, and is led astray.
    update : {"nielsen", "marquardt"}
        With the gain ratio rho = (f(theta) - f(theta + p)) / (q(0) - q(p)), q undamped. "nielsen" (1999): lambda *=
        max(1/3, 1 - (2 rho - 1)^3) after a step, *= nu after a trial that failed, nu = 2, 4, 8 ...; "marquardt": / 10
        and * 10.
    max_trials : int
        Trials of one step at most; then the method has stalled.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    damping: float = 1e-3
    scaling: Literal["diagonal", "identity"] = "identity"
    update: Literal["nielsen", "marquardt"] = "nielsen"
    max_trials: int = 40

    takes_curvature = True
    state_type = LevenbergMarquardtState

    def __post_init__(self) -> None:
        damping, trials = self.damping, self.max_trials
        require("LevenbergMarquardt", "damping", damping, 0 < number(damping) < math.inf, "a finite number above 0")
        one_of("LevenbergMarquardt: scaling", self.scaling, ("diagonal", "identity"))
        one_of("LevenbergMarquardt: update", self.update, ("nielsen", "marquardt"))
        require("LevenbergMarquardt", "max_trials", trials, whole(trials) >= 1, "a whole number of at least 1")

    def start(self, function: Function, theta: Tensor) -> LevenbergMarquardtState:
        """Return the state at ``theta``. It costs one gradient."""
        return LevenbergMarquardtState(*begin(function, theta))

    def restart(self, function: Function, state: LevenbergMarquardtState) -> LevenbergMarquardtState:
        """Return the state on other samples, with the damping of before."""
        theta, value, gradient = begin(function, state.theta)
        return replace(state, theta=theta, value=value, gradient=gradient)

    def step(self, function: Function, state: LevenbergMarquardtState, *, last: bool = False) -> Outcome:
        """Make one matrix, and try steps until one lowers f.

        A trial takes the gradient along, for most succeed at once; with ``last`` it takes the value alone.
        """
        trials, used, refused, stop = 0, state.damping, 0, None
        try:
            if state.gradient is None:
                _, state.value, state.gradient = begin(function, state.theta)
            gradient = state.gradient
            matrix = function.curvature(state.theta).dense().double()
            if not finite(matrix):
                return Outcome(False, 0.0, 0, used, stop=Stop("stalled", "the curvature is not finite"))
            scale = self._scale(matrix)
            used = state.damping = state.damping or self.damping * self._unit(matrix)
            while trials < self.max_trials:
                trials, used = trials + 1, state.damping
                p = solve(matrix, used * scale, gradient)
                refused += p is None
                if p is not None and self._try(function, state, Quadratic(gradient, matrix), p, last):
                    return Outcome(True, math.sqrt(dot(p, p)), trials, used, note(refused))
                state.damping, state.factor = self._more(state)
                if not math.isfinite(state.damping):
                    break
            stop = Stop("stalled", f"no lower point in {trials} trials, the damping up to {used:g}")
        except BudgetSpent as spent:
            stop = Stop("budget", str(spent))
        state.damping = used
        return Outcome(False, 0.0, trials, used, note(refused), stop)

    def _try(self, function: Function, state: LevenbergMarquardtState, model: Quadratic, p: Tensor, last: bool) -> bool:
        """Move by ``p`` if that lowers f and is finite."""
        theta, gradient = state.theta + p.to(state.theta.dtype), None
        if last:
            value = function.value(theta)
        else:
            value, gradient = function.value_and_gradient(theta)
        if not (value < state.value and math.isfinite(value) and finite(theta)):
            return False
        if gradient is not None and not finite(gradient):
            return False
        promised = model.fall(p)
        state.damping = self._less(state.damping, (state.value - value) / promised if promised > 0 else 0.0)
        state.theta, state.value, state.gradient, state.factor = theta, value, gradient, 2.0
        return True

    def _scale(self, matrix: Tensor) -> Tensor:
        """Return the diagonal of D. A weight without influence gets a little, or nothing would hold it."""
        if self.scaling == "identity":
            return torch.ones_like(matrix.diagonal())
        diagonal = matrix.diagonal().clamp(min=0)
        return diagonal.clamp(min=max(1e-16 * float(diagonal.max()), torch.finfo(torch.float64).tiny))

    def _unit(self, matrix: Tensor) -> float:
        """Return what the first damping is relative to."""
        largest = float(matrix.diagonal().max()) if self.scaling == "identity" else 1.0
        return largest if largest > 0 else 1.0

    def _less(self, damping: float, gain: float) -> float:
        """Return the damping after a step whose gain ratio was ``gain``."""
        if self.update == "marquardt":
            return max(damping / 10, torch.finfo(torch.float64).tiny)
        # Beyond a gain of 1 the cube only grows, and the third stays.
        return max(damping * max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3), torch.finfo(torch.float64).tiny)

    def _more(self, state: LevenbergMarquardtState) -> tuple[float, float]:
        """Return the damping and Nielsen's nu after a trial that failed."""
        if self.update == "marquardt":
            return 10 * state.damping, state.factor
        return state.factor * state.damping, 2 * state.factor


class Quadratic(NamedTuple):
    """The undamped model q(p) = g'p + p'Gp / 2 of f(theta + p)."""

    gradient: Tensor
    matrix: Tensor

    def fall(self, p: Tensor) -> float:
        """Return how much the model promises that f falls: q(0) - q(p)."""
        return -dot(self.gradient, p) - 0.5 * dot(p, self.matrix @ p)


def solve(matrix: Tensor, damping: Tensor, gradient: Tensor) -> Tensor | None:
    """Solve (G + diag(damping)) p = -g in float64 for p; None where that matrix is not positive definite."""
    factor, failed = torch.linalg.cholesky_ex(matrix + damping.diag())
    if int(failed):
        return None
    p = torch.cholesky_solve(-gradient.double()[:, None], factor)[:, 0]
    return p if finite(p) else None


def note(refused: int) -> str:
    """Return a note on the matrix for the record of the iteration."""
    return f"the damped matrix was not positive definite in {refused} trials" if refused else ""
