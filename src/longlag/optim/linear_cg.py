"""Preconditioned conjugate gradients for A x = b, stopped by Martens' rule (2010, section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn

import torch
from torch import Tensor

from longlag.optim.checks import number, require, whole
from longlag.optim.counting import BudgetSpent
from longlag.optim.vectors import dot

__all__ = ["Iterate", "LinearCG", "Solution", "too_little_progress"]

Times = Callable[[Tensor], Tensor]
Status = Literal["exact", "progress", "iterations", "budget", "indefinite", "not finite"]


@dataclass(frozen=True)
class Iterate:
    """The vector x after so many iterations, and q(x) = x'Ax / 2 - b'x."""

    iteration: int
    x: Tensor
    q: float


@dataclass(frozen=True)
class Solution:
    """How a solve ended.

    status : "exact": the residual vanished; "progress": Martens' rule; "iterations": all were used; "budget": the
    products were; "indefinite": a direction p with p'Ap <= 0 was met, or a preconditioner that is not positive
    definite; "not finite": a product was. In each case ``x`` is the last good iterate.
    iterates : those saved, the last one among them; values : q before the first and after each iteration; pairs : some
    (p, Ap), spread over the iterations.
    """

    status: Status
    reason: str
    iterates: tuple[Iterate, ...] = field(repr=False)
    values: tuple[float, ...] = field(repr=False)
    pairs: tuple[tuple[Tensor, Tensor], ...] = field(repr=False)

    @property
    def x(self) -> Tensor:
        """The last iterate."""
        return self.iterates[-1].x

    @property
    def iterations(self) -> int:
        """How many iterations were made."""
        return self.iterates[-1].iteration


@dataclass(frozen=True)
class LinearCG:
    """The solver and its options, whose defaults are Martens' constants.

    Parameters
    ----------
    max_iterations : int
        Iterations of one solve at most.
    tolerance : float
        epsilon of ``too_little_progress``; 0 switches the rule off.
    residual : float
        Exact when |b - Ax| <= residual |b|.
    growth : float
        Iterates are saved at iterations ceil(growth^j), for backtracking.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    max_iterations: int = 250
    tolerance: float = 5e-4
    residual: float = 1e-10
    growth: float = 1.3

    def __post_init__(self) -> None:
        most, growth = self.max_iterations, self.growth
        require("LinearCG", "max_iterations", most, whole(most) >= 1, "a whole number of at least 1")
        require("LinearCG", "tolerance", self.tolerance, 0 <= number(self.tolerance) < 1, "at least 0 and below 1")
        require("LinearCG", "residual", self.residual, 0 <= number(self.residual) < 1, "at least 0 and below 1")
        require("LinearCG", "growth", growth, 1 < number(growth) < math.inf, "a finite number above 1")

    def solve(
        self, times: Times, b: Tensor, *, start: Tensor | None = None, inverse: Times | None = None, pairs: int = 0
    ) -> Solution:
        """Solve from ``start`` (default 0). ``times`` is A's product, ``inverse`` that of the preconditioner M^-1.

        ``pairs`` is how many (p, Ap) to hand back at most.
        """
        return _Solve(self, times, b, inverse or (lambda v: v), pairs).run(start)


def too_little_progress(values: Sequence[float], epsilon: float) -> bool:
    """Martens' rule after i iterations, values[i] = q(x_i): with k = max(10, i / 10), rounded up,

    i > k  and  q(x_i) < 0  and  (q(x_i) - q(x_{i-k})) / q(x_i) < k epsilon.
    """
    i = len(values) - 1
    k = max(10, math.ceil(0.1 * i))
    return i > k and values[i] < 0 and (values[i] - values[i - k]) / values[i] < k * epsilon


class _EndError(Exception):
    """The solve ends at the last good iterate; the message says why."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Solve:
    """One solve. ``last`` is the last good iterate."""

    def __init__(self, options: LinearCG, times: Times, b: Tensor, inverse: Times, pairs: int) -> None:
        self.options, self.times, self.b, self.inverse, self.most = options, times, b, inverse, pairs
        self.values: list[float] = []
        self.saved: list[Iterate] = []
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.stride = 1

    def run(self, start: Tensor | None) -> Solution:
        self.last = Iterate(0, torch.zeros_like(self.b) if start is None else start, math.nan)
        status: Status
        try:
            self.iterate()
        except BudgetSpent as spent:
            status, reason = "budget", str(spent)
        except _EndError as end:
            status, reason = end.status, str(end)
        if not self.saved or self.saved[-1] is not self.last:
            self.saved.append(self.last)
        return Solution(status, reason, tuple(self.saved), tuple(self.values), tuple(self.pairs))

    def iterate(self) -> NoReturn:
        """Run the recurrence (Nocedal & Wright 2006, algorithm 5.3), with r = b - Ax."""
        x = self.last.x
        r = self.b - self.times(x) if bool(x.any()) else self.b
        self.reach(x, r)
        p, rz = torch.zeros_like(r), math.inf
        while True:
            self.finish(r)
            z = self.inverse(r)
            # In the first iteration too it is r'M^-1 r: with r'r there an exact preconditioner takes many iterations.
            before, rz = rz, self.positive(dot(r, z), "r'M^-1r", "the preconditioner")
            p = z + rz / before * p
            ap = self.times(p)
            a = rz / self.positive(dot(p, ap), "p'Ap", "the matrix")
            self.keep(p, ap)
            x, r = x + a * p, r - a * ap
            self.reach(x, r)

    def reach(self, x: Tensor, r: Tensor) -> None:
        """Record a new iterate, with q(x) = x'Ax / 2 - b'x = -x'(r + b) / 2."""
        q = -0.5 * dot(x, r + self.b)
        if not math.isfinite(q):
            raise _EndError("not finite", f"q(x) is {q} after iteration {self.last.iteration}")
        self.last = Iterate(len(self.values), x, q)
        self.values.append(q)
        if self.last.iteration >= self.next_saved():
            self.saved.append(self.last)

    def next_saved(self) -> int:
        """Return the iteration after the last one saved that is some ceil(growth^j)."""
        if not self.saved or self.saved[-1].iteration == 0:
            return len(self.saved)
        power = math.floor(math.log(self.saved[-1].iteration) / math.log(self.options.growth))
        while math.ceil(self.options.growth**power) <= self.saved[-1].iteration:
            power += 1
        return math.ceil(self.options.growth**power)

    def finish(self, r: Tensor) -> None:
        """Raise _EndError if the solve is at its end."""
        i, options = self.last.iteration, self.options
        if dot(r, r) <= options.residual**2 * dot(self.b, self.b):
            raise _EndError("exact", f"the residual vanished after iteration {i}")
        if too_little_progress(self.values, options.tolerance):
            raise _EndError("progress", f"q(x) hardly fell any more by iteration {i}")
        if i >= options.max_iterations:
            raise _EndError("iterations", f"all {i} iterations were used")

    def positive(self, number: float, name: str, matrix: str) -> float:
        """Return ``number``, which is above 0 if ``matrix`` is positive definite; raise _EndError if it is not."""
        if not math.isfinite(number):
            raise _EndError("not finite", f"{name} is {number} in iteration {self.last.iteration + 1}")
        if number <= 0:
            where = f"{name} is {number:g} in iteration {self.last.iteration + 1}"
            raise _EndError("indefinite", f"{where}: {matrix} is not positive definite")
        return number

    def keep(self, p: Tensor, ap: Tensor) -> None:
        """Some pairs, evenly spread: whenever there are too many, every other one goes (Morales & Nocedal 2000)."""
        if self.most == 0 or self.last.iteration % self.stride:
            return
        if len(self.pairs) == self.most:
            self.pairs, self.stride = self.pairs[::2], 2 * self.stride
            if self.last.iteration % self.stride:
                return
        self.pairs.append((p, ap))
