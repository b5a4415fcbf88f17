"""Hessian-free optimisation (Martens 2010; Martens & Sutskever 2011): a damped Newton step solved by linear CG."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from longlag.checks import one_of
from longlag.errors import InputError
from longlag.nn.curvature import Curvature
from longlag.optim.checks import number, require, require_part
from longlag.optim.counting import BudgetSpent
from longlag.optim.function import Function, curvature_of
from longlag.optim.linear_cg import Iterate, LinearCG, Solution
from longlag.optim.minimise import begin
from longlag.optim.numerical import NumericalHessian
from longlag.optim.result import Outcome, Stop
from longlag.optim.state import PackedState
from longlag.optim.two_loop import InverseBFGS
from longlag.optim.vectors import dot, finite

__all__ = ["HessianFreeMethod", "HessianFreeState"]

# A step that is not good at full length is shortened by this factor, this often at most, until f falls by this share of
# what the slope promises.
SHORTER, SHORTENINGS, SHARE = 0.8, 60, 1e-2
# Memory of the L-BFGS preconditioner.
PAIRS = 20


@dataclass
class HessianFreeState(PackedState):
    """A point, and what carries over from step to step.

    gradient : None where it was not taken. damping : lambda. warm : the last solution of CG, (W,).
    pair_steps, pair_changes : p and Ap of the last solve, for the L-BFGS preconditioner.
    """

    theta: Tensor
    value: float
    gradient: Tensor | None
    damping: float
    warm: Tensor
    pair_steps: list[Tensor] = field(default_factory=list)
    pair_changes: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class HessianFreeMethod:
    """Hessian-free and its options. One step solves (G + lambda I) p = -g by CG, and chooses an iterate.

    A direction p with p'Ap <= 0 ends CG: the iterates before it are used and the outcome's note says so. Where there
    are none, the numerical Hessian leaves the steepest descent; a Gauss-Newton matrix cannot be like that, so it stops.

    Parameters
    ----------
    damping, min_damping, max_damping : float
        lambda to begin with, and its bounds. Above the upper one the method has stalled.
    decay : float
        CG starts from this times the last solution.
    solver : LinearCG
        How the system is solved.
    preconditioner : {"auto", "diagonal", "lbfgs", "none"}
        "diagonal": (diag(G) + lambda)^0.75 (Martens 2010, section 4.7), refused where the curvature has no diagonal;
        "auto": that where there is one, otherwise none; "lbfgs": from pairs of the last solve (Morales & Nocedal 2000;
        batch paper, 5.3), on mini-batches those of the batch before: no curvature of theirs enters the step.
    curvature : {"gauss_newton", "numerical"}
        "numerical": the Hessian by differences of gradients; negative curvature ends CG (batch paper, 5.3).
    structural : float
        mu of structural damping: lambda * mu times the curvature of the hidden states is added (Martens & Sutskever
        2011, section 3.2). Needs a ``StructuralFunction``: ``gradients.NetworkObjective`` is one when it is bound to
        samples, and its damped curvature has products alone, hence no "diagonal".
    backtracking : {"always", "needed"}
        Go back through CG's iterates for as long as f falls, at a value of f each (Martens 2010, section 4.6);
        "needed": only from where f fell by less than a quarter of what the model promised.
    factor : float
        lambda is divided by this when the model was right to a quarter, multiplied by it when it was wrong by more than
        three quarters.

    Raises
    ------
    InputError
        For a value that is out of range.
    """

    damping: float = 0.01
    min_damping: float = 1e-15
    max_damping: float = 1e15
    decay: float = 0.95
    solver: LinearCG = field(default_factory=LinearCG)
    preconditioner: Literal["auto", "diagonal", "lbfgs", "none"] = "auto"
    curvature: Literal["gauss_newton", "numerical"] = "gauss_newton"
    structural: float = 0.0
    backtracking: Literal["always", "needed"] = "needed"
    factor: float = 3 / 2

    state_type = HessianFreeState

    def __post_init__(self) -> None:
        damping, decay, mu, factor = map(number, (self.damping, self.decay, self.structural, self.factor))
        low, high = self.min_damping, self.max_damping
        require("HessianFree", "max_damping", high, number(high) < math.inf, "a finite number")
        require("HessianFree", "min_damping", low, 0 < number(low) < high, f"above 0 and below max_damping, {high}")
        require("HessianFree", "damping", self.damping, low <= damping <= high, f"from {low} to {high}")
        require("HessianFree", "decay", self.decay, 0 <= decay <= 1, "from 0 to 1")
        require("HessianFree", "structural", self.structural, 0 <= mu < math.inf, "at least 0, and finite")
        require("HessianFree", "factor", self.factor, 1 < factor < math.inf, "a finite number above 1")
        one_of("HessianFree: preconditioner", self.preconditioner, ("auto", "diagonal", "lbfgs", "none"))
        one_of("HessianFree: curvature", self.curvature, ("gauss_newton", "numerical"))
        one_of("HessianFree: backtracking", self.backtracking, ("always", "needed"))
        require_part("HessianFree", "solver", self.solver, LinearCG)
        if self.structural and self.curvature == "numerical":
            raise InputError("HessianFree: structural damping goes with curvature 'gauss_newton', not 'numerical'")

    @property
    def takes_curvature(self) -> bool:
        """Whether the matrix is the function's own, which one Jacobian may give along with a gradient."""
        return self.curvature == "gauss_newton" and not self.structural

    def start(self, function: Function, theta: Tensor) -> HessianFreeState:
        """Return the state at ``theta``. It costs one gradient."""
        theta, value, gradient = begin(function, theta)
        return HessianFreeState(theta, value, gradient, self.damping, torch.zeros_like(theta))

    def restart(self, function: Function, state: HessianFreeState) -> HessianFreeState:
        """Return the state on other samples, with the damping, warm start and preconditioner of before."""
        theta, value, gradient = begin(function, state.theta)
        return replace(state, theta=theta, value=value, gradient=gradient)

    def step(self, function: Function, state: HessianFreeState, *, last: bool = False) -> Outcome:
        """Solve once for a step. With ``last`` the gradient at the new point is not taken."""
        try:
            if state.gradient is None:
                _, state.value, state.gradient = begin(function, state.theta)
            return _Step(self, function, state, state.gradient, last).run()
        except BudgetSpent as spent:
            return Outcome(False, 0.0, 0, state.damping, stop=Stop("budget", str(spent)))


class _Step:
    """One outer iteration. The state changes in ``commit``, ``adapt`` and ``run``'s last lines, and nowhere else."""

    def __init__(
        self, options: HessianFreeMethod, function: Function, state: HessianFreeState, gradient: Tensor, last: bool
    ) -> None:
        self.options, self.function, self.last = options, function, last
        self.state, self.gradient, self.damping = state, gradient, state.damping
        self.notes: list[str] = []
        self.reductions: dict[int, tuple[float, float]] = {}  # of iterates, by their number
        self.spent: BudgetSpent | None = None

    def run(self) -> Outcome:
        """Solve, choose a step, move, and adapt the damping."""
        matrix = self.matrix()
        inverse = self.inverse(matrix)
        solution = self.options.solver.solve(
            lambda v: matrix @ v + self.damping * v,
            -self.gradient,
            start=self.options.decay * self.state.warm,
            inverse=inverse,
            pairs=PAIRS if self.options.preconditioner == "lbfgs" else 0,
        )
        chosen, value = self.backtrack(self.candidates(solution, inverse))
        ratio, promised = self.reduction(chosen, value)
        step, value = self.shorten(chosen, value)
        moved = step is not None and self.commit(step, value)
        stop = self.end(solution, moved, promised)
        if moved or stop is None:
            self.adapt(ratio if moved else -math.inf)
            self.state.warm = solution.x
            self.state.pair_steps = [p for p, _ in solution.pairs]
            self.state.pair_changes = [ap for _, ap in solution.pairs]
        length = math.sqrt(dot(step, step)) if moved and step is not None else 0.0
        return Outcome(moved, length, solution.iterations, self.damping, "; ".join(self.notes), stop)

    def matrix(self) -> Curvature:
        """Return the matrix G of this step, structurally damped where that is asked for."""
        if self.options.curvature == "numerical":
            return NumericalHessian(self.function, self.state.theta)
        return curvature_of(self.function, self.state.theta, self.options.structural * self.damping)

    def inverse(self, matrix: Curvature) -> Callable[[Tensor], Tensor] | None:
        """Return the product with the preconditioner's M^-1; None without a preconditioner."""
        kind = self.options.preconditioner
        if kind == "lbfgs":
            estimate = InverseBFGS(self.state.pair_steps, self.state.pair_changes)
            return lambda v: estimate @ v
        diagonal = matrix.diagonal() if kind in ("auto", "diagonal") else None
        if diagonal is not None:
            scale = (diagonal + self.damping) ** 0.75
            return lambda v: v / scale
        if kind == "diagonal":
            raise InputError(
                "HessianFree: preconditioner is 'diagonal', the curvature has no diagonal; expected 'auto' or 'none'"
            )
        return None

    def candidates(self, solution: Solution, inverse: Callable[[Tensor], Tensor] | None) -> list[Iterate]:
        """Return the iterates that lower q, the last one first.

        Where negative curvature left none: the steepest descent.
        """
        if solution.status in ("indefinite", "not finite"):
            self.notes.append(solution.reason)
        falling = [iterate for iterate in reversed(solution.iterates) if iterate.q < 0]
        if not falling and solution.status == "indefinite" and self.options.curvature == "numerical":
            p = -self.gradient if inverse is None else inverse(-self.gradient)
            falling = [Iterate(0, p, -math.inf)]
        return falling

    def value(self, p: Tensor) -> float:
        """Return f(theta + p); infinite where it is not finite, and when the budget is spent."""
        try:
            value = self.function.value(self.state.theta + p) if self.spent is None else math.inf
        except BudgetSpent as spent:
            self.spent, value = spent, math.inf
        return value if math.isfinite(value) else math.inf

    def backtrack(self, candidates: list[Iterate]) -> tuple[Iterate | None, float]:
        """From the last iterate back for as long as f falls: CG lowers the model, and the model is not f.

        None only where there are no candidates.
        """
        chosen, lowest = None, math.inf
        for iterate in candidates:
            value = self.value(iterate.x)
            if value >= lowest and math.isfinite(lowest):
                break
            if value < lowest:
                chosen, lowest = iterate, value
            if self.options.backtracking == "needed" and self.reduction(iterate, value)[0] >= 1 / 4:
                break
        if chosen is None and candidates:
            # f is not finite at any of them. On the way to the shortest it may be, and ``shorten`` looks there.
            chosen = candidates[-1]
        return chosen, lowest

    def reduction(self, chosen: Iterate | None, value: float) -> tuple[float, float]:
        """Return the ratio rho = (f(theta + p) - f(theta)) / q(p) and q(p), where q has no damping."""
        if chosen is None:
            return -math.inf, -math.inf
        if chosen.iteration not in self.reductions:
            self.reductions[chosen.iteration] = self._reduction(chosen, value)
        return self.reductions[chosen.iteration]

    def _reduction(self, chosen: Iterate, value: float) -> tuple[float, float]:
        p = chosen.x
        q = chosen.q - 0.5 * self.damping * dot(p, p)
        if self.options.structural:
            undamped = self.function.curvature(self.state.theta)
            q = dot(self.gradient, p) + 0.5 * dot(p, undamped @ p)
        return (value - self.state.value) / q if q < 0 else -math.inf, q

    def shorten(self, chosen: Iterate | None, value: float) -> tuple[Tensor | None, float]:
        """Return the step a p and f there, a from 1 on down until f falls by SHARE a |g'p|; None if it never does."""
        if chosen is None:
            return None, value
        slope, rate = dot(self.gradient, chosen.x), 1.0
        for _ in range(SHORTENINGS):
            if value <= self.state.value + SHARE * rate * slope and value < self.state.value:
                return rate * chosen.x, value
            if self.spent is not None:
                break
            rate *= SHORTER
            value = self.value(rate * chosen.x)
        return None, value

    def commit(self, step: Tensor, value: float) -> bool:
        """Move, unless the gradient there is not finite. Where the budget has no gradient left, move without one."""
        theta, gradient = self.state.theta + step, None
        try:
            if not self.last:
                value, gradient = self.function.value_and_gradient(theta)
        except BudgetSpent as spent:
            self.spent = spent
        if not math.isfinite(value) or not finite(theta) or (gradient is not None and not finite(gradient)):
            self.notes.append("not finite after the step, which was undone")
            return False
        self.state.theta, self.state.value, self.state.gradient = theta, value, gradient
        return True

    def adapt(self, ratio: float) -> None:
        """Levenberg and Marquardt's rule: trust the model more where it was right, less where it was not."""
        if ratio > 3 / 4:
            self.state.damping = max(self.damping / self.options.factor, self.options.min_damping)
        elif not ratio >= 1 / 4:
            self.state.damping = min(self.damping * self.options.factor, self.options.max_damping)

    def end(self, solution: Solution, moved: bool, promised: float) -> Stop | None:
        """Whether, and why, a further step makes no sense."""
        if self.spent is not None:
            return Stop("budget", str(self.spent))
        if solution.status == "budget":
            return Stop("budget", solution.reason)
        if moved:
            return None
        if solution.status == "indefinite" and solution.iterations == 0 and self.options.curvature == "gauss_newton":
            return Stop("stalled", f"the curvature is no Gauss-Newton matrix: {solution.reason}")
        if -promised <= torch.finfo(self.gradient.dtype).eps * abs(self.state.value):
            return Stop("stalled", f"no lower point: the model promises {-promised:g}, less than rounding")
        if self.damping >= self.options.max_damping:
            return Stop("stalled", f"no lower point with the damping at its limit, {self.options.max_damping:g}")
        return None
