"""What a checkpoint says of the loop is believed only where it has the names and kinds that training writes."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch

from longlag.data import SequenceBatch
from longlag.errors import CheckpointError
from longlag.io.directory import Saved
from longlag.nn import LSTM, Network, SquaredError
from longlag.training import Run, TrainingConfig, train
from longlag.training.checkpoints import Checkpoints
from longlag.training.loop_state import LoopState, restore
from longlag.training.train_step import make_train_step

CONFIG = TrainingConfig(max_epochs=2)


def made() -> tuple[Network, SequenceBatch]:
    torch.manual_seed(0)
    batch = SequenceBatch.every_step([torch.randn(4, 1)], [torch.randn(4, 1)])
    return Network(LSTM(1, 2), 1), batch


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("run") / "run"
    network, batch = made()
    with Run(folder) as run:
        train(network, SquaredError(), batch, CONFIG, run=run)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        found = checkpoints.latest()
    assert found is not None
    return found[1]


def put_back(saved: Saved, **changes: Any) -> LoopState:
    document = copy.deepcopy(dict(saved.document))
    for name, value in changes.items():
        if value is ...:
            del document["watch"][name]
        else:
            document["watch"][name] = value
    network, batch = made()
    config = CONFIG.resolved(len(batch), network.lstm.gradient)
    state = LoopState()
    step = make_train_step(config, network, SquaredError(), batch, None, None)
    restore(dataclasses.replace(saved, document=document), network, step, state)
    return state


def test_what_training_wrote_is_put_back(saved: Saved) -> None:
    state = put_back(saved)
    assert dataclasses.asdict(state) == saved.document["watch"]
    assert (state.epoch, len(state.history)) == (2, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason_to_stop": "never"},
        {"epoch": -1},
        {"epoch": "2"},
        {"epoch": 1},
        {"batch": 0.5},
        {"loss": "low"},
        {"norm": None},
        {"best_value": "best"},
        {"best_sharpness": [1.0]},
        {"ended": 1},
        {"history": {}},
        {"history": [1, 2]},
        {"best_epoch": ...},
    ],
)
def test_what_training_does_not_write_is_refused(saved: Saved, changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"watch is .*; expected"):
        put_back(saved, **changes)
