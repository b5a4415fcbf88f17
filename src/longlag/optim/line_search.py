"""A strong Wolfe line search that survives NaN.

Nocedal & Wright 2006, algorithms 3.5 (bracketing) and 3.6 (zoom) with cubic interpolation (3.59), safeguarded as More &
Thuente 1994 do: a bracket that does not shrink by a third in two trials is halved. With phi(a) = f(theta + a d):

    sufficient decrease:  phi(a) <= phi(0) + c1 a phi'(0)        curvature:  |phi'(a)| <= c2 |phi'(0)|

Every comparison with NaN is false, so a search that does not look for it takes NaN for progress and runs away. Here a
point that is not finite is a wall: it can only be the far end of a bracket, and such a bracket is halved towards its
finite end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from longlag.optim.checks import number, require, whole
from longlag.optim.counting import BudgetSpent
from longlag.optim.function import Function
from longlag.optim.vectors import dot, finite, largest
from longlag.renamed import renamed_arguments

__all__ = ["Point", "SearchResult", "StrongWolfe"]


@dataclass(frozen=True)
class Point:
    """A point of the line: the step a, phi(a), phi'(a), and theta + a d with its gradient."""

    step: float
    value: float
    slope: float
    theta: Tensor
    gradient: Tensor

    @property
    def finite(self) -> bool:
        """Whether nothing of the point is NaN or infinite."""
        return math.isfinite(self.value) and math.isfinite(self.slope) and finite(self.theta, self.gradient)


@dataclass(frozen=True)
class SearchResult:
    """How a search ended.

    status : "wolfe": both conditions hold at ``point``; "decrease": the first one, and ``reason`` says why the search
    went no further; "failed": no point was better, and ``point`` is the start.
    evaluations : how many points were tried. spent : whether the budget ended the search.
    """

    status: Literal["wolfe", "decrease", "failed"]
    point: Point
    reason: str
    evaluations: int
    spent: bool = False


@renamed_arguments(max_evaluations="max_trials")
@dataclass(frozen=True)
class StrongWolfe:
    """The search and its options. Defaults suit quasi-Newton directions; conjugate gradients want ``curvature=0.2``.

    Parameters
    ----------
    sufficient, curvature : float
        c1 and c2, 0 < c1 < c2 < 1.
    max_trials : int
        Points tried at most.
    growth : float
        While the minimum is not bracketed, the next step is at most this times the last one.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    sufficient: float = 1e-4
    curvature: float = 0.9
    max_trials: int = 50
    growth: float = 10.0

    def __post_init__(self) -> None:
        c1, c2, trials = self.sufficient, self.curvature, self.max_trials
        require("StrongWolfe", "sufficient", c1, 0 < number(c1) < 1, "between 0 and 1")
        require("StrongWolfe", "curvature", c2, c1 < number(c2) < 1, f"between sufficient, {c1}, and 1")
        require("StrongWolfe", "max_trials", trials, whole(trials) >= 1, "a whole number of at least 1")
        require("StrongWolfe", "growth", self.growth, 1 < number(self.growth) < math.inf, "a finite number above 1")

    def search(
        self, function: Function, theta: Tensor, value: float, gradient: Tensor, direction: Tensor, first: float
    ) -> SearchResult:
        """Search from ``theta``, where f is ``value`` with ``gradient``, along ``direction``; try ``first`` first."""
        start = Point(0.0, value, dot(gradient, direction), theta, gradient)
        if not start.finite or not finite(direction):
            return SearchResult("failed", start, "the start or the direction is not finite", 0)
        if start.slope >= 0:
            return SearchResult("failed", start, f"the slope is {start.slope:g}: not a direction of descent", 0)
        if not 0 < first < math.inf:
            return SearchResult("failed", start, f"the first step is {first:g}", 0)
        return _Search(self, function, start, direction).run(first)


class _EnoughError(Exception):
    """No further trial makes sense; the message says why."""


class _Search:
    """One search. ``best`` is the lowest point so far with sufficient decrease."""

    def __init__(self, options: StrongWolfe, function: Function, start: Point, direction: Tensor) -> None:
        self.options, self.function, self.start, self.direction = options, function, start, direction
        self.best, self.trials = start, 0
        # Two steps nearer than this lead to the same theta, up to rounding.
        self.finest = torch.finfo(start.theta.dtype).eps * largest(start.theta) / largest(direction)

    def run(self, first: float) -> SearchResult:
        try:
            return SearchResult("wolfe", self.bracket(first), "both conditions hold", self.trials)
        except BudgetSpent as spent:
            return self.settle(str(spent), spent=True)
        except _EnoughError as enough:
            return self.settle(str(enough))

    def settle(self, reason: str, spent: bool = False) -> SearchResult:
        return SearchResult("failed" if self.best is self.start else "decrease", self.best, reason, self.trials, spent)

    def bracket(self, step: float) -> Point:
        """Algorithm 3.5: go further until the minimum lies behind, then zoom."""
        before = self.start
        while True:
            point = self.at(step)
            if not self.lower(point, before):
                return self.zoom(before, point)
            self.best = point
            if self.level(point):
                return point
            if point.slope >= 0:
                return self.zoom(point, before)
            before, step = point, self.further(before, point)

    def zoom(self, low: Point, high: Point) -> Point:
        """Algorithm 3.6: ``low`` has sufficient decrease and falls towards ``high``. Ends at a Wolfe point."""
        widths = [math.inf, math.inf]
        while True:
            width = abs(high.step - low.step)
            if width <= self.finest:
                raise _EnoughError(f"the bracket is {width:g} wide, the resolution of theta")
            slow = width > 2 / 3 * widths[-2]
            point = self.at(between(low, high, halve=slow))
            widths = [widths[-1], math.inf if slow else width]
            if not self.lower(point, low):
                high = point
                continue
            self.best = point
            if self.level(point):
                return point
            if point.slope * (high.step - low.step) >= 0:
                high = low
            low = point

    def at(self, step: float) -> Point:
        if self.trials == self.options.max_trials:
            raise _EnoughError(f"all {self.trials} trials of a line search were used")
        theta = self.start.theta + step * self.direction
        value, gradient = self.function.value_and_gradient(theta)
        self.trials += 1
        return Point(step, value, dot(gradient, self.direction), theta, gradient)

    def lower(self, point: Point, than: Point) -> bool:
        """Return whether a point is finite, has sufficient decrease, and is lower than another point."""
        enough = self.start.value + self.options.sufficient * point.step * self.start.slope
        return point.finite and point.value <= enough and point.value < than.value

    def level(self, point: Point) -> bool:
        """Return whether the curvature condition holds at a point."""
        return abs(point.slope) <= self.options.curvature * abs(self.start.slope)

    def further(self, before: Point, point: Point) -> float:
        """Return where the cubic through both points has its minimum, if that is ahead and not too far."""
        least = point.step + 0.1 * (point.step - before.step)
        most = self.options.growth * point.step
        guess = cubic_minimum(before, point)
        return most if guess is None or guess <= point.step else min(max(guess, least), most)


def between(low: Point, high: Point, *, halve: bool) -> float:
    """Choose a step inside a bracket, no nearer to an end than a tenth of it.

    It is halfway with ``halve``, or where one end is a wall.
    """
    width = high.step - low.step
    guess = None if halve or not high.finite else cubic_minimum(low, high)
    share = 0.5 if guess is None else (guess - low.step) / width
    return low.step + min(max(share, 0.1), 0.9) * width


def cubic_minimum(one: Point, other: Point) -> float | None:
    """Return where the cubic with both points' values and slopes has its minimum (3.59); None where it has none."""
    span = other.step - one.step
    d1 = one.slope + other.slope - 3 * (other.value - one.value) / span
    square = d1 * d1 - one.slope * other.slope
    if not 0 <= square < math.inf:
        return None
    d2 = math.copysign(math.sqrt(square), span)
    below = other.slope - one.slope + 2 * d2
    if below == 0:
        return None
    step = other.step - span * (other.slope + d2 - d1) / below
    return step if math.isfinite(step) else None
