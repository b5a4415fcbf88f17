"""Networks, data and callbacks for the tests of the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from longlag import LSTM, Network, SequenceBatch
from longlag.nn import SquaredError
from longlag.training import BatchEnd, Callback, TrainingInfo, TrainingResult

EXACT = 1e-12
STILL = 1e-30  # a learning rate that moves no weight by a bit
LENGTHS = (4, 2, 6, 3, 5)
NAN, INFINITY = float("nan"), float("inf")


def made(seed: int = 0, inputs: int = 2, **options: Any) -> Network:
    torch.manual_seed(seed)
    return Network(LSTM(inputs, 3, dtype=torch.float64, **options), 1)


def samples(seed: int = 1, lengths: tuple[int, ...] = LENGTHS, inputs: int = 2) -> SequenceBatch:
    generator = torch.Generator().manual_seed(seed)
    return SequenceBatch.every_step(
        [torch.randn(steps, inputs, dtype=torch.float64, generator=generator) for steps in lengths],
        [torch.randn(steps, 1, dtype=torch.float64, generator=generator) for steps in lengths],
    )


def asked_at(batch: SequenceBatch, chosen: Callable[[int, int], bool]) -> SequenceBatch:
    """The batch with answers only where ``chosen(step, sequence)`` says so."""
    steps, count = batch.target_mask.shape
    mask = torch.tensor([[chosen(t, b) for b in range(count)] for t in range(steps)])
    return SequenceBatch(batch.inputs, batch.lengths, batch.targets, mask & batch.target_mask)


def weights(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def without_times(result: TrainingResult) -> list[dict[str, Any]]:
    times = ("seconds", "sequences_per_second")
    return [{name: value for name, value in entry.items() if name not in times} for entry in result.history]


class Watching(Callback):
    """A callback that calls what it is given."""

    def __init__(
        self, batch: Callable[[int, int], None] = lambda *_: None, epoch: Callable[[int], None] = lambda _: None
    ) -> None:
        self.batch, self.epoch = batch, epoch
        self.seen: list[tuple[int, ...]] = []

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.seen.append((batch.epoch - 1, batch.batch - 1, training.batches, batch.sequences, batch.time_steps))
        self.batch(batch.epoch - 1, batch.batch - 1)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        self.epoch(entry["epoch"])


GRADIENTS: list[dict[str, Any]] = [
    {"gradient": "full"},
    {"gradient": "truncated"},
    {"gradient": "rtrl"},
    {"gradient": "tbptt", "k1": 2, "k2": 2},
    {"gradient": "tbptt", "k1": 4, "k2": 3},
    {"gradient": "tbptt", "k1": 1, "k2": 9},
]
ASKED: dict[str, Callable[[int, int], bool]] = {
    "every step": lambda t, b: True,
    "the last step": lambda t, b: t == LENGTHS[b] - 1,
    "some, and one sequence never": lambda t, b: b != 1 and (t + b) % 3 > 0,
}


class Stop(Exception):
    """Raised by a callback."""


def stop(*_: int) -> None:
    raise Stop


class Spoiled(SquaredError):
    """A squared error that is NaN from its n-th call on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.left -= 1
        return super().errors(outputs, targets) * (1.0 if self.left >= 0 else NAN)
