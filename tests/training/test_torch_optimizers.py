"""The optimisers against a loop written by hand around torch.nn.LSTM and torch.optim: no padding, no batches."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longlag import LSTM, Network, SequenceBatch
from longlag.errors import CheckpointError, DivergenceError
from longlag.nn import SquaredError
from longlag.training import TrainingConfig, torch_optimizers, train
from longlag.training.batches import plan

EXACT = 1e-12
Make = Callable[[Iterable[Tensor]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[dict[str, Any], Make]] = {
    "sgd": ({"optimizer": "sgd"}, lambda weights: torch.optim.SGD(weights, lr=0.05)),
    "sgd, decay": (
        {"optimizer": "sgd", "weight_decay": 0.1},
        lambda weights: torch.optim.SGD(weights, lr=0.05, weight_decay=0.1),
    ),
    "momentum": (
        {"optimizer": "momentum", "momentum": 0.8},
        lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.8),
    ),
    "adam": ({"optimizer": "adam"}, lambda weights: torch.optim.Adam(weights, lr=0.05)),
    "adam, decay": (
        {"optimizer": "adam", "weight_decay": 0.1},
        lambda weights: torch.optim.Adam(weights, lr=0.05, weight_decay=0.1),
    ),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.1},
        lambda weights: torch.optim.AdamW(weights, lr=0.05, weight_decay=0.1),
    ),
}
CLIPS: list[dict[str, float]] = [
    {},
    {"clip_value": 0.02},
    {"clip_norm": 0.02},
    {"clip_value": 0.02, "clip_norm": 0.02},
]


def samples() -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    lengths = (3, 6, 1, 4, 2, 5, 4)
    inputs = [torch.randn(steps, 2, dtype=torch.float64, generator=generator) for steps in lengths]
    return inputs, [torch.randn(steps, 1, dtype=torch.float64, generator=generator) for steps in lengths]


class Plain(nn.Module):
    """The same network in PyTorch alone."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 3, dtype=torch.float64)
        self.readout = nn.Linear(3, 1, dtype=torch.float64)
        self.load_state_dict(network.state_dict())

    def loss(self, inputs: list[Tensor], targets: list[Tensor]) -> Tensor:
        """The mean over sequences of the mean over steps of half the squared error."""
        errors = [
            0.5 * (self.readout(self.lstm(x)[0]) - y).square().mean() for x, y in zip(inputs, targets, strict=True)
        ]
        return torch.stack(errors).mean()


def by_hand(network: Network, config: TrainingConfig, make: Make) -> Plain:
    plain = Plain(network)
    inputs, targets = samples()
    optimizer = make(plain.parameters())
    lengths = torch.tensor([len(values) for values in inputs])
    for epoch in range(config.max_epochs):
        for batch in plan(lengths, config.batch_size, bucket=config.bucket, seed=config.seed, epoch=epoch):
            optimizer.zero_grad()
            plain.loss([inputs[n] for n in batch], [targets[n] for n in batch]).backward()
            if config.clip_value is not None:
                nn.utils.clip_grad_value_(plain.parameters(), config.clip_value)
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(plain.parameters(), config.clip_norm)
            optimizer.step()
    return plain


@pytest.mark.parametrize("clip", CLIPS, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_that_of_a_loop_written_by_hand(name: str, clip: dict[str, float]) -> None:
    options, make = OPTIMIZERS[name]
    network = Network(LSTM(2, 3, dtype=torch.float64), 1)
    start = copy.deepcopy(network.state_dict())
    data = SequenceBatch.every_step(*samples())
    config = TrainingConfig(**options, **clip, learning_rate=0.05, max_epochs=2, batch_size=3, seed=5)
    expected = by_hand(network, config, make).state_dict()
    result = train(network, SquaredError(), data, config)
    assert result.history[0]["gradient_norm"] > 0.1  # so that the clips above do clip
    for key, found in network.state_dict().items():
        torch.testing.assert_close(found, expected[key], rtol=0, atol=EXACT)
        assert not torch.allclose(found, start[key], rtol=0, atol=1e-6)


def test_each_clip_changes_the_result() -> None:
    """The clips above must bite, or their tests would pass without any."""
    start, data = Network(LSTM(2, 3, dtype=torch.float64), 1), SequenceBatch.every_step(*samples())
    found = []
    for clip in CLIPS:
        network = copy.deepcopy(start)
        config = TrainingConfig(optimizer="sgd", learning_rate=0.5, max_epochs=1, batch_size=3, **clip)
        train(network, SquaredError(), data, config)
        found.append(network.readout.weight.detach().clone())
    for number, one in enumerate(found):
        assert all(float((one - other).abs().max()) > 1e-5 for other in found[:number])


def test_the_gradient_norm_of_the_history_is_the_largest_before_clipping() -> None:
    network, data = Network(LSTM(2, 3, dtype=torch.float64), 1), SequenceBatch.every_step(*samples())
    plain = Plain(network)
    config = TrainingConfig(optimizer="sgd", learning_rate=1e-30, max_epochs=1, batch_size=3, clip_norm=1e-3)
    norms = []
    for batch in plan(data.lengths, 3, bucket=True, seed=0, epoch=0):
        one = data.select(batch)
        pieces = [one.inputs[:length, n] for n, length in enumerate(one.lengths.tolist())]
        answers = [one.targets[:length, n] for n, length in enumerate(one.lengths.tolist())]
        gradient = torch.autograd.grad(plain.loss(pieces, answers), list(plain.parameters()))
        norms.append(math.sqrt(sum(float(part.square().sum()) for part in gradient)))
    assert train(network, SquaredError(), data, config).history[0]["gradient_norm"] == pytest.approx(max(norms))


def test_frozen_parameters_stay() -> None:
    network, data = Network(LSTM(2, 3, dtype=torch.float64), 1), SequenceBatch.every_step(*samples())
    network.lstm.weight_hh_l0.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    train(network, SquaredError(), data, TrainingConfig(optimizer="adamw", weight_decay=0.1, max_epochs=1))
    same = [key for key, value in network.state_dict().items() if torch.equal(value, before[key])]
    assert same == ["lstm.weight_hh_l0"]


# -- one step ----------------------------------------------------------------------------------------------------------

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "slope", "rate", "what"),
    [
        (NAN, 1.0, 0.1, "loss"),
        (INFINITY, 1.0, 0.1, "loss"),
        (NAN, NAN, 0.1, "loss"),
        (1.0, NAN, 0.1, "gradient"),
        (1.0, -INFINITY, 0.1, "gradient"),
        (1.0, 1e150, 1e200, "update"),
    ],
)
@pytest.mark.parametrize("clip", CLIPS[:2], ids=str)
def test_what_is_not_finite_is_named_and_never_committed(
    value: float, slope: float, rate: float, what: str, clip: dict[str, float]
) -> None:
    weights = [
        nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64)),
        nn.Parameter(torch.tensor(3.0, dtype=torch.float64)),
    ]
    optimizer = torch.optim.SGD(weights, lr=rate)
    gradient = (torch.tensor([0.5, slope], dtype=torch.float64), torch.tensor(0.25, dtype=torch.float64))
    arguments = (optimizer, torch.tensor(value), gradient, TrainingConfig(**clip), "epoch 3, batch 4")
    if clip and what == "update":  # clipped, it is a step like any other
        assert torch_optimizers.step(*arguments) == pytest.approx(1e150)
        return
    with pytest.raises(
        DivergenceError, match=rf"^training diverged: the {what} stopped .* at epoch 3, batch 4; the par"
    ):
        torch_optimizers.step(*arguments)
    assert weights[0].tolist() == [1.0, 2.0]
    assert weights[1].item() == 3.0


def test_a_step_leaves_the_engines_gradient_as_it_was() -> None:
    weight, gradient = nn.Parameter(torch.ones(3)), torch.full((3,), 5.0)
    config = TrainingConfig(clip_norm=1.0, clip_value=2.0)
    norm = torch_optimizers.step(torch.optim.SGD([weight], lr=0.1), torch.tensor(0.0), (gradient,), config, "")
    assert norm == pytest.approx(math.sqrt(75))
    assert gradient.tolist() == [5.0, 5.0, 5.0]


# -- memory as tensors -------------------------------------------------------------------------------------------------


def descend(weights: list[nn.Parameter], optimizer: torch.optim.Optimizer, steps: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for _ in range(steps):
        optimizer.zero_grad()
        sum((weight**4).sum() for weight in weights).backward()  # type: ignore[union-attr]
        optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_an_optimiser_goes_on_from_its_packed_memory_bit_for_bit(name: Any) -> None:
    config = TrainingConfig(optimizer=name, weight_decay=0.01).resolved(1)
    weights = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(5, dtype=torch.float64))]
    optimizer = torch_optimizers.make(config, weights)
    descend(weights, optimizer, 3)
    packed = {key: value.clone() for key, value in torch_optimizers.pack(optimizer).items()}
    others = [nn.Parameter(weight.detach().clone()) for weight in weights]
    other = torch_optimizers.make(config, others)
    torch_optimizers.unpack(other, packed)
    descend(weights, optimizer, 3)
    descend(others, other, 3)
    assert all(torch.equal(one, two) for one, two in zip(weights, others, strict=True))
    kinds = {"sgd": 0, "momentum": 1, "adam": 3, "adamw": 3}
    assert len(packed) == 2 * kinds[name]


def test_memory_that_is_not_there_yet_stays_away() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    for name in ("sgd", "momentum", "adam", "adamw"):
        fresh = torch_optimizers.make(TrainingConfig(optimizer=name).resolved(1), weights)
        assert torch_optimizers.pack(fresh) == {}
        torch_optimizers.unpack(fresh, {})
        assert not fresh.state


@pytest.mark.parametrize("key", ["exp_avg", "x.exp_avg", "0.", ".exp_avg", "-1.exp_avg", ""])
def test_foreign_memory_is_refused(key: str) -> None:
    optimizer = torch_optimizers.make(TrainingConfig(), [nn.Parameter(torch.ones(2))])
    with pytest.raises(CheckpointError, match=r"the optimiser's state has an entry '.*'; expected <number>.<quantity>"):
        torch_optimizers.unpack(optimizer, {key: torch.ones(2)})
