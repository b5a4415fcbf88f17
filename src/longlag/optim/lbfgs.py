"""Limited-memory BFGS with a strong Wolfe search (Nocedal 1980; Liu & Nocedal 1989)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from longlag.optim.descent import DescentState, first_step, moved_to, no_lower_point
from longlag.optim.function import Function
from longlag.optim.line_search import Found, StrongWolfe
from longlag.optim.minimise import begin
from longlag.optim.result import Outcome
from longlag.optim.two_loop import InverseBFGS
from longlag.optim.vectors import dot, require

__all__ = ["LBFGSMethod", "LBFGSState", "damp"]


@dataclass
class LBFGSState(DescentState):
    """The pairs s = change of theta, y = change of the gradient, oldest first."""

    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class LBFGSMethod:
    """Options of L-BFGS. Defaults are minFunc's, which the batch paper used.

    Parameters
    ----------
    history : int
        Pairs kept: 2 * history vectors of memory.
    lr : float
        First trial of a line search, in units of the quasi-Newton step; on the first iteration, and after a restart,
        of min(1, 1/|g|_1) g.
    curvature_test : float
        A pair counts if s'y > curvature_test |s| |y|: the angle matters, not the scale of f or theta.
    damped : bool
        Powell 1978: a pair with s'y < 0.2 s'Bs has its y moved towards Bs until s'y = 0.2 s'Bs.
    line_search : StrongWolfe
    """

    history: int = 100
    lr: float = 1.0
    curvature_test: float = 1e-8
    damped: bool = False
    line_search: StrongWolfe = field(default_factory=StrongWolfe)

    takes_curvature = False

    def __post_init__(self) -> None:
        require("LBFGS", "history", self.history, self.history >= 1, "at least 1")
        require("LBFGS", "lr", self.lr, 0 < self.lr < math.inf, "a finite number above 0")
        test = self.curvature_test
        require("LBFGS", "curvature_test", test, 0 <= test < 1, "at least 0 and below 1")

    def start(self, function: Function, theta: Tensor) -> LBFGSState:
        """No pairs yet. One gradient."""
        return LBFGSState(*begin(function, theta))

    def restart(self, function: Function, state: LBFGSState) -> LBFGSState:
        """On other samples: no pairs, for a difference of gradients of two sets of samples is no curvature."""
        return self.start(function, state.theta)

    def step(self, function: Function, state: LBFGSState, *, last: bool = False) -> Outcome:
        """One direction and one line search. Where that fails with pairs, they are forgotten; without, it stalls."""
        direction, note = self._direction(state)
        first = self.lr * (1.0 if state.steps else first_step(state.gradient))
        found = self.line_search.search(function, state.theta, state.value, state.gradient, direction, first)
        if found.status != "failed":
            self._remember(state, found)
            return moved_to(state, found, note)
        outcome = no_lower_point(found, bool(state.steps), note)
        if outcome.stop is None:
            state.steps, state.changes = [], []
        return outcome

    def _direction(self, state: LBFGSState) -> tuple[Tensor, str]:
        """-Hg; -g when that does not point down, or not clearly so in this precision."""
        direction = -(InverseBFGS(state.steps, state.changes) @ state.gradient)
        slope = dot(state.gradient, direction)
        norms = math.sqrt(dot(state.gradient, state.gradient) * dot(direction, direction))
        if state.steps and not slope < -torch.finfo(direction.dtype).eps * norms:
            state.steps, state.changes = [], []
            return -state.gradient, "no direction of descent: the pairs were forgotten"
        return direction, ""

    def _remember(self, state: LBFGSState, found: Found) -> None:
        s = found.point.theta - state.theta
        y = found.point.gradient - state.gradient
        if self.damped and state.steps:
            # d = -H g, so B s = -a g: the matrix itself, for nothing. Without pairs B is I, which knows no scale.
            y = damp(s, y, -found.point.step * state.gradient)
        if dot(s, y) > self.curvature_test * math.sqrt(dot(s, s) * dot(y, y)):
            # New lists, so that one saved before does not change behind its owner's back.
            state.steps = [*state.steps, s][-self.history :]
            state.changes = [*state.changes, y][-self.history :]


def damp(s: Tensor, y: Tensor, bs: Tensor) -> Tensor:
    """y, or what of it and Bs together has s'y = 0.2 s'Bs (Nocedal & Wright 2006, procedure 18.2)."""
    sy, sbs = dot(s, y), dot(s, bs)
    if sy >= 0.2 * sbs:
        return y
    share = 0.8 * sbs / (sbs - sy)
    return share * y + (1 - share) * bs
