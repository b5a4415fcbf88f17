"""What is of another kind than training takes ends in one sentence that says what was expected."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from longlag.errors import InputError, InputTypeError
from longlag.gradients import ScheduledSampling
from longlag.nn import SquaredError
from longlag.training import Run, TrainingConfig, evaluate, train
from longlag.training.checkpoints import Checkpoints
from training.small import made, samples

TRAIN: list[tuple[dict[str, Any], str]] = [
    ({"network": nn.Linear(2, 1)}, "network is a Linear; expected a Network"),
    ({"loss": nn.MSELoss()}, "loss is a MSELoss; expected a Loss"),
    ({"data": torch.ones(3, 2)}, "the training data is a Tensor; expected a SequenceBatch"),
    ({"data": None}, "the training data is a NoneType; expected a SequenceBatch"),
    ({"config": {"max_epochs": 3}}, "config is a dict; expected a TrainingConfig"),
    ({"validation": [samples()]}, "the validation data is a list; expected a SequenceBatch"),
    ({"sampling": 0.5}, "sampling is a float; expected a ScheduledSampling"),
    ({"run": Path("run")}, f"run is a {type(Path()).__name__}; expected a Run"),
]


@pytest.mark.parametrize(("wrong", "message"), TRAIN, ids=[message for _, message in TRAIN])
def test_training_says_which_argument_is_of_which_kind(wrong: dict[str, Any], message: str) -> None:
    right = {"network": made(), "loss": SquaredError(), "data": samples(), "config": TrainingConfig(max_epochs=1)}
    with pytest.raises(InputTypeError, match=f"^{message}$"):
        train(**{**right, **wrong})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"network": None}, "network is a NoneType; expected a Network"),
        ({"loss": abs}, "loss is a builtin_function_or_method; expected a Loss"),
        ({"data": []}, "data is a list; expected a SequenceBatch"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5; expected a whole number of at least 1"),
    ],
)
def test_evaluation_says_which_argument_is_of_which_kind(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        evaluate(**{"network": made(), "loss": SquaredError(), "data": samples(), **wrong})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directory": None}, "directory is None; expected a path"),
        ({"directory": 3}, "directory is 3; expected a path"),
        ({"resume": "yes"}, "resume is 'yes'; expected True or False"),
        ({"every_seconds": -1.0}, r"every_seconds is -1\.0; expected a number of at least 0"),
        ({"every_seconds": "often"}, "every_seconds is 'often'; expected a number of at least 0"),
        ({"every_seconds": math.nan}, "every_seconds is nan; expected a number of at least 0"),
    ],
)
def test_a_run_says_which_option_is_wrong(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Run(**{"directory": tmp_path / "run", **options})
    assert Run(tmp_path / "run", every_seconds=math.inf).every_seconds == math.inf


@pytest.mark.parametrize(("name", "value"), [("keep", "2"), ("keep", 1.5), ("directory", 3)])
def test_checkpoints_say_which_option_is_wrong(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(InputTypeError, match=f"^{name} is {value!r}; expected a"):
        Checkpoints(**{"directory": tmp_path, name: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": "2"}, "columns is '2'; expected at least 1 fed-back feature"),
        ({"columns": 1.5}, r"columns is 1\.5; expected at least 1 fed-back feature"),
        ({"sampling_probability": "half"}, "sampling_probability is 'half'; expected a probability between 0 and 1"),
        ({"sampling_probability": True}, "sampling_probability is True; expected a probability between 0 and 1"),
        ({"feedback": 3}, "feedback is 3; expected a function of the outputs, or None"),
    ],
)
def test_feeding_says_which_option_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        ScheduledSampling(**{"columns": 1, **options})
