"""Training that stops being finite says where, and leaves finite parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from longlag import LSTM, Network
from longlag.errors import DivergenceError
from longlag.nn import SquaredError
from longlag.optimizers import names
from longlag.training import TrainingConfig, train
from training.loop_examples import (
    GRADIENTS,
    Spoiled,
    Watching,
    made,
    same,
    samples,
    weights,
)

# RTRL differentiates forward, and torch meets its own deprecation when it loads what that takes.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def test_an_update_that_overflows_is_not_made() -> None:
    data = samples()
    data.targets.mul_(1e9)
    network = made()
    before = weights(network)
    config = TrainingConfig(optimizer="sgd", learning_rate=1e305, max_epochs=2, batch_size=2)
    with pytest.raises(
        DivergenceError, match=r"^training diverged: the update stopped being finite at epoch 1, batch 1; "
    ):
        train(network, SquaredError(), data, config)
    assert same(weights(network), before)


def test_a_learning_rate_that_is_too_large_ends_with_finite_parameters() -> None:
    network = Network(LSTM(2, 3), 1)
    config = TrainingConfig(optimizer="momentum", learning_rate=1e18, max_epochs=50, batch_size=2)
    with pytest.raises(
        DivergenceError, match=r"at epoch \d+, batch \d; the parameters are those before it; a smaller lea"
    ):
        train(network, SquaredError(), samples().to(dtype=torch.float32), config)
    assert all(bool(torch.isfinite(weight).all()) for weight in network.parameters())


@pytest.mark.parametrize("gradient", [GRADIENTS[0], GRADIENTS[3]], ids=str)
@pytest.mark.parametrize("good", [0, 1, 4])
def test_a_loss_that_becomes_nan_names_its_batch_and_leaves_the_parameters_before_it(
    good: int, gradient: dict[str, Any]
) -> None:
    network, data = made(), samples(lengths=(2, 2, 2, 2, 2))  # one window each
    seen = [weights(network)]
    watching = Watching(lambda *_: seen.append(weights(network)))
    place = f"epoch {good // 3 + 1}, batch {good % 3 + 1}"
    config = TrainingConfig(max_epochs=9, batch_size=2, **gradient)
    with pytest.raises(DivergenceError, match=f"^training diverged: the loss stopped being finite at {place}; the "):
        train(network, Spoiled(good), data, config, callbacks=[watching])
    assert len(seen) == good + 1
    assert same(weights(network), seen[-1])


@pytest.mark.parametrize(
    ("name", "rate"), [*((name, 1e300) for name in names(methods=False)), ("adam", 3e38), ("adamw", 3e38)]
)
def test_a_learning_rate_that_float32_cannot_hold_is_divergence_in_one_sentence(name: Any, rate: float) -> None:
    torch.manual_seed(0)
    network, data = Network(LSTM(2, 3), 1), samples().to(dtype=torch.float32)
    before = weights(network)
    config = TrainingConfig(optimizer=name, learning_rate=rate, weight_decay=0.1, max_epochs=1)
    with pytest.raises(DivergenceError, match=r"^training diverged: the update stopped being finite at epoch 1, batch"):
        train(network, SquaredError(), data, config)
    assert same(weights(network), before)


class Steep(SquaredError):
    """A finite error whose slope is not."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - outputs.detach()).sqrt().sum(-1)


def test_a_gradient_that_is_not_finite_is_not_followed() -> None:
    network = made()
    before = weights(network)
    with pytest.raises(DivergenceError, match="the gradient stopped being finite at epoch 1, batch 1;"):
        train(network, Steep(), samples(), TrainingConfig(max_epochs=1, clip_norm=1.0, clip_value=1.0))
    assert same(weights(network), before)


class Blind(SquaredError):
    """Infinite unless somebody learns from it."""

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().errors(outputs, targets) * (1.0 if torch.is_grad_enabled() else math.inf)


def test_a_validation_loss_that_is_not_finite_is_named() -> None:
    with pytest.raises(
        DivergenceError, match="the validation loss stopped being finite at epoch 1; the parameters are "
    ):
        train(made(), Blind(), samples(), TrainingConfig(max_epochs=2), validation=samples(2))
