"""Second-order and line-search optimisers on one flat vector, and their ``torch.optim`` facades.

``LBFGS``, ``NonlinearCG``, ``HessianFree`` and ``LevenbergMarquardt`` are for users of plain PyTorch. Each stands on a
core, ``LBFGSMethod`` and so on, that knows a ``Function`` of a flat vector and nothing else; ``minimise`` drives it,
``minimise_batches`` on mini-batches. Every end has a reason, no budget is exceeded, no NaN is committed.
"""

from longlag.nn.curvature import Curvature
from longlag.optim.cg import CGMethod, CGState
from longlag.optim.counting import Budget, Counted, Evaluations, Meter
from longlag.optim.facades import LBFGS, HessianFree, LevenbergMarquardt, NonlinearCG
from longlag.optim.function import Bound, Function, SeparateCurvature, StructuralFunction
from longlag.optim.hessian_free import HessianFreeMethod, HessianFreeState
from longlag.optim.lbfgs import LBFGSMethod, LBFGSState
from longlag.optim.levenberg_marquardt import LevenbergMarquardtMethod, LevenbergMarquardtState
from longlag.optim.line_search import StrongWolfe
from longlag.optim.linear_cg import LinearCG
from longlag.optim.minimise import Method, Tolerances, minimise
from longlag.optim.numerical import NumericalHessian
from longlag.optim.regime import growing, index_batches, minimise_batches
from longlag.optim.result import Outcome, Record, Result, Stop

__all__ = [
    "LBFGS",
    "Bound",
    "Budget",
    "CGMethod",
    "CGState",
    "Counted",
    "Curvature",
    "Evaluations",
    "Function",
    "HessianFree",
    "HessianFreeMethod",
    "HessianFreeState",
    "LBFGSMethod",
    "LBFGSState",
    "LevenbergMarquardt",
    "LevenbergMarquardtMethod",
    "LevenbergMarquardtState",
    "LinearCG",
    "Meter",
    "Method",
    "NonlinearCG",
    "NumericalHessian",
    "Outcome",
    "Record",
    "Result",
    "SeparateCurvature",
    "Stop",
    "StrongWolfe",
    "StructuralFunction",
    "Tolerances",
    "growing",
    "index_batches",
    "minimise",
    "minimise_batches",
]
