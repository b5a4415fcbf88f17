"""How a batch method in the training loop ends: converged, stalled, not finite, or refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, Network, SequenceBatch
from longlag.errors import DivergenceError, InputError
from longlag.gradients import NetworkObjective
from longlag.nn import SquaredError
from longlag.training import Callback, Schedule, TrainingInfo, TrainingResult, train
from longlag.training.batches import plan
from longlag.training.second_order import SecondOrderStep
from training.small import METHODS, config, flat, made, samples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


# -- how it ends -------------------------------------------------------------------------------------------------------


def ended(name: str, data: SequenceBatch, network: Network | None = None, **options: Any) -> TrainingResult:
    return train(network or made(), SquaredError(), data, config(name, **{"max_epochs": 400, **options}))


def answers_of(network: Network, data: SequenceBatch) -> SequenceBatch:
    with torch.no_grad():
        return SequenceBatch(data.inputs, data.lengths, network.respond(data)[0], data.target_mask)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_has_converged_on_all_the_data_ends_training(name: str) -> None:
    network, data = made(), samples(lengths=(2, 2))
    result = ended(name, data, network)
    assert result.reason == "converged"
    assert 1 < result.epochs == result.best_epoch == len(result.history) < 400
    _, gradient = NetworkObjective(network, SquaredError()).value_and_gradient(flat(network), data)
    assert float(gradient.abs().max()) <= 1e-5
    assert result.history[-1]["gradient_norm"] > 1e-5  # an epoch in which nothing was left to do is not made


class Lifted(SquaredError):
    """So high above zero that no step lowers it by a billionth part."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().errors(outputs, targets) + 1e10


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_has_stalled_on_all_the_data_ends_training(name: str) -> None:
    result = train(made(), Lifted(), samples(), config(name))
    assert (result.reason, result.epochs) == ("stalled", 1)


@pytest.mark.parametrize("name", METHODS)
def test_on_mini_batches_it_goes_on_to_the_next_batch(name: str) -> None:
    result = train(made(), Lifted(), samples(), config(name, batch_size=4))
    assert (result.reason, result.epochs) == ("max_epochs", 5)


def test_it_goes_on_while_a_schedule_will_change_the_function() -> None:
    linear, constant = Schedule(1.0, 2.0, "linear"), Schedule(2.0)
    going_on = train(made(), Lifted(), samples(), config("lbfgs", sharpness=linear))
    assert (going_on.reason, going_on.epochs) == ("max_epochs", 5)
    for sharpness in (constant, 2.0):
        over = train(made(), Lifted(), samples(), config("lbfgs", sharpness=sharpness))
        assert (over.reason, over.epochs) == ("stalled", 1)


def test_a_start_that_is_a_minimum_is_kept() -> None:
    network, data = made(), samples()
    before = flat(network)
    result = ended("hessian_free", answers_of(network, data), network, patience=1)
    assert (result.reason, result.epochs) == ("converged", 1)
    assert torch.equal(flat(network), before)


def test_patience_ends_a_method_too() -> None:
    result = ended("lbfgs", samples(), patience=2, min_delta=1e6)
    assert (result.reason, result.epochs) == ("patience", 3)


def test_of_a_method_that_has_converged_the_best_validated_parameters_are_kept() -> None:
    network, data, other = made(), samples(lengths=(2, 2)), samples(2)
    result = train(network, SquaredError(), data, config("lbfgs", max_epochs=400), validation=other)
    values = [entry["validation"] for entry in result.history]
    assert result.reason == "converged"
    assert result.best_epoch < result.epochs
    start = NetworkObjective(made(), SquaredError()).value(flat(made()), other)
    assert NetworkObjective(network, SquaredError()).value(flat(network), other) == min(start, *values)


# -- what is not finite ------------------------------------------------------------------------------------------------


class Following(Callback):
    """A callback that keeps the parameters after each batch."""

    def __init__(self, network: Network) -> None:
        self.network, self.seen = network, [flat(network)]

    def on_batch_end(self, *_: object) -> None:
        self.seen.append(flat(self.network))

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        assert math.isfinite(entry["loss"])


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_whose_loss_is_not_finite_is_named_and_changes_nothing(name: str) -> None:
    network, data = made(), samples(lengths=(3, 3, 3, 3, 3))
    data.targets[2, 2] = 1e200  # its square is infinite
    order = [chosen.tolist() for chosen in plan(data.lengths, 1, bucket=True, seed=0, epoch=0)]
    place = order.index([2]) + 1
    assert place > 1
    following = Following(network)
    message = f"training diverged: the loss stopped being finite at epoch 1, batch {place}; the parameters are those "
    with pytest.raises(DivergenceError, match=f"^{message}before it$"):
        train(network, SquaredError(), data, config(name, batch_size=1), callbacks=[following])
    assert len(following.seen) == place
    assert torch.equal(flat(network), following.seen[-1])
    assert not torch.equal(following.seen[-1], following.seen[0])


class Steep(SquaredError):
    """A finite error whose slope is not."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - outputs.detach()).sqrt().sum(-1)


def test_a_gradient_that_is_not_finite_is_named() -> None:
    network = made()
    before = flat(network)
    with pytest.raises(DivergenceError, match="the gradient stopped being finite at epoch 1, batch 1; the par"):
        train(network, Steep(), samples(), config("lbfgs"))
    assert torch.equal(flat(network), before)


class Fenced(SquaredError):
    """NaN as soon as an output is large, as the targets ask for."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.where(outputs.abs().sum(-1) < 1.0, super().errors(outputs, targets + 9.0), math.nan)


@pytest.mark.costly
@pytest.mark.parametrize("name", METHODS)
def test_a_nan_on_the_way_never_reaches_the_parameters(name: str) -> None:
    network = made()
    following = Following(network)
    result = train(network, Fenced(), samples(), config(name, max_epochs=9), callbacks=[following])
    assert all(bool(torch.isfinite(theta).all()) for theta in following.seen)
    assert math.isfinite(NetworkObjective(network, Fenced()).value(flat(network), samples()))
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.costly
@pytest.mark.parametrize("name", METHODS)
def test_nor_where_the_next_batch_is_not_finite_there(name: str) -> None:
    """A method that went up to the fence on one batch is beyond it on another."""
    network = made()
    following = Following(network)
    with suppress(DivergenceError):
        train(network, Fenced(), samples(), config(name, batch_size=2), callbacks=[following])
    assert len(following.seen) > 1
    assert all(bool(torch.isfinite(theta).all()) for theta in following.seen)
    assert torch.equal(flat(network), following.seen[-1])


class Failing(SquaredError):
    """Fails at its n-th call."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise ArithmeticError("by design")
        return super().errors(outputs, targets)


@pytest.mark.parametrize("calls", [1, 2, 3, 7])
def test_an_update_that_fails_leaves_the_parameters_before_it(calls: int) -> None:
    network = made()
    before = flat(network)
    with pytest.raises(ArithmeticError, match="by design"):
        train(network, Failing(calls), samples(), config("cg", inner_iterations=30))
    assert torch.equal(flat(network), before)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_network_that_drops_units_is_refused(name: str) -> None:
    network = made(num_layers=2, dropout=0.25)
    message = (
        f"optimizer={name!r} needs a loss that repeats, and the network drops units at random (dropout=0.25); "
        "expected dropout=0, or sgd, momentum, adam or adamw"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        train(network, SquaredError(), samples(), config(name))


def test_a_dense_matrix_of_too_many_weights_is_refused_before_it_is_made() -> None:
    network = Network(LSTM(2, 32), 1)
    message = (
        "optimizer='levenberg_marquardt' makes a matrix of all pairs of weights, and the network has 4641 weights; "
        "expected at most 4000, or optimizer='hessian_free', which makes none"
    )
    with pytest.raises(InputError, match=f"^{message}$"):
        train(network, SquaredError(), samples(dtype=torch.float32), config("levenberg_marquardt"))
    network.lstm.weight_hh_l0.requires_grad_(False)  # what stays is no part of the matrix
    SecondOrderStep(config("levenberg_marquardt").resolved(5), network, SquaredError(), samples())


def test_weights_in_half_precision_are_refused() -> None:
    network = Network(LSTM(2, 3, dtype=torch.bfloat16), 1)
    with pytest.raises(InputError, match=r"torch\.bfloat16; expected \(W,\) of float32 or float64$"):
        train(network, SquaredError(), samples(dtype=torch.bfloat16), config("lbfgs"))
