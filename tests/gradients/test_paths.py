"""Which paths carry the error, and which parameters an engine answers for."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from equivalence.compare import distance
from equivalence.engines import BACKENDS
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import (
    RTRL,
    Backpropagation,
    GradientEngine,
    NetworkObjective,
    ScheduledSampling,
    TruncatedBPTT,
)
from longlag.nn import SquaredError
from longlag.ops.paths import FULL, TRUNCATED, GradientPaths
from longlag.training import TrainingConfig, train

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

ENGINES = [Backpropagation(), Backpropagation(TRUNCATED), TruncatedBPTT(2, 3), RTRL(), RTRL(TRUNCATED)]
DENSE = CellSpec(peepholes=True, gate_recurrence=True, conventional_units=1)


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def initial_errors(lstm: LSTM, paths: GradientPaths) -> list[list[float]]:
    """The largest error that reaches each part of the initial state, by layer: outputs, cells, gates."""
    state = tuple((part + double(*part.shape)).requires_grad_() for part in lstm.initial_state(2))
    outputs, _ = lstm(double(4, 2, lstm.input_size), state, paths=paths)
    found = torch.autograd.grad(outputs[-1].sum(), state, allow_unused=True, materialize_grads=True)
    return [[float(part[layer].abs().max()) for part in found] for layer in range(lstm.num_layers)]


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "torch"])
def test_the_truncated_error_reaches_the_first_cells_and_no_output_or_gate_before_them(backend: str) -> None:
    lstm = LSTM(2, 3, cell=DENSE, dtype=torch.float64, backend=backend)
    ((output, cells, gates),) = initial_errors(lstm, TRUNCATED)
    assert output == gates == 0.0
    assert cells > 1e-3
    assert min(min(initial_errors(lstm, FULL))) > 0.0


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend != "torch"])
def test_the_truncated_error_reaches_a_lower_layer_through_its_input(backend: str) -> None:
    lstm = LSTM(2, 3, 2, cell=DENSE, dtype=torch.float64, backend=backend)
    lower, upper = initial_errors(lstm, TRUNCATED)
    assert lower[0] == lower[2] == upper[0] == upper[2] == 0.0
    assert lower[1] > 1e-4
    assert upper[1] > 1e-4
    inputs = double(4, 2, 2).requires_grad_()
    outputs, _ = lstm(inputs, paths=TRUNCATED)
    (at_inputs,) = torch.autograd.grad(outputs[-1].sum(), inputs)
    assert bool((at_inputs.abs().amax((1, 2)) > 0).all())  # every step's input moves a state that lasts to the end


@pytest.mark.parametrize("gradient", ["full", "truncated"])
def test_a_layers_own_gradient_option_is_the_paths_of_its_backward_pass(gradient: str) -> None:
    lstm = LSTM(2, 3, cell=DENSE, dtype=torch.float64, gradient=gradient)
    inputs, weights = double(4, 2, 2), list(lstm.parameters())
    paths = {"full": FULL, "truncated": TRUNCATED}[gradient]
    own, expected = (
        torch.autograd.grad(outputs.square().sum(), weights) for outputs, _ in (lstm(inputs), lstm(inputs, paths=paths))
    )
    assert all(torch.equal(one, other) for one, other in zip(own, expected, strict=True))


def two_that_differ_in_gradient(**options: Any) -> tuple[Network, Network]:
    """The same weights in a layer that follows every path, and in one that truncates."""
    torch.manual_seed(0)
    full, truncated = (
        Network(LSTM(2, 4, cell=DENSE, gradient=gradient, dtype=torch.float64, **options), 1)
        for gradient in ("full", "truncated")
    )
    truncated.load_state_dict(full.state_dict())
    return full, truncated


def answers() -> SequenceBatch:
    torch.manual_seed(1)
    return SequenceBatch.last_step([double(6, 2) for _ in range(3)], double(3, 1))


@pytest.mark.parametrize("backend", ["auto", "bptt", "reference"])
def test_a_layers_own_gradient_is_that_of_every_engine_which_names_none(backend: str) -> None:
    full, truncated = two_that_differ_in_gradient(backend=backend)
    batch, loss = answers(), SquaredError()
    expected = Backpropagation(TRUNCATED).value_and_gradient(full, loss, batch)[1]
    whole = Backpropagation(FULL).value_and_gradient(full, loss, batch)[1]
    assert distance(expected, whole) > 1e-3
    found = Backpropagation().value_and_gradient(truncated, loss, batch)[1]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for engine in (RTRL(), TruncatedBPTT(6, 6), ScheduledSampling(1)):
        assert distance(engine.value_and_gradient(truncated, loss, batch)[1], expected) <= 1e-12
    objective = NetworkObjective(truncated, loss)
    flat = objective.value_and_gradient(objective.theta, batch)[1]
    assert torch.equal(flat, torch.cat([part.flatten() for part in expected]))
    assert distance([objective.linearise(objective.theta, batch).gradient], [flat]) == 0.0


def test_a_network_is_trained_with_the_gradient_of_its_layer() -> None:
    full, truncated = two_that_differ_in_gradient()
    batch, config = answers(), TrainingConfig(optimizer="sgd", learning_rate=0.1, max_epochs=3)
    by_config = copy.deepcopy(full)
    train(by_config, SquaredError(), batch, replace(config, gradient="truncated"))
    for network in (full, truncated):
        train(network, SquaredError(), batch, config)
    assert distance(list(truncated.parameters()), list(by_config.parameters())) == 0.0
    assert distance(list(truncated.parameters()), list(full.parameters())) > 1e-4


@pytest.mark.parametrize("paths", [FULL, GradientPaths(peepholes=False)], ids=["full", "recurrent"])
@pytest.mark.parametrize("engine", [Backpropagation, RTRL])
def test_a_gradient_along_paths_that_the_layer_cuts_is_refused(engine: Any, paths: GradientPaths) -> None:
    _, truncated = two_that_differ_in_gradient()
    with pytest.raises(InputError, match=r"^the layer has gradient='truncated', but its gradient is to be taken along"):
        engine(paths).value_and_gradient(truncated, SquaredError(), answers())


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: type(engine).__name__)
def test_engines_leave_grad_alone_and_leave_frozen_parameters_out(engine: GradientEngine) -> None:
    network = Network(LSTM(2, 3, cell=DENSE, dtype=torch.float64), 1)
    network.lstm.weight_hh_l0.requires_grad_(False)
    network.readout.bias.requires_grad_(False)
    network.readout.weight.grad = torch.full_like(network.readout.weight, 7.0)
    before = copy.deepcopy(network.state_dict())
    batch = SequenceBatch.every_step([double(5, 2)], [double(5, 1)])
    with torch.no_grad():  # engines turn gradients on for themselves
        value, gradient = engine.value_and_gradient(network, SquaredError(), batch)
    wanted = [weight for weight in network.parameters() if weight.requires_grad]
    assert [part.shape for part in gradient] == [weight.shape for weight in wanted]
    assert all(bool(part.abs().max() > 0) for part in gradient)
    assert not any(part.requires_grad for part in (value, *gradient))
    assert bool((network.readout.weight.grad == 7.0).all())
    assert all(weight.grad is None for weight in network.parameters() if weight is not network.readout.weight)
    assert all(torch.equal(after, before[name]) for name, after in network.state_dict().items())


@pytest.mark.parametrize("engine", [TruncatedBPTT(2, 2), RTRL()], ids=lambda engine: type(engine).__name__)
def test_engines_that_carry_state_from_step_to_step_refuse_a_bidirectional_network(engine: GradientEngine) -> None:
    network = Network(LSTM(1, 2, bidirectional=True), 1)
    batch = SequenceBatch.every_step([torch.randn(3, 1)], [torch.randn(3, 1)])
    with pytest.raises(ValueError, match="bidirectional=False"):
        engine.value_and_gradient(network, SquaredError(), batch)


def test_forward_mode_refuses_a_network_that_drops_units_at_random() -> None:
    network = Network(LSTM(2, 3, num_layers=2, dropout=0.5), 1)
    batch = SequenceBatch.last_step([torch.randn(3, 2)], torch.randn(1, 1))
    with pytest.raises(InputError, match=r"RTRL .* expected dropout=0, or network.eval\(\)"):
        RTRL().value_and_gradient(network, SquaredError(), batch)
    RTRL().value_and_gradient(network.eval(), SquaredError(), batch)
