"""An optimiser that the library does not know: one file, and one line in the table of optimisers (see the tests).

Its state holds what none of the library's own does: a dict, and a tensor and a number that may be None.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from longlag.optim.checks import number, require
from longlag.optim.function import Function
from longlag.optim.minimise import begin
from longlag.optim.result import Outcome
from longlag.optim.state import PackedState


@dataclass
class ToyState(PackedState):
    """A point, and running means of the gradient."""

    theta: Tensor
    value: float
    gradient: Tensor
    means: dict[str, Tensor] = field(default_factory=dict)
    before: Tensor | None = None
    longest: float | None = None
    steps: int = 0
    moved: bool = False


@dataclass(frozen=True)
class ToyMethod:
    """Descent along two running means of the gradient, with steps of a given length."""

    length: float = 0.1
    decay: float = 0.5

    takes_curvature = False
    state_type = ToyState

    def __post_init__(self) -> None:
        require("Toy", "length", self.length, number(self.length) > 0, "a number above 0")

    def start(self, function: Function, theta: Tensor) -> ToyState:
        return ToyState(*begin(function, theta))

    def restart(self, function: Function, state: ToyState) -> ToyState:
        return ToyState(*begin(function, state.theta), state.means, state.before, state.longest, state.steps)

    def step(self, function: Function, state: ToyState, *, last: bool = False) -> Outcome:
        state.before = state.gradient if state.steps else None
        for name, decay in (("slow.mean", self.decay), ("fast", 0.0)):
            mean = state.means.get(name, torch.zeros_like(state.theta))
            state.means = {**state.means, name: decay * mean + (1 - decay) * state.gradient}
        direction = sum(state.means.values()) + (0 if state.before is None else 0.1 * state.before)
        state.theta = state.theta - self.length * direction
        state.value, state.gradient = function.value_and_gradient(state.theta)
        moved = float(torch.linalg.vector_norm(self.length * direction))
        state.longest = max(moved, state.longest or 0.0) if state.steps else None
        state.steps, state.moved = state.steps + 1, True
        return Outcome(True, moved, 1)
