"""Nonlinear conjugate gradients with a strong Wolfe search (Nocedal & Wright 2006, section 5.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from longlag.checks import one_of
from longlag.optim.checks import number, require, require_part
from longlag.optim.descent import DescentState, first_step, moved_to, no_lower_point
from longlag.optim.function import Function
from longlag.optim.line_search import StrongWolfe
from longlag.optim.minimise import begin
from longlag.optim.result import Outcome
from longlag.optim.vectors import dot
from longlag.renamed import renamed_arguments

__all__ = ["CGMethod", "CGState", "Update"]

Update = Literal["hestenes-stiefel", "polak-ribiere+", "fletcher-reeves"]


@dataclass
class CGState(DescentState):
    """A point, and what the next direction needs of the last step.

    before, direction : the gradient before the step, and its direction; None after a restart.
    length : how far along the direction it went. fall : how much it lowered f.
    since : iterations since the last steepest descent.
    """

    before: Tensor | None = None
    direction: Tensor | None = None
    length: float = 0.0
    fall: float = 0.0
    since: int = 0


@renamed_arguments(lr="learning_rate")
@dataclass(frozen=True)
class CGMethod:
    """Nonlinear conjugate gradients and their options: d <- -g + beta d.

    Parameters
    ----------
    update : str
        beta, with y = g - g_before: "hestenes-stiefel" g'y / d'y (5.46), minFunc's default; "polak-ribiere+"
        max(0, g'y / g_before'g_before) (5.45); "fletcher-reeves" g'g / g_before'g_before (5.41).
    learning_rate : float
        Scales the first trial after a restart, min(1, 1/|g|_1).
    orthogonality : float, optional
        Powell 1977: restart when |g'g_before| >= orthogonality * g'g (5.52), for on a quadratic the two are orthogonal.
        None: no such test. Further restarts: every W iterations, and when d does not point down.
    line_search : StrongWolfe
        Its ``curvature`` has to be well below that of quasi-Newton methods; Fletcher-Reeves needs less than 0.5.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    update: Update = "hestenes-stiefel"
    learning_rate: float = 1.0
    orthogonality: float | None = 0.2
    line_search: StrongWolfe = field(default_factory=lambda: StrongWolfe(curvature=0.2))

    takes_curvature = False
    state_type = CGState

    def __post_init__(self) -> None:
        rate, test = self.learning_rate, self.orthogonality
        one_of("NonlinearCG: update", self.update, get_args(Update))
        require("NonlinearCG", "learning_rate", rate, 0 < number(rate) < math.inf, "a finite number above 0")
        require("NonlinearCG", "orthogonality", test, test is None or number(test) > 0, "None or above 0")
        require_part("NonlinearCG", "line_search", self.line_search, StrongWolfe)

    def start(self, function: Function, theta: Tensor) -> CGState:
        """Return the state at ``theta``; the steepest descent comes first. It costs one gradient."""
        return CGState(*begin(function, theta))

    def restart(self, function: Function, state: CGState) -> CGState:
        """Return the state on other samples, before a steepest descent."""
        return self.start(function, state.theta)

    def step(self, function: Function, state: CGState, *, last: bool = False) -> Outcome:
        """Search once along one direction. Where that fails the steepest descent is next; then the method stalls."""
        direction, first, note = self._direction(state)
        steepest = state.direction is None
        search = self.line_search.search(function, state.theta, state.value, state.gradient, direction, first)
        if search.status == "failed":
            outcome = no_lower_point(search, not steepest, note)
            if outcome.stop is None:
                _forget(state)
            return outcome
        state.before, state.direction, state.length = state.gradient, direction, search.point.step
        state.fall, state.since = state.value - search.point.value, state.since + 1
        return moved_to(state, search, note)

    def _direction(self, state: CGState) -> tuple[Tensor, float, str]:
        """Return the direction, the first trial along it, and a note where it is a restart before its time."""
        g, note = state.gradient, ""
        if state.before is not None and state.direction is not None:
            if state.since >= g.numel():
                _forget(state)
            elif self._turned(g, state.before):
                note = "successive gradients are far from orthogonal: restart"
            else:
                direction = -g + self._beta(g, state.before, state.direction) * state.direction
                slope = dot(g, direction)
                norms = math.sqrt(dot(g, g) * dot(direction, direction))
                if slope < -torch.finfo(g.dtype).eps * norms:
                    return direction, _first(state, slope), note
                note = "no direction of descent: restart"
            _forget(state)
        return -g, self.learning_rate * first_step(g), note

    def _turned(self, g: Tensor, before: Tensor) -> bool:
        return self.orthogonality is not None and abs(dot(g, before)) >= self.orthogonality * dot(g, g)

    def _beta(self, g: Tensor, before: Tensor, direction: Tensor) -> float:
        y = g - before
        if self.update == "hestenes-stiefel":
            return _ratio(dot(g, y), dot(direction, y))
        if self.update == "polak-ribiere+":
            return max(0.0, _ratio(dot(g, y), dot(before, before)))
        return _ratio(dot(g, g), dot(before, before))


def _ratio(above: float, below: float) -> float:
    """Divide; NaN where ``below`` is 0. The direction is then none of descent, and the method restarts."""
    return above / below if below else math.nan


def _first(state: CGState, slope: float) -> float:
    """Return the step that would lower f as much as the last one did (3.60), at most ten times as long as that one."""
    return min(2 * state.fall / -slope, 10 * state.length)


def _forget(state: CGState) -> None:
    state.before = state.direction = None
    state.since = 0
