"""The torch.optim facades: equal to their cores, to torch's conventions, and to themselves after a restart."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longlag import optim
from longlag.errors import DivergenceError, InputError
from longlag.optim import CGMethod, HessianFreeMethod, LBFGSMethod, LevenbergMarquardtMethod, Tolerances, minimise
from longlag.optim.closures import GraphCurvature, OutputsFunction, Parameters
from optim.problems import BARRIER_MINIMUM, Matrix, Smooth, generator, vector
from optim.runs import five_steps_into_the_barrier, through_a_file

ALWAYS = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
LossClosure = Callable[[], Tensor]
OutputsClosure = Callable[[], tuple[Tensor, Tensor]]


def model(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)


def data(rows: int = 30, seed: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(rows, 3, dtype=torch.float64, generator=generator(seed))
    return inputs.to(dtype), torch.stack([inputs.prod(1), inputs.sum(1).sin()], 1).to(dtype)


def loss_closure(net: nn.Module, optimizer: torch.optim.Optimizer, samples: tuple[Tensor, Tensor]) -> LossClosure:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(samples[0]), samples[1])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    return closure


def outputs_closure(net: nn.Module, samples: tuple[Tensor, Tensor]) -> OutputsClosure:
    def closure() -> tuple[Tensor, Tensor]:
        outputs = net(samples[0])
        return nn.functional.mse_loss(outputs, samples[1]), outputs

    return closure


def flat(net: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in net.parameters()])


FACADES: dict[str, Callable[..., Any]] = {
    "LBFGS": optim.LBFGS,
    "NonlinearCG": optim.NonlinearCG,
    "HessianFree": optim.HessianFree,
    "LevenbergMarquardt": optim.LevenbergMarquardt,
}
each_facade = pytest.mark.parametrize("name", FACADES)


def closure_for(name: str, net: nn.Module, optimizer: Any, samples: tuple[Tensor, Tensor]) -> Any:
    if name in ("LBFGS", "NonlinearCG"):
        return loss_closure(net, optimizer, samples)
    return outputs_closure(net, samples)


def made(name: str, net: nn.Module, **options: Any) -> Any:
    return FACADES[name](net.parameters(), max_iter=3, **options)


CORES: dict[str, Any] = {
    "LBFGS": LBFGSMethod(),
    "NonlinearCG": CGMethod(),
    # damped as much as lets two ways of computing the same products agree to the last digits
    "HessianFree": HessianFreeMethod(damping=1.0, preconditioner="none"),
    "LevenbergMarquardt": LevenbergMarquardtMethod(),
}


def loss_of(net: nn.Module, samples: tuple[Tensor, Tensor]) -> Callable[[Tensor], Tensor]:
    """The loss as a function of the flat vector, by torch.func."""
    names = [(name, parameter.shape) for name, parameter in net.named_parameters()]

    def outputs(theta: Tensor) -> Tensor:
        parts = theta.split([shape.numel() for _, shape in names])
        values = {name: part.view(shape) for (name, shape), part in zip(names, parts, strict=True)}
        found: Tensor = torch.func.functional_call(net, values, samples[0])
        return found

    return outputs


class NetFunction(Smooth):
    """The model's loss with its Gauss-Newton matrix from a dense Jacobian."""

    def __init__(self, net: nn.Module, samples: tuple[Tensor, Tensor]) -> None:
        self.outputs = loss_of(net, samples)
        super().__init__(lambda theta: nn.functional.mse_loss(self.outputs(theta), samples[1]))

    def curvature(self, theta: Tensor) -> Any:
        jacobian = torch.autograd.functional.jacobian(self.outputs, theta).reshape(-1, theta.numel())
        return Matrix(2 / jacobian.shape[0] * jacobian.T @ jacobian, diagonal=False)


@each_facade
def test_a_step_is_the_core_from_the_same_start(name: str) -> None:
    net, samples = model(), data()
    function, theta = NetFunction(copy.deepcopy(net), samples), flat(net)
    options = ALWAYS | ({"damping": 1.0} if name == "HessianFree" else {})
    optimizer = made(name, net, max_eval=100, **options)
    returned = optimizer.step(closure_for(name, net, optimizer, samples))
    expected = minimise(CORES[name], function, theta, max_iterations=3, tolerances=Tolerances(0, 0))
    torch.testing.assert_close(flat(net), expected.theta, rtol=0, atol=1e-9)
    assert float(returned) == pytest.approx(function.value(theta), rel=1e-12)
    assert optimizer.result.value == pytest.approx(expected.value, rel=1e-9)
    assert optimizer.result.evaluations == expected.evaluations
    assert optimizer.result.reason == "max_iter is used"


@each_facade
def test_two_steps_are_one_of_twice_the_length(name: str) -> None:
    one, two, samples = model(), model(), data()
    optimizer = made(name, one, max_eval=100, **ALWAYS)
    for _ in range(2):
        optimizer.step(closure_for(name, one, optimizer, samples))
    whole = FACADES[name](two.parameters(), max_iter=6, max_eval=100, **ALWAYS)
    whole.step(closure_for(name, two, whole, samples))
    assert torch.equal(flat(one), flat(two))


@each_facade
def test_a_saved_state_goes_on_bit_by_bit(name: str) -> None:
    net, samples = model(), data()
    optimizer = made(name, net)
    for _ in range(3):
        optimizer.step(closure_for(name, net, optimizer, samples))
    saved = through_a_file({"optimizer": optimizer.state_dict(), "net": net.state_dict()})
    for _ in range(3):
        optimizer.step(closure_for(name, net, optimizer, samples))
    other = model()
    other.load_state_dict(saved["net"])
    again = made(name, other)
    again.load_state_dict(saved["optimizer"])
    for _ in range(3):
        again.step(closure_for(name, other, again, samples))
    assert torch.equal(flat(other), flat(net))


@pytest.mark.parametrize("name", ["LBFGS", "NonlinearCG"])
def test_other_samples_begin_anew(name: str) -> None:
    net = model()
    optimizer = made(name, net, **ALWAYS)
    optimizer.step(closure_for(name, net, optimizer, data(seed=1)))
    fresh = copy.deepcopy(net)
    optimizer.step(closure_for(name, net, optimizer, data(seed=2)))
    other = made(name, fresh, **ALWAYS)
    other.step(closure_for(name, fresh, other, data(seed=2)))
    assert torch.equal(flat(net), flat(fresh))


def test_hessian_free_keeps_its_damping_on_other_samples() -> None:
    net = model()
    optimizer = optim.HessianFree(net.parameters())
    optimizer.step(outputs_closure(net, data(seed=1)))
    (state,) = optimizer.state.values()
    damping = state["damping"]
    optimizer.step(outputs_closure(net, data(seed=2)))
    assert optimizer.result is not None
    assert optimizer.result.history[0].damping == damping != 1.0


@pytest.mark.costly
@each_facade
def test_it_learns(name: str) -> None:
    net, samples = model(), data()
    optimizer = made(name, net)
    first = float(optimizer.step(closure_for(name, net, optimizer, samples)))
    for _ in range(25):
        optimizer.step(closure_for(name, net, optimizer, samples))
    assert optimizer.result.value < 0.25 * first


@pytest.mark.costly
@each_facade
def test_float32_works(name: str) -> None:
    net, samples = model(torch.float32), data(dtype=torch.float32)
    optimizer = made(name, net)
    first = float(optimizer.step(closure_for(name, net, optimizer, samples)))
    for _ in range(10):
        optimizer.step(closure_for(name, net, optimizer, samples))
    assert optimizer.result.value < 0.5 * first
    assert flat(net).dtype == torch.float32


@each_facade
def test_a_loss_that_is_not_finite_changes_no_bit(name: str) -> None:
    net, (inputs, targets) = model(), data()
    optimizer, before = made(name, net), flat(net)
    with pytest.raises(DivergenceError, match="the loss is not finite"):
        optimizer.step(closure_for(name, net, optimizer, (inputs, targets * math.nan)))
    assert torch.equal(flat(net), before)


@each_facade
def test_a_closure_that_fails_changes_no_bit(name: str) -> None:
    net, samples = model(), data()
    optimizer, before, calls = made(name, net), flat(net), 0
    closure = closure_for(name, net, optimizer, samples)

    def failing() -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return closure()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(failing)
    assert torch.equal(flat(net), before)


def test_lbfgs_ends_at_the_minimum_of_the_log_barrier_torchs_own_leaves_for_nan() -> None:
    assert float(five_steps_into_the_barrier(optim.LBFGS)) == pytest.approx(BARRIER_MINIMUM, abs=1e-9)


def test_max_eval_is_never_exceeded() -> None:
    net, samples, calls = model(), data(), 0
    for limit in range(1, 8):
        optimizer = optim.LBFGS(net.parameters(), max_iter=100, max_eval=limit)
        closure, calls = loss_closure(net, optimizer, samples), 0

        def counting(closure: LossClosure = closure) -> Tensor:
            nonlocal calls
            calls += 1
            return closure()

        optimizer.step(counting)
        assert calls == limit


def test_a_scheduler_sets_the_learning_rate() -> None:
    net, samples = model(), data()
    optimizer = optim.LBFGS(net.parameters(), lr=1.0, max_iter=1, max_eval=2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step(loss_closure(net, optimizer, samples))
    scheduler.step()
    assert optimizer._method().learning_rate == 0.5


def test_frozen_and_unused_parameters_stay() -> None:
    net, samples = model(), data()
    idle = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = optim.HessianFree([*net.parameters(), idle], max_iter=3)
    optimizer.step(outputs_closure(net, samples))
    assert torch.equal(idle.detach(), torch.ones(2, dtype=torch.float64))
    assert optimizer.result is not None
    assert optimizer.result.history[-1].step > 0


@pytest.mark.parametrize("kind", ["squares", "cross entropy", "linear"])
def test_products_from_the_graph_are_those_of_the_dense_gauss_newton_matrix(kind: str) -> None:
    net, (inputs, targets) = model(), data()

    def error(outputs: Tensor) -> Tensor:
        if kind == "cross entropy":
            return nn.functional.cross_entropy(outputs, targets.argmax(1))
        return nn.functional.mse_loss(outputs, targets) if kind == "squares" else (outputs * targets).sum()

    def closure() -> tuple[Tensor, Tensor]:
        outputs = net(inputs)
        return error(outputs), outputs

    theta = flat(net)
    outputs = loss_of(net, (inputs, targets))
    jacobian = torch.autograd.functional.jacobian(outputs, theta).reshape(-1, theta.numel())
    answers = outputs(theta).detach()
    hessian = torch.autograd.functional.hessian(error, answers).reshape(answers.numel(), answers.numel())
    expected = jacobian.T @ hessian @ jacobian
    curvature = OutputsFunction(Parameters(list(net.parameters())), closure).curvature(theta)
    v = vector(theta.numel(), 5)
    for _ in range(2):  # the graph is kept
        torch.testing.assert_close(curvature @ v, expected @ v, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(curvature.dense(), expected, rtol=1e-9, atol=1e-11)
    assert curvature.diagonal() is None


def test_a_loss_beside_the_outputs_is_refused() -> None:
    net, (inputs, targets) = model(), data()
    optimizer = optim.HessianFree(net.parameters())
    with pytest.raises(InputError, match="the closure's loss is not computed from its outputs"):
        optimizer.step(lambda: (nn.functional.mse_loss(net(inputs), targets), net(inputs)))
    with pytest.raises(InputError, match=r"the closure returned Tensor; expected \(loss, outputs\)"):
        optimizer.step(lambda: nn.functional.mse_loss(net(inputs), targets))  # type: ignore[arg-type, return-value]
    assert GraphCurvature.is_stored is False


def test_what_cannot_be_one_flat_vector_is_refused() -> None:
    net, half = model(), nn.Parameter(torch.ones(2))
    with pytest.raises(InputError, match="2 parameter groups; expected one"):
        optim.LBFGS([{"params": [p]} for p in list(net.parameters())[:2]])
    with pytest.raises(InputError, match="expected all float32, or all float64, on one device"):
        optim.LBFGS([*net.parameters(), half])
    with pytest.raises(InputError, match=r"the parameters are torch\.float16 on cpu"):
        optim.NonlinearCG([nn.Parameter(half.detach().half())])


def test_the_state_of_another_model_is_refused() -> None:
    net, samples = model(), data()
    optimizer = optim.HessianFree(net.parameters())
    optimizer.step(outputs_closure(net, samples))
    document = optimizer.state_dict()
    other = [nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in net.parameters()]
    stranger = optim.HessianFree(other)
    stranger.load_state_dict(document)
    with pytest.raises(InputError, match="the state is of 26 parameters; expected 12"):
        stranger.step(lambda: (torch.stack(other).square().sum(), torch.stack(other)))


@pytest.mark.parametrize(
    ("facade", "options"),
    [
        (optim.LBFGS, {"lr": 0.0}),
        (optim.LBFGS, {"history_size": 0}),
        (optim.LBFGS, {"max_iter": 0}),
        (optim.LBFGS, {"max_eval": 0}),
        (optim.LBFGS, {"tolerance_grad": -1.0}),
        (optim.NonlinearCG, {"update": "none"}),
        (optim.NonlinearCG, {"curvature": 2.0}),
        (optim.HessianFree, {"damping": -1.0}),
        (optim.HessianFree, {"max_cg_iterations": 0}),
        (optim.LevenbergMarquardt, {"scaling": "none"}),
    ],
)
def test_bad_options_are_refused_when_it_is_made(facade: Callable[..., object], options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^\w+: \w+ is .*; expected "):
        facade(model().parameters(), **options)
