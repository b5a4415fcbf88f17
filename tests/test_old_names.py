"""Names of the last release still work, warn, and mean what they are called today."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from longlag import LSTM, Network, SequenceBatch, data, optim
from longlag.data import Frequency
from longlag.gradients import NetworkObjective, ScheduledSampling, free_run
from longlag.nn import SquaredError
from longlag.optim import (
    BoundObjective,
    CGMethod,
    HessianFree,
    LBFGSMethod,
    StrongWolfe,
    Tolerances,
    minimise_batches,
)
from longlag.training import TrainingConfig
from optim.problems import LeastSquares, rosenbrock_residuals

BATCH = SequenceBatch.last_step([torch.ones(3, 1), torch.ones(2, 1)], torch.ones(2, 1), dtype=torch.float64)
V = torch.ones(43, dtype=torch.float64)
STATE = (torch.ones(1, 2, 2, dtype=torch.float64), torch.ones(1, 2, 2, dtype=torch.float64))
MODULES = {
    "Bound": "function:BoundObjective",
    "CGState": "cg:CGState",
    "Counted": "counting:CountingFunction",
    "HessianFreeState": "hessian_free:HessianFreeState",
    "LBFGSState": "lbfgs:LBFGSState",
    "LevenbergMarquardtState": "levenberg_marquardt:LevenbergMarquardtState",
    "Meter": "counting:EvaluationCounter",
    "NumericalHessian": "numerical:NumericalHessian",
    "Outcome": "result:Outcome",
    "Stop": "result:Stop",
    "StructuralFunction": "function:StructuralFunction",
}


@pytest.mark.parametrize("old", MODULES)
def test_what_optim_exported_is_found_and_says_where_it_is(old: str) -> None:
    module, _, name = MODULES[old].partition(":")
    with pytest.warns(DeprecationWarning, match=rf"longlag\.optim\.{old} is now longlag\.optim\.(\w+\.)?{name}"):
        thing = getattr(optim, old)
    assert thing is getattr(importlib.import_module(f"longlag.optim.{module}"), name)


def test_even_times_are_frequencies_now() -> None:
    with pytest.warns(DeprecationWarning, match=r"longlag\.data\.EvenTimes is now longlag\.data\.Frequency"):
        assert data.EvenTimes is Frequency


def test_what_optim_exports_is_what_it_has() -> None:
    assert all(hasattr(optim, name) for name in optim.__all__)
    assert len(optim.__all__) == 23
    with pytest.raises(AttributeError, match=r"module 'longlag\.optim' has no attribute 'Nothing'"):
        optim.Nothing  # noqa: B018


def fit(**options: Any) -> Any:
    class Objective:
        """Least squares on no samples."""

        function = LeastSquares(rosenbrock_residuals)

        def value(self, theta: torch.Tensor, batch: None) -> float:
            return self.function.value(theta)

        def value_and_gradient(self, theta: torch.Tensor, batch: None) -> tuple[float, torch.Tensor]:
            return self.function.value_and_gradient(theta)

        def curvature(self, theta: torch.Tensor, batch: None) -> Any:
            return self.function.curvature(theta)

    start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    return minimise_batches(LBFGSMethod(), Objective(), start, [None], **options).theta.tolist()


def ran(**options: Any) -> Any:
    torch.manual_seed(0)
    network = Network(LSTM(1, 2), 1)
    return free_run(network, torch.ones(1, 1), network.lstm.initial_state(1), 3, **options).tolist()


def sampling(**options: Any) -> Any:
    return vars(ScheduledSampling(1, **options))


def facade(**options: Any) -> Any:
    return HessianFree([torch.ones(2, requires_grad=True)], **options).defaults


class Batch:
    """A small problem, and what a network's objective says of it by one of its methods."""

    def __init__(self, method: str, *arguments: torch.Tensor) -> None:
        self.method, self.arguments = method, arguments

    def __call__(self, **options: Any) -> Any:
        torch.manual_seed(0)
        objective = NetworkObjective(Network(LSTM(1, 2), 1).double(), SquaredError())
        answer = getattr(objective, self.method)(objective.theta, *self.arguments, **options)
        return str(answer)


def responded(**options: Any) -> Any:
    torch.manual_seed(0)
    network = Network(LSTM(1, 2), 1).double()
    return network.respond(BATCH, **options)[0].tolist()


def bound(**options: Any) -> Any:
    return vars(BoundObjective(None, **options))  # type: ignore[arg-type]


CALLS: list[tuple[Callable[..., Any], str, dict[str, Any], dict[str, Any]]] = [
    (LBFGSMethod, "LBFGSMethod", {"history": 5}, {"history_size": 5}),
    (LBFGSMethod, "LBFGSMethod", {"lr": 0.5}, {"learning_rate": 0.5}),
    (CGMethod, "CGMethod", {"lr": 0.5}, {"learning_rate": 0.5}),
    (StrongWolfe, "StrongWolfe", {"max_evaluations": 5}, {"max_trials": 5}),
    (Tolerances, "Tolerances", {"progress": 0.5}, {"change": 0.5}),
    (TrainingConfig, "TrainingConfig", {"own_answers": 0.5}, {"sampling_probability": 0.5}),
    (fit, "minimise_batches", {"inner": 3}, {"inner_iterations": 3}),
    (fit, "minimise_batches", {"curvature_samples": lambda _: None}, {"curvature_batch": lambda _: None}),
    (facade, "HessianFree", {"max_cg": 7}, {"max_cg_iterations": 7}),
    (sampling, "ScheduledSampling", {"own": 0.5}, {"sampling_probability": 0.5}),
    (sampling, "ScheduledSampling", {"emit": torch.tanh}, {"feedback": torch.tanh}),
    (ran, "free_run", {"emit": torch.tanh}, {"feedback": torch.tanh}),
    (bound, "BoundObjective", {"samples": 3}, {"batch": 3}),
    (Batch("value"), "NetworkObjective.value", {"samples": BATCH}, {"batch": BATCH}),
    (Batch("value_and_gradient"), "NetworkObjective.value_and_gradient", {"samples": BATCH}, {"batch": BATCH}),
    (Batch("curvature_product", V), "NetworkObjective.curvature_product", {"samples": BATCH}, {"batch": BATCH}),
    (responded, "Network.respond", {"hx": STATE}, {"state": STATE}),
]


# torch's own, when forward-mode differentiation is first used
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("call", "owner", "old", "new"), CALLS, ids=[f"{owner}-{list(old)}" for _, owner, old, _ in CALLS]
)
def test_an_argument_by_its_old_name_warns_and_means_the_new_one(
    call: Callable[..., Any], owner: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    (before,), (today,) = old, new
    with pytest.warns(DeprecationWarning, match=rf"^{owner}\({before}=...\) is now {owner}\({today}=...\)"):
        answer = call(**old)
    assert answer == call(**new)


def test_attributes_by_their_old_names_warn_and_are_those_of_today() -> None:
    engine = ScheduledSampling(1, 0.5)
    with pytest.warns(DeprecationWarning, match=r"ScheduledSampling\.own is now .*\.sampling_probability"):
        engine.own = 0.25
    assert engine.sampling_probability == 0.25
    with pytest.warns(DeprecationWarning, match=r"LBFGSMethod\.history is now LBFGSMethod\.history_size"):
        assert LBFGSMethod().history == 100
    with pytest.warns(DeprecationWarning, match=r"TrainingConfig\.own_answers is now"):
        assert TrainingConfig().own_answers == 0.0


def test_a_state_dict_of_the_last_release_is_loaded() -> None:
    old = HessianFree([torch.ones(2, requires_grad=True)], max_cg_iterations=7)
    saved = old.state_dict()
    saved["param_groups"][0]["max_cg"] = saved["param_groups"][0].pop("max_cg_iterations")
    new = HessianFree([torch.ones(2, requires_grad=True)])
    new.load_state_dict(saved)
    assert new._method().solver.max_iterations == 7
