"""Seeds: the draws of torch.manual_seed, without the stack that it keeps for devices that nobody uses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from longlag import LSTM, Network, SequenceBatch
from longlag.estimators import LSTMRegressor
from longlag.nn import SquaredError
from longlag.nn.seeding import seed_generators
from longlag.training import TrainingConfig, train


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**63 - 1])
def test_the_draws_on_the_cpu_are_those_of_torchs_seed(seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.randn(5), torch.get_rng_state()
        seed_generators(seed, torch.device("cpu"))
        assert torch.equal(torch.randn(5), expected[0])
        assert torch.equal(torch.get_rng_state(), expected[1])


def test_another_device_is_seeded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    seed_generators(3, torch.device("meta"))
    assert seeds == []
    seed_generators(4, torch.device("cuda"))
    assert seeds == [4]


def test_training_on_the_cpu_seeds_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a device that is not used was seeded")

    for name in ("cuda", "xpu"):
        monkeypatch.setattr(getattr(torch, name), "manual_seed_all", refuse)
    batch = SequenceBatch.every_step([torch.ones(3, 1)] * 4, [torch.ones(3, 1)] * 4)
    train(Network(LSTM(1, 2), 1), SquaredError(), batch, TrainingConfig(max_epochs=2, batch_size=2))
    sequences = [[[0.0], [1.0]], [[1.0], [0.5]], [[0.5], [0.25]]]
    LSTMRegressor(max_epochs=1, n_networks=1, hidden_size=2, random_state=0).fit(sequences, [1.0, 2.0, 3.0])
