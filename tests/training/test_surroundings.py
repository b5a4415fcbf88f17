"""What the caller finds as it was after training, however that ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from longlag import Network
from longlag.errors import DivergenceError, InputError
from longlag.nn import SquaredError
from longlag.training import TrainingConfig, train
from training.loop_examples import (
    Spoiled,
    Stop,
    Watching,
    made,
    same,
    samples,
    stop,
    weights,
)

# RTRL differentiates forward, and torch meets its own deprecation when it loads what that takes.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def finished(network: Network) -> None:
    train(network, SquaredError(), samples(), TrainingConfig(max_epochs=1), validation=samples(3))


def stopped(network: Network) -> None:
    with pytest.raises(Stop):
        train(network, SquaredError(), samples(), TrainingConfig(max_epochs=1), callbacks=[Watching(stop)])


def stopped_after_validation(network: Network) -> None:
    config, watching = TrainingConfig(max_epochs=1), Watching(epoch=stop)
    with pytest.raises(Stop):
        train(network, SquaredError(), samples(), config, validation=samples(3), callbacks=[watching])


def diverged(network: Network) -> None:
    with pytest.raises(DivergenceError):
        train(network, Spoiled(2), samples(), TrainingConfig(max_epochs=9))


def refused(network: Network) -> None:
    with pytest.raises(InputError):
        train(network, SquaredError(), samples(inputs=3), TrainingConfig(max_epochs=1))


@pytest.mark.parametrize("ending", [finished, stopped, stopped_after_validation, diverged, refused])
@pytest.mark.parametrize("training", [True, False])
def test_random_numbers_threads_modes_and_gradients_are_the_callers_again(
    ending: Callable[[Network], None], training: bool
) -> None:
    network = made(num_layers=2, dropout=0.3).train(training)
    network.readout.train(not training)  # each module has a mode of its own
    given = [torch.full_like(weight, 7.0) for weight in network.parameters()]
    for weight, gradient in zip(network.parameters(), given, strict=True):
        weight.grad = gradient
    network.readout.bias.grad = None
    torch.set_num_threads(2)
    torch.manual_seed(12)
    before = torch.get_rng_state()
    ending(network)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2
    assert [network.training, network.lstm.training, network.readout.training] == [training, training, not training]
    for weight, gradient in zip(list(network.parameters())[:-1], given, strict=False):
        assert weight.grad is gradient
        assert bool((gradient == 7.0).all())
    assert network.readout.bias.grad is None


def test_a_caller_without_gradients_trains_the_same() -> None:
    networks = [made(), made()]
    config = TrainingConfig(max_epochs=2)
    train(networks[0], SquaredError(), samples(), config)
    with torch.no_grad():
        train(networks[1], SquaredError(), samples(), config)
        assert not torch.is_grad_enabled()
    assert same(weights(networks[0]), weights(networks[1]))


def test_data_and_loss_are_read_only() -> None:
    data = samples()
    copies = [tensor.clone() for tensor in (data.inputs, data.lengths, data.targets, data.target_mask)]
    train(made(), SquaredError(), data, TrainingConfig(max_epochs=1), validation=data)
    found = (data.inputs, data.lengths, data.targets, data.target_mask)
    assert all(torch.equal(one, two) for one, two in zip(found, copies, strict=True))
