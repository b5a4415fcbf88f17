"""The methods as ``torch.optim.Optimizer``: ``step(closure)``, and a state_dict from which they go on bit by bit.

Constructors follow ``torch.optim.LBFGS`` where it has a word: lr, max_iter, max_eval, tolerance_grad, tolerance_change,
history_size. Every other option has the word that it has in ``longlag.optim``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from longlag.errors import InputError
from longlag.optim.cg import CGMethod, CGState, Update
from longlag.optim.checks import require, whole
from longlag.optim.closures import LossFunction, OutputsFunction, Parameters
from longlag.optim.counting import Budget, BudgetSpent, CountingFunction, EvaluationCounter
from longlag.optim.hessian_free import HessianFreeMethod, HessianFreeState
from longlag.optim.lbfgs import LBFGSMethod, LBFGSState
from longlag.optim.levenberg_marquardt import LevenbergMarquardtMethod, LevenbergMarquardtState
from longlag.optim.line_search import StrongWolfe
from longlag.optim.linear_cg import LinearCG
from longlag.optim.minimise import Loop, Method, Tolerances
from longlag.optim.result import Result, Stop
from longlag.optim.vectors import dot
from longlag.renamed import renamed_arguments

__all__ = ["LBFGS", "HessianFree", "LevenbergMarquardt", "NonlinearCG"]

Closure = Callable[[], Tensor | float]
OutputsClosure = Callable[[], tuple[Tensor, Tensor]]
Params = Iterable[Tensor] | Iterable[dict[str, Any]]
M = TypeVar("M", LBFGSState, CGState, HessianFreeState, LevenbergMarquardtState)


class _Flat(torch.optim.Optimizer):
    """Base of the optimisers here. The state of a method lies under the first parameter, as in torch.optim.LBFGS.

    ``result`` says how the last step ended. A step that raises leaves the parameters as they were, bit by bit.
    """

    result: Result | None = None

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise InputError(
                f"{type(self).__name__}: {len(self.param_groups)} parameter groups; expected one, for one line search "
                "moves them all"
            )
        self._parameters()
        self._method()

    @property
    def options(self) -> dict[str, Any]:
        """The options of the only group, where a scheduler may change them."""
        return self.param_groups[0]

    def _parameters(self) -> Parameters:
        return Parameters(self.param_groups[0]["params"])

    def _method(self) -> Method[Any]:
        """Return the method with the options as they are now. InputError if it refuses them."""
        raise NotImplementedError

    def _run(self, function: LossFunction | OutputsFunction, *, same_samples: bool) -> Tensor | float:
        """Make up to max_iter iterations. Returns the loss before them, as torch.optim does."""
        method, parameters = self._method(), function.parameters
        counter = EvaluationCounter(Budget(self.options["max_eval"]))
        theta, counted = parameters.flat(), CountingFunction(function, counter)
        tolerances = Tolerances(self.options["tolerance_grad"], self.options["tolerance_change"])
        loop = Loop(method, counter, tolerances)
        try:
            state = self._remembered(method.start(counted, theta), same_samples)
            stop = loop.run(counted, state, self.options["max_iter"])
            theta = state.theta
        except BudgetSpent as spent:
            raise InputError(f"{type(self).__name__}: {spent}; expected max_eval to allow one gradient") from None
        finally:
            parameters.assign(theta)
        self.result = loop.result(state, stop or Stop("budget", "max_iter is used"))
        self.state[parameters.tensors[0]] = dict(vars(state))
        assert function.first is not None
        return function.first

    def _remembered(self, fresh: M, same_samples: bool) -> M:
        """Return the last step's state, moved to the parameters as they are now; ``fresh`` where there is none.

        With ``same_samples`` it is gone on from only where the samples are still the same. They are if the gradient is,
        up to rounding: a GPU need not repeat it to the last bit.
        """
        memory = self.state[self.param_groups[0]["params"][0]]
        if not memory:
            return fresh
        stored = type(fresh)(**{field.name: memory[field.name] for field in fields(fresh)})
        if stored.theta.shape != fresh.theta.shape:
            raise InputError(
                f"{type(self).__name__}: the state is of {stored.theta.numel()} parameters; "
                f"expected {fresh.theta.numel()}"
            )
        assert fresh.gradient is not None
        if same_samples and not (torch.equal(stored.theta, fresh.theta) and _close(fresh.gradient, stored.gradient)):
            return fresh
        return replace(stored, theta=fresh.theta, value=fresh.value, gradient=fresh.gradient)


def _close(one: Tensor, other: Tensor | None) -> bool:
    if other is None:
        return False
    return dot(one - other, one - other) <= torch.finfo(one.dtype).eps * dot(other, other)


class _Searching(_Flat):
    """Base of the methods with a line search."""

    def _search(self) -> StrongWolfe:
        group = self.options
        return StrongWolfe(group["sufficient"], group["curvature"], group["max_trials"])

    def step(self, closure: Closure) -> Tensor | float:  # type: ignore[override]
        """Make up to max_iter iterations. Returns the loss before them.

        Raises
        ------
        DivergenceError
            If that loss or its gradient is not finite.
        """
        return self._run(LossFunction(self._parameters(), closure), same_samples=True)


class _Damped(_Flat):
    """Base of the methods with a damped matrix."""

    def step(self, closure: OutputsClosure) -> Tensor | float:  # type: ignore[override]
        """Make up to max_iter outer iterations. Returns the loss before them. Raises as ``LBFGS.step`` does."""
        return self._run(OutputsFunction(self._parameters(), closure), same_samples=False)


class LBFGS(_Searching):
    """L-BFGS with a strong Wolfe search; stands in for ``torch.optim.LBFGS``, and survives a loss that is not finite.

    Pairs are kept from step to step as long as the parameters and the gradient are those the last step ended with;
    on other samples they are forgotten. Options as in ``LBFGSMethod`` and ``StrongWolfe``; a closure clears the
    gradients, calls backward and returns the loss.

    Parameters
    ----------
    params : iterable
        Tensors of one dtype on one device, in one group.
    lr : float
        First trial step, in quasi-Newton steps.
    max_iter, max_eval : int
        Iterations and gradients of one ``step``; default max_eval: 5/4 max_iter, as in torch.
    tolerance_grad, tolerance_change : float
        See ``Tolerances``.
    history_size : int
        Pairs kept.
    damped : bool
        Powell's damping.
    sufficient, curvature, max_trials
        c1, c2 and trials of a line search.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        *,
        damped: bool = False,
        sufficient: float = 1e-4,
        curvature: float = 0.9,
        max_trials: int = 50,
    ) -> None:
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        options = {"lr": lr, "history_size": history_size, "damped": damped}
        search = {"sufficient": sufficient, "curvature": curvature, "max_trials": max_trials}
        super().__init__(params, _bounds(max_iter, max_eval, tolerance_grad, tolerance_change) | options | search)

    def _method(self) -> LBFGSMethod:
        group = self.options
        return LBFGSMethod(
            history_size=group["history_size"],
            learning_rate=group["lr"],
            damped=group["damped"],
            line_search=self._search(),
        )


class NonlinearCG(_Searching):
    """Nonlinear conjugate gradients. Options as in ``CGMethod``; the rest as for ``LBFGS``."""

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        *,
        update: Update = "hestenes-stiefel",
        orthogonality: float | None = 0.2,
        sufficient: float = 1e-4,
        curvature: float = 0.2,
        max_trials: int = 50,
    ) -> None:
        if max_eval is None:
            max_eval = max_iter * 5 // 2  # its line searches are closer ones
        options = {"lr": lr, "update": update, "orthogonality": orthogonality}
        search = {"sufficient": sufficient, "curvature": curvature, "max_trials": max_trials}
        super().__init__(params, _bounds(max_iter, max_eval, tolerance_grad, tolerance_change) | options | search)

    def _method(self) -> CGMethod:
        group = self.options
        return CGMethod(group["update"], group["lr"], group["orthogonality"], self._search())


@renamed_arguments(max_cg="max_cg_iterations")
class HessianFree(_Damped):
    """Hessian-free with exact Gauss-Newton products from the graph. Options as in ``HessianFreeMethod``.

    The closure returns ``(loss, outputs)`` with the graph attached and calls no backward; ``loss`` is computed from
    ``outputs``. Damping and warm start are kept from step to step, whatever the samples.

    Parameters
    ----------
    max_iter, max_eval : int
        Outer iterations of one ``step``; values, gradients and matrices at most, None for no limit.
    max_cg_iterations, cg_tolerance
        ``max_iterations`` and ``tolerance`` of ``LinearCG``.
    """

    def __init__(
        self,
        params: Params,
        max_iter: int = 1,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 0.0,
        *,
        damping: float = 0.01,
        decay: float = 0.95,
        max_cg_iterations: int = 250,
        cg_tolerance: float = 5e-4,
        preconditioner: Literal["none", "lbfgs"] = "none",
        curvature: Literal["gauss_newton", "numerical"] = "gauss_newton",
    ) -> None:
        options = {"damping": damping, "decay": decay}
        solver = {"max_cg_iterations": max_cg_iterations, "cg_tolerance": cg_tolerance}
        kinds = {"preconditioner": preconditioner, "curvature": curvature}
        bounds = _bounds(max_iter, max_eval, tolerance_grad, tolerance_change)
        super().__init__(params, bounds | options | solver | kinds)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            if "max_cg" in group:  # as an earlier release saved it
                group["max_cg_iterations"] = group.pop("max_cg")

    def _method(self) -> HessianFreeMethod:
        group = self.options
        return HessianFreeMethod(
            damping=group["damping"],
            decay=group["decay"],
            solver=LinearCG(max_iterations=group["max_cg_iterations"], tolerance=group["cg_tolerance"]),
            preconditioner=group["preconditioner"],
            curvature=group["curvature"],
        )


class LevenbergMarquardt(_Damped):
    """Levenberg-Marquardt with the dense Gauss-Newton matrix from the graph: W products a step, so for few parameters.

    Options as in ``LevenbergMarquardtMethod``, the closure as for ``HessianFree``.
    """

    def __init__(
        self,
        params: Params,
        max_iter: int = 1,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 0.0,
        *,
        damping: float = 1e-3,
        scaling: Literal["diagonal", "identity"] = "identity",
        update: Literal["nielsen", "marquardt"] = "nielsen",
        max_trials: int = 40,
    ) -> None:
        options = {"damping": damping, "max_trials": max_trials, "scaling": scaling, "update": update}
        super().__init__(params, _bounds(max_iter, max_eval, tolerance_grad, tolerance_change) | options)

    def _method(self) -> LevenbergMarquardtMethod:
        group = self.options
        return LevenbergMarquardtMethod(group["damping"], group["scaling"], group["update"], group["max_trials"])


def _bounds(max_iter: int, max_eval: int | None, gradient: float, change: float) -> dict[str, Any]:
    least = "a whole number of at least 1"
    require("optim", "max_iter", max_iter, whole(max_iter) >= 1, least)
    require("optim", "max_eval", max_eval, max_eval is None or whole(max_eval) >= 1, f"None or {least}")
    Tolerances(gradient, change)  # refuses what is no tolerance; ``step`` makes its own from the group
    return {"max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": gradient, "tolerance_change": change}
