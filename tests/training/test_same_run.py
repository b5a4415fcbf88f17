"""A run goes on only as the same one: what differs is refused by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from longlag import CellSpec
from longlag.errors import InputError
from longlag.gradients import ScheduledSampling
from longlag.nn import GaussianNLL, MeanSquaredError, QuantileLoss, SquaredError
from longlag.training import Run, Schedule, TrainingConfig
from longlag.training.checkpoints import Checkpoints
from training.run_tasks import (
    ADAM,
    MORE,
    OWN,
    SCENARIOS,
    TRUNCATED,
    Stop,
    Stopping,
    Task,
    emitted,
    outcome,
    refusal,
    samples,
)

# torch's own, when forward-mode differentiation is first used
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.usefixtures("quick_disk"),
]


FEEDING = {"sampling": ScheduledSampling(1)}
OTHER_MASK = samples(1)
OTHER_MASK.target_mask[0, 0] = False
SHARP = CellSpec(peepholes=True, sharpness=2.0)
CHANGES: list[tuple[TrainingConfig, dict[str, Any], TrainingConfig, dict[str, Any], str]] = [
    (ADAM, {}, replace(ADAM, learning_rate=0.1), {}, "config.learning_rate = 0.05, not 0.1"),
    (replace(ADAM, max_epochs=3), {}, ADAM, {}, "config.max_epochs = 3, not 2"),
    (ADAM, {}, replace(ADAM, seed=4), {}, "config.seed = 3, not 4"),
    (ADAM, {}, replace(ADAM, clip_norm=None), {}, "config.clip_norm = 0.1, not None"),
    (
        replace(ADAM, learning_rate=Schedule(0.1, 0.2, "linear")),
        {},
        replace(ADAM, learning_rate=Schedule(0.1, 0.3, "linear")),
        {},
        "config.learning_rate.end = 0.2, not 0.3",
    ),
    (ADAM, {}, ADAM, {"cell": SHARP}, "cell.sharpness = 1.0, not 2.0"),
    (
        ADAM,
        {},
        ADAM,
        {"cell": CellSpec(peepholes=True, output_squash="identity")},
        "cell.output_squash = 'tanh', not 'id",
    ),
    (ADAM, {}, ADAM, {"cell": CellSpec()}, "cell.peepholes = True, not False"),
    (
        ADAM,
        {},
        ADAM,
        {"hidden_size": 3},
        "parameters.lstm.bias_hh_l0 = '(8,) torch.float32', not '(12,) torch.float32'",
    ),
    (ADAM, {}, ADAM, {"lstm": {"num_layers": 1}}, "parameters.lstm.bias_hh_l1 = '(8,) torch.float32', not None"),
    (ADAM, {}, ADAM, {"lstm": {"dropout": 0.5}}, "network.dropout = 0.0, not 0.5"),
    (ADAM, {}, ADAM, {"lstm": {"backend": "reference"}}, "network.backend = 'auto', not 'reference'"),
    (ADAM, {}, ADAM, {"lstm": {"gradient": "truncated"}}, "config.gradient = 'full', not 'truncated'"),
    (TRUNCATED, {}, TRUNCATED, {"lstm": {"gradient": "truncated"}}, "network.gradient = 'full', not 'truncated'"),
    (ADAM, {}, ADAM, {"network": {"reads": "cells+inputs"}}, "network.reads = 'cells', not 'cells+inputs'"),
    (ADAM, {}, ADAM, {"network": {"output_activation": "tanh"}}, "network.output_activation = 'identity', not 'tanh'"),
    (ADAM, {}, ADAM, {"network": {"bias": False}}, "parameters.readout.bias = '(1,) torch.float32', not None"),
    (
        ADAM,
        {},
        ADAM,
        {"frozen": ["lstm.weight_ih_l0"]},
        "parameters.lstm.weight_ih_l0 = '(8, 2) torch.float32', not '(8, 2) torch.float32 frozen'",
    ),
    (ADAM, {}, ADAM, {"loss": MeanSquaredError()}, "loss.name = 'SquaredError', not 'MeanSquaredError'"),
    (ADAM, {}, ADAM, {"loss": SquaredError("sum")}, "loss.reduction = 'mean', not 'sum'"),
    (ADAM, MORE, ADAM, {"loss": QuantileLoss([0.2, 0.9])}, "loss.quantiles = [0.2, 0.8], not [0.2, 0.9]"),
    (
        ADAM,
        {"loss": GaussianNLL()},
        ADAM,
        {"loss": GaussianNLL(least_deviation=0.1)},
        "loss.least_deviation = 0.001, not 0.1",
    ),
    (
        OWN,
        FEEDING,
        OWN,
        {"sampling": ScheduledSampling(1, feedback=emitted)},
        "sampling.feedback = '_same', not 'emitted'",
    ),
]
OTHER_DATA: list[tuple[dict[str, Any], str]] = [
    ({"data": samples(2)}, "data"),
    ({"data": OTHER_MASK}, "data"),
    ({"data": samples(1).select(torch.tensor([4, 3, 2, 1, 0]))}, "data"),
    ({"validation": samples(2)}, "validation"),
]


@pytest.mark.costly
@pytest.mark.parametrize(("config", "options", "other_config", "other_options", "what"), CHANGES)
def test_another_run_is_refused_by_the_name_of_what_changed(
    config: TrainingConfig,
    options: dict[str, Any],
    other_config: TrainingConfig,
    other_options: dict[str, Any],
    what: str,
    tmp_path: Path,
) -> None:
    message = refusal(tmp_path / "run", (config, options), (other_config, other_options))
    assert message.startswith(f"{tmp_path / 'run'} holds a run with {what}")
    assert message.endswith("; expected the same settings to continue it")


@pytest.mark.parametrize(("other", "what"), OTHER_DATA)
def test_other_data_is_refused(other: dict[str, Any], what: str, tmp_path: Path) -> None:
    message = refusal(tmp_path / "run", (ADAM, {}), (ADAM, other))
    assert message == f"{tmp_path / 'run'} holds a run on other {what}; expected the {what} it began with"


def test_other_numbers_of_the_same_value_are_other_data(tmp_path: Path) -> None:
    message = refusal(tmp_path / "run", (ADAM, {"dtype": torch.float32}), (ADAM, {"dtype": torch.float64}))
    assert "holds a run on other data" in message


def test_the_sharpness_of_the_cell_may_differ_where_a_schedule_decides_it(tmp_path: Path) -> None:
    """A network that was trained in this very process, and stopped, has the sharpness of its last epoch."""
    config = replace(ADAM, sharpness=Schedule(1.5, 3.0, "linear"))
    undisturbed, task = Task(config), Task(config)
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        task.train(run, Stopping(5))
    assert task.network.lstm.cell.sharpness == 3.0
    with Run(tmp_path / "run", resume=True) as run:
        assert outcome(task, task.train(run)) == expected


def test_a_run_of_an_earlier_release_goes_on_under_the_names_of_today(tmp_path: Path) -> None:
    """It called two things otherwise, and had no options of optimisers."""
    undisturbed, task = SCENARIOS["scheduled sampling"](), SCENARIOS["scheduled sampling"]()
    expected = outcome(undisturbed, undisturbed.train())
    with pytest.raises(Stop), Run(tmp_path / "run", every_seconds=0) as run:
        task.train(run, Stopping(3))
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        latest = checkpoints.latest()
        assert latest is not None
        step, saved = latest
        identity = saved.document["identity"]
        identity["config"]["own_answers"] = identity["config"].pop("sampling_probability")
        identity["sampling"]["emit"] = identity["sampling"].pop("feedback")
        assert "optimizer_options" not in identity["config"]
        checkpoints.save(step, saved.files, saved.document)
    resumed = SCENARIOS["scheduled sampling"]()
    with Run(tmp_path / "run", resume=True, every_seconds=0) as run:
        assert outcome(resumed, resumed.train(run)) == expected
    other = SCENARIOS["scheduled sampling"]()
    other.config = replace(other.config, sampling_probability=0.5)
    with (
        Run(tmp_path / "run", resume=True) as run,
        pytest.raises(InputError, match=r"config\.sampling_probability = .*, not 0\.5"),
    ):
        other.train(run)
