"""Limited-memory BFGS with a strong Wolfe search (Nocedal 1980; Liu & Nocedal 1989)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from longlag.checks import true_or_false
from longlag.optim.checks import number, require, require_part, whole
from longlag.optim.descent import DescentState, first_step, moved_to, no_lower_point
from longlag.optim.function import Function
from longlag.optim.line_search import SearchResult, StrongWolfe
from longlag.optim.minimise import begin
from longlag.optim.result import Outcome
from longlag.optim.two_loop import InverseBFGS
from longlag.optim.vectors import dot
from longlag.renamed import renamed_arguments

__all__ = ["LBFGSMethod", "LBFGSState", "damp"]


@dataclass
class LBFGSState(DescentState):
    """A point and the pairs of the last steps: s, the change of theta, and y, that of the gradient; oldest first."""

    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)


@renamed_arguments(history="history_size", lr="learning_rate")
@dataclass(frozen=True)
class LBFGSMethod:
    """L-BFGS and its options. Defaults are minFunc's, which the batch paper used.

    Parameters
    ----------
    history_size : int
        Pairs that are kept: 2 * history_size vectors of memory.
    learning_rate : float
        First trial of a line search, in units of the quasi-Newton step; on the first iteration, and after a restart,
        of min(1, 1/|g|_1) g.
    curvature_test : float
        A pair counts if s'y > curvature_test |s| |y|: the angle matters, not the scale of f or theta.
    damped : bool
        Powell 1978: a pair with s'y < 0.2 s'Bs has its y moved towards Bs until s'y = 0.2 s'Bs.
    line_search : StrongWolfe
        How far to go along a direction.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    history_size: int = 100
    learning_rate: float = 1.0
    curvature_test: float = 1e-8
    damped: bool = False
    line_search: StrongWolfe = field(default_factory=StrongWolfe)

    takes_curvature = False
    state_type = LBFGSState

    def __post_init__(self) -> None:
        size, rate, test = self.history_size, self.learning_rate, self.curvature_test
        require("LBFGS", "history_size", size, whole(size) >= 1, "a whole number of at least 1")
        require("LBFGS", "learning_rate", rate, 0 < number(rate) < math.inf, "a finite number above 0")
        require("LBFGS", "curvature_test", test, 0 <= number(test) < 1, "at least 0 and below 1")
        true_or_false("LBFGS: damped", self.damped)
        require_part("LBFGS", "line_search", self.line_search, StrongWolfe)

    def start(self, function: Function, theta: Tensor) -> LBFGSState:
        """Return the state at ``theta``, without pairs. It costs one gradient."""
        return LBFGSState(*begin(function, theta))

    def restart(self, function: Function, state: LBFGSState) -> LBFGSState:
        """Return the state on other samples, without pairs: two gradients of different samples show no curvature."""
        return self.start(function, state.theta)

    def step(self, function: Function, state: LBFGSState, *, last: bool = False) -> Outcome:
        """Search along one direction. Where that fails the pairs are forgotten; without pairs the method stalls."""
        direction, note = self._direction(state)
        first = self.learning_rate * (1.0 if state.steps else first_step(state.gradient))
        search = self.line_search.search(function, state.theta, state.value, state.gradient, direction, first)
        if search.status != "failed":
            self._remember(state, search)
            return moved_to(state, search, note)
        outcome = no_lower_point(search, bool(state.steps), note)
        if outcome.stop is None:
            state.steps, state.changes = [], []
        return outcome

    def _direction(self, state: LBFGSState) -> tuple[Tensor, str]:
        """Return the direction -Hg, or -g with a note where -Hg does not clearly point down in this precision."""
        direction = -(InverseBFGS(state.steps, state.changes) @ state.gradient)
        slope = dot(state.gradient, direction)
        norms = math.sqrt(dot(state.gradient, state.gradient) * dot(direction, direction))
        if state.steps and not slope < -torch.finfo(direction.dtype).eps * norms:
            state.steps, state.changes = [], []
            return -state.gradient, "no direction of descent: the pairs were forgotten"
        return direction, ""

    def _remember(self, state: LBFGSState, search: SearchResult) -> None:
        s = search.point.theta - state.theta
        y = search.point.gradient - state.gradient
        if self.damped and state.steps:
            # d = -H g, so B s = -a g: the matrix itself, for nothing. Without pairs B is I, which knows no scale.
            y = damp(s, y, -search.point.step * state.gradient)
        if dot(s, y) > self.curvature_test * math.sqrt(dot(s, s) * dot(y, y)):
            # New lists, so that one saved before does not change behind its owner's back.
            state.steps = [*state.steps, s][-self.history_size :]
            state.changes = [*state.changes, y][-self.history_size :]


def damp(s: Tensor, y: Tensor, bs: Tensor) -> Tensor:
    """Return y, moved towards Bs until s'y = 0.2 s'Bs where it is less (Nocedal & Wright 2006, procedure 18.2)."""
    sy, sbs = dot(s, y), dot(s, bs)
    if sy >= 0.2 * sbs:
        return y
    share = 0.8 * sbs / (sbs - sy)
    return share * y + (1 - share) * bs
