"""Second-order and line-search optimisers on one flat vector, also as ``torch.optim`` optimisers.

``LBFGS``, ``NonlinearCG``, ``HessianFree`` and ``LevenbergMarquardt`` are for users of plain PyTorch. Each stands on a
core, ``LBFGSMethod`` and so on, that knows a ``Function`` of a flat vector and nothing else; ``minimise`` drives it,
``minimise_batches`` on mini-batches. Every end has a reason, no budget is exceeded, no NaN is committed.
"""

from longlag.optim.cg import CGMethod
from longlag.optim.counting import Budget, Evaluations
from longlag.optim.function import BoundObjective, Function, SeparateCurvature
from longlag.optim.hessian_free import HessianFreeMethod
from longlag.optim.lbfgs import LBFGSMethod
from longlag.optim.levenberg_marquardt import LevenbergMarquardtMethod
from longlag.optim.line_search import StrongWolfe
from longlag.optim.linear_cg import LinearCG
from longlag.optim.minibatch import growing, index_batches, minimise_batches
from longlag.optim.minimise import Method, Tolerances, minimise
from longlag.optim.result import Record, Result
from longlag.optim.torch_optim import LBFGS, HessianFree, LevenbergMarquardt, NonlinearCG
from longlag.renamed import renamed

__all__ = [
    "LBFGS",
    "BoundObjective",
    "Budget",
    "CGMethod",
    "Evaluations",
    "Function",
    "HessianFree",
    "HessianFreeMethod",
    "LBFGSMethod",
    "LevenbergMarquardt",
    "LevenbergMarquardtMethod",
    "LinearCG",
    "Method",
    "NonlinearCG",
    "Record",
    "Result",
    "SeparateCurvature",
    "StrongWolfe",
    "Tolerances",
    "growing",
    "index_batches",
    "minimise",
    "minimise_batches",
]

# What only a new method or function needs is imported from the module where it stands.
__getattr__ = renamed(
    __name__,
    {
        "Bound": "BoundObjective",
        "CGState": "longlag.optim.cg:CGState",
        "Counted": "longlag.optim.counting:CountingFunction",
        "Curvature": "longlag.nn.curvature:Curvature",
        "HessianFreeState": "longlag.optim.hessian_free:HessianFreeState",
        "LBFGSState": "longlag.optim.lbfgs:LBFGSState",
        "LevenbergMarquardtState": "longlag.optim.levenberg_marquardt:LevenbergMarquardtState",
        "Meter": "longlag.optim.counting:EvaluationCounter",
        "NumericalHessian": "longlag.optim.numerical:NumericalHessian",
        "Outcome": "longlag.optim.result:Outcome",
        "Stop": "longlag.optim.result:Stop",
        "StructuralFunction": "longlag.optim.function:StructuralFunction",
    },
)
