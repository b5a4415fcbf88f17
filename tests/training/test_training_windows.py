"""Truncated BPTT updates window by window, and every gradient follows its own rule."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from longlag import Network, SequenceBatch
from longlag.nn import SquaredError
from longlag.nn.losses import Reduction
from longlag.training import TrainingConfig, train
from longlag.training.batches import plan
from training.loop_examples import (
    ASKED,
    EXACT,
    asked_at,
    made,
    same,
    samples,
    weights,
)

# RTRL differentiates forward, and torch meets its own deprecation when it loads what that takes.
pytestmark = [
    pytest.mark.costly,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]


def windows_by_hand(network: Network, data: SequenceBatch, config: TrainingConfig, reduction: Reduction) -> None:
    """SGD with weight decay, one sequence at a time through each window of k1 steps.

    With k2 = k1 a window begins in the state that the one before ended in; a sequence's last one, if it is shorter,
    goes back k2 steps too: from the first state of the window before, at first without a graph. With k2 = T every
    window begins at the sequence's first step.
    """
    parameters, k1, k2 = list(network.parameters()), config.k1 or 0, config.k2 or 0
    for epoch in range(config.max_epochs):
        for chosen in plan(data.lengths, config.batch_size, bucket=True, seed=config.seed, epoch=epoch):
            carried = [{0: network.lstm.initial_state(1)} for _ in chosen]  # for each sequence its state before a step
            for start in range(0, int(data.lengths[chosen].max()), k1):
                total = torch.zeros((), dtype=torch.float64)
                for known, b in zip(carried, chosen.tolist(), strict=True):
                    stop = min(start + k1, int(data.lengths[b]))
                    if stop <= start:
                        continue
                    sequence, begin = data.inputs[:, b : b + 1], max(stop - k2, 0)
                    origin = max(step for step in known if step <= begin)
                    with torch.no_grad():
                        state = network(sequence[origin:begin], known[origin])[1] if begin > origin else known[origin]
                    outputs, state = network(sequence[begin:stop], state)
                    known[stop] = tuple(part.detach() for part in state)
                    mask = data.target_mask[start:stop, b]
                    errors = 0.5 * (outputs[start - begin :, 0] - data.targets[start:stop, b]).square().sum(-1)[mask]
                    scale = 1.0 if reduction == "sum" else 1.0 / len(chosen)
                    if reduction == "mean":
                        scale /= max(len(errors), 1)
                    total = total + scale * errors.sum()
                if not bool(data.target_mask[start : start + k1, chosen].any()):
                    continue
                slopes = torch.autograd.grad(total, parameters)
                with torch.no_grad():
                    for weight, slope in zip(parameters, slopes, strict=True):
                        weight -= config.learning_rate * (slope + config.weight_decay * weight)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("reduction", ["mean", "samples", "sum"])
@pytest.mark.parametrize(("k1", "k2"), [(2, 2), (3, 3), (1, 1), (2, 9)])
def test_truncated_bptt_makes_one_update_per_window_that_asks_for_an_answer(
    k1: int, k2: int, reduction: Reduction, asked: str
) -> None:
    """Weight decay moves the weights even where the gradient is zero, so an update too many would show."""
    data = asked_at(samples(), ASKED[asked])
    config = TrainingConfig(
        optimizer="sgd", learning_rate=0.1, weight_decay=0.3, gradient="tbptt", k1=k1, k2=k2, max_epochs=2, batch_size=2
    )
    network, by_hand = made(), made()
    train(network, SquaredError(reduction), data, config)
    windows_by_hand(by_hand, data, config, reduction)
    assert_close(network, by_hand)


def assert_close(one: Network, other: Network) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=EXACT)


def distance(one: Network, other: Network) -> float:
    return max(float((value - other.state_dict()[name]).abs().max()) for name, value in one.state_dict().items())


def test_a_batch_that_asks_nothing_makes_no_update() -> None:
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.3, "batch_size": 1}
    silent = asked_at(samples(), lambda t, b: b in (1, 3))
    network, by_hand = made(), made()
    result = train(network, SquaredError("sum"), silent, TrainingConfig(max_epochs=1, seed=4, **options))
    order = [int(chosen) for chosen in plan(silent.lengths, 1, bucket=True, seed=4, epoch=0)]
    total = 0.0
    for b in order:
        if b in (1, 3):
            alone = silent.select(torch.tensor([b]))
            total += train(by_hand, SquaredError("sum"), alone, TrainingConfig(max_epochs=1, **options)).history[0][
                "loss"
            ]
    assert same(weights(network), weights(by_hand))
    assert result.history[0]["loss"] == pytest.approx(total, rel=EXACT)


def test_every_gradient_trains_and_follows_its_own_rule() -> None:
    data = samples()
    options: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.2, "max_epochs": 3, "batch_size": 2}
    networks = {}
    for gradient in ("full", "truncated", "rtrl"):
        networks[gradient] = made()
        result = train(networks[gradient], SquaredError(), data, TrainingConfig(gradient=gradient, **options))
        assert result.history[-1]["loss"] < result.history[0]["loss"]
    # the layer's own backward() cuts the same paths
    by_layer = made(gradient="truncated")
    for epoch in range(3):
        for chosen in plan(data.lengths, 2, bucket=True, seed=0, epoch=epoch):
            batch = data.select(chosen)
            SquaredError()(by_layer.respond(batch)[0], batch).backward()
            with torch.no_grad():
                for weight in by_layer.parameters():
                    weight -= 0.2 * weight.grad
                    weight.grad = None
    assert_close(networks["truncated"], by_layer)
    assert_close(networks["rtrl"], networks["full"])
    assert distance(networks["truncated"], networks["full"]) > 1e-4
