"""Data, networks and configurations that do not fit are refused before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from longlag import LSTM, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import ScheduledSampling
from longlag.nn import CrossEntropy, GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError
from longlag.training import TrainingConfig, train
from training.loop_examples import (
    ASKED,
    GRADIENTS,
    INFINITY,
    NAN,
    asked_at,
    made,
    same,
    samples,
    weights,
    without_times,
)

# RTRL differentiates forward, and torch meets its own deprecation when it loads what that takes.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
@pytest.mark.parametrize("name", ["input", "target"])
@pytest.mark.parametrize("where", ["training", "validation"])
def test_what_is_not_finite_is_named_by_step_and_sequence(value: float, name: str, where: str) -> None:
    good, bad = samples(), samples(2)
    (bad.inputs if name == "input" else bad.targets)[3, 2, -1] = value
    (bad.inputs if name == "input" else bad.targets)[4, 4, 0] = value
    data, validation = (bad, good) if where == "training" else (good, bad)
    network = made()
    before = weights(network)
    message = f"the {where} {name} at step 3 of sequence 2 is NaN or infinite; expected finite numbers"
    with pytest.raises(InputError, match=f"^{message}$"):
        train(network, SquaredError(), data, TrainingConfig(max_epochs=1), validation=validation)
    assert same(weights(network), before)


@pytest.mark.costly
@pytest.mark.parametrize("gradient", GRADIENTS, ids=str)
def test_nan_in_padding_and_in_targets_nobody_asks_for_changes_no_bit(gradient: dict[str, Any]) -> None:
    found = []
    for value in (0.0, NAN, -INFINITY):
        data = asked_at(samples(), ASKED["some, and one sequence never"])
        data.inputs[~data.step_mask] = value
        data.targets[~data.target_mask] = value
        network = made()
        config = TrainingConfig(max_epochs=2, batch_size=2, **gradient)
        result = train(network, SquaredError(), data, config, validation=data)
        found.append((weights(network), without_times(result)))
    assert all(same(found[0][0], other) and found[0][1] == history for other, history in found[1:])


def test_large_numbers_are_finite_numbers() -> None:
    """Their sum is not: a check that adds features up would refuse them."""
    data = samples()
    data.inputs[1, 2] = 1.5e308
    network = made()
    with torch.no_grad():
        network.lstm.weight_ih_l0.zero_()
    network.lstm.weight_ih_l0.requires_grad_(False)
    assert train(network, SquaredError(), data, TrainingConfig(max_epochs=1)).epochs == 1


def two_outputs() -> Network:
    return Network(LSTM(2, 3, dtype=torch.float64), 2)


def classes(*answers: int) -> SequenceBatch:
    return SequenceBatch.last_step([torch.randn(3, 2, dtype=torch.float64) for _ in answers], torch.tensor(answers))


def frozen() -> Network:
    return made().requires_grad_(False)  # type: ignore[return-value]


NO_SEQUENCES = samples().select(torch.tensor([], dtype=torch.int64))
NO_ANSWERS = asked_at(samples(), lambda t, b: False)
MISFITS: list[tuple[Callable[[], Network], Loss, SequenceBatch, str]] = [
    (made, SquaredError(), NO_SEQUENCES, "the {} data has no sequences; expected at least one"),
    (made, SquaredError(), NO_ANSWERS, "the {} data asks for no answer; expected a target somewhere"),
    *(
        (network, loss, samples(), f"the {{}} targets have 1 values each, for which {reads}; the network has {outputs}")
        for network, loss, reads, outputs in (
            (two_outputs, SquaredError(), "SquaredError reads 1 outputs", 2),
            (two_outputs, MeanSquaredError(), "MeanSquaredError reads 1 outputs", 2),
            (made, GaussianNLL(), "GaussianNLL reads 2 outputs", 1),
            (two_outputs, QuantileLoss([0.1, 0.5, 0.9]), "QuantileLoss reads 3 outputs", 2),
            (two_outputs, CrossEntropy(), "CrossEntropy reads 1 outputs", 2),
        )
    ),
    (
        two_outputs,
        CrossEntropy(),
        classes(0, 1, 2),
        "the {} targets are classes 0 to 2; expected 0 to 1, one for each output of the network",
    ),
    (
        two_outputs,
        CrossEntropy(),
        classes(1, -1),
        "the {} targets are classes -1 to 1; expected 0 to 1, one for each output of the network",
    ),
]


def weighted(*weights: float) -> SequenceBatch:
    data = samples().select(torch.arange(len(weights)))
    return replace(data, sample_weight=torch.tensor(weights))


MISFITS += [
    (
        made,
        SquaredError(),
        weighted(1.0, *wrong),
        f"the {{}} weight of sequence 1 is {shown}; expected a finite number of at least 0",
    )
    for wrong, shown in (((float("nan"),), "nan"), ((float("inf"),), "inf"), ((-1.0,), "-1.0"))
]
MISFITS.append((made, SquaredError(), weighted(0.0, 0.0), "the {} weights are all zero; expected one above 0"))


@pytest.mark.parametrize(("network", "loss", "data", "message"), MISFITS)
def test_data_that_does_not_fit_is_refused(
    network: Callable[[], Network], loss: Loss, data: SequenceBatch, message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message.format('training'))}$"):
        train(network(), loss, data, TrainingConfig())


def test_validation_data_must_fit_too() -> None:
    two_values = SequenceBatch.last_step([torch.ones(1, 2, dtype=torch.float64)], torch.ones(1, 2, dtype=torch.float64))
    for data, what in (
        (NO_SEQUENCES, "data has no sequences"),
        (NO_ANSWERS, "data asks for no answer"),
        (two_values, "targets have 2 values each"),
    ):
        with pytest.raises(InputError, match=f"^the validation {what}"):
            train(made(), SquaredError(), samples(), TrainingConfig(), validation=data)


def test_a_network_with_nothing_to_train_is_refused() -> None:
    with pytest.raises(InputError, match="the network has no trainable parameter; expected requires_grad=True on at"):
        train(frozen(), SquaredError(), samples(), TrainingConfig())


def test_feeding_answers_back_needs_to_be_told_how_and_how_often() -> None:
    with pytest.raises(
        InputError, match="sampling_probability needs to know which inputs to replace; expected a ScheduledSampl"
    ):
        train(made(), SquaredError(), samples(), TrainingConfig(sampling_probability=0.5))
    with pytest.raises(
        InputError,
        match=r"has sampling_probability=0\.5; expected this probability in the configuration's sampling_probability",
    ):
        train(
            made(), SquaredError(), samples(), TrainingConfig(), sampling=ScheduledSampling(1, sampling_probability=0.5)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"gradient": "tbptt", "k1": 1, "k2": 1},
            "truncated BPTT reads step by step; expected an LSTM with bidirectional",
        ),
        ({"gradient": "rtrl"}, "RTRL reads step by step; expected an LSTM with bidirectional=False"),
        (
            {"sampling_probability": 1.0},
            "scheduled sampling reads step by step; expected an LSTM with bidirectional=False",
        ),
    ],
)
def test_a_bidirectional_network_has_no_next_step(options: dict[str, Any], message: str) -> None:
    network = made(bidirectional=True)
    before = weights(network)
    with pytest.raises(InputError, match=f"^{message}"):
        train(network, SquaredError(), samples(), TrainingConfig(**options), sampling=ScheduledSampling(1))
    assert same(weights(network), before)
