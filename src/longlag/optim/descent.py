"""What the two methods of direction and line search have in common: how a step begins, and how it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from longlag.optim.line_search import Found
from longlag.optim.result import Outcome, Stop
from longlag.optim.vectors import dot

__all__ = ["DescentState", "first_step", "moved_to", "no_lower_point"]


@dataclass
class DescentState:
    """theta (W,), f and its gradient there: all finite, always."""

    theta: Tensor
    value: float
    gradient: Tensor


def first_step(gradient: Tensor) -> float:
    """min(1, 1/|g|_1): a gradient says where to go, not how far."""
    length = float(gradient.abs().sum(dtype=torch.float64))
    return 1.0 if length <= 1 else 1 / length


def moved_to(state: DescentState, found: Found, note: str) -> Outcome:
    """Commit the point that a line search found."""
    point = found.point
    change = point.theta - state.theta
    state.theta, state.value, state.gradient = point.theta, point.value, point.gradient
    if found.status == "decrease":
        note = _both(note, f"no Wolfe point: {found.reason}")
    stop = Stop("budget", found.reason) if found.spent else None
    return Outcome(True, math.sqrt(dot(change, change)), found.evaluations, note=note, stop=stop)


def no_lower_point(found: Found, again: bool, note: str) -> Outcome:
    """Theta stays. ``again``: there is the steepest descent to try yet; otherwise this is the end."""
    stop = None
    if found.spent:
        stop = Stop("budget", found.reason)
    elif again:
        note = _both(note, f"no lower point, the steepest descent is next: {found.reason}")
    else:
        stop = Stop("stalled", f"no lower point along the steepest descent: {found.reason}")
    return Outcome(False, 0.0, found.evaluations, note=note, stop=stop)


def _both(one: str, other: str) -> str:
    return f"{one}; {other}" if one else other
