"""What L-BFGS and conjugate gradients share: the state at a point, the first step, and how an iteration ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from longlag.optim.line_search import SearchResult
from longlag.optim.result import Outcome, Stop
from longlag.optim.state import PackedState
from longlag.optim.vectors import dot

__all__ = ["DescentState", "first_step", "moved_to", "no_lower_point"]


@dataclass
class DescentState(PackedState):
    """The point theta (W,), the value of f there and its gradient. All of them are always finite."""

    theta: Tensor
    value: float
    gradient: Tensor


def first_step(gradient: Tensor) -> float:
    """Return min(1, 1/|g|_1): a gradient says where to go, not how far."""
    length = float(gradient.abs().sum(dtype=torch.float64))
    return 1.0 if length <= 1 else 1 / length


def moved_to(state: DescentState, search: SearchResult, note: str) -> Outcome:
    """Commit the point at which a line search ended."""
    point = search.point
    change = point.theta - state.theta
    state.theta, state.value, state.gradient = point.theta, point.value, point.gradient
    if search.status == "decrease":
        note = _both(note, f"no Wolfe point: {search.reason}")
    stop = Stop("budget", search.reason) if search.spent else None
    return Outcome(True, math.sqrt(dot(change, change)), search.evaluations, note=note, stop=stop)


def no_lower_point(search: SearchResult, again: bool, note: str) -> Outcome:
    """Leave theta where it is. With ``again`` the steepest descent is tried next; otherwise the method has stalled."""
    stop = None
    if search.spent:
        stop = Stop("budget", search.reason)
    elif again:
        note = _both(note, f"no lower point, the steepest descent is next: {search.reason}")
    else:
        stop = Stop("stalled", f"no lower point along the steepest descent: {search.reason}")
    return Outcome(False, 0.0, search.evaluations, note=note, stop=stop)


def _both(one: str, other: str) -> str:
    return f"{one}; {other}" if one else other
