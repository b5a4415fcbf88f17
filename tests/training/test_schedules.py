"""Schedules against their formulas, and that the loop follows them."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import ScheduledSampling
from longlag.nn import SquaredError
from longlag.training import Callback, Schedule, TrainingConfig, train
from longlag.training.schedules import Shape

SHAPES = get_args(Shape)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Schedule(0.3), (0.3, 0.3, 0.3)),
        (Schedule(0.3, 0.9), (0.3, 0.3, 0.3)),
        (Schedule(2.0, -1.0, "linear"), (2.0, 0.5, -1.0)),
        (Schedule(0.0, 1.0, "cosine"), (0.0, 0.5, 1.0)),
        (Schedule(1.0, 1e-4, "exponential"), (1.0, 1e-2, 1e-4)),
        (Schedule(8.0, 1.0, "steps"), (8.0, 2.0, 1.0)),  # 8, 4, 2, 1, a quarter of the time each
        (Schedule(1.0, 16.0, "steps", 1), (1.0, 16.0, 16.0)),
    ],
    ids=str,
)
def test_the_values_at_the_start_the_middle_and_the_end(schedule: Schedule, values: tuple[float, ...]) -> None:
    assert [schedule.at(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(values, abs=1e-15)


def test_cosine_leaves_slowly_and_arrives_slowly() -> None:
    schedule = Schedule(3.0, 1.0, "cosine")
    for progress in np.linspace(0, 1, 9):
        assert schedule.at(progress) == pytest.approx(2.0 + math.cos(math.pi * progress), abs=1e-15)


def test_steps_holds_each_of_its_values_for_the_same_time() -> None:
    schedule = Schedule(81.0, 1.0, "steps", 4)
    values = [schedule.at(progress) for progress in (np.arange(500) + 0.5) / 500]
    assert values == pytest.approx(np.repeat([81.0, 27.0, 9.0, 3.0, 1.0], 100))


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0), st.sampled_from(SHAPES), st.integers(1, 6))
def test_the_ends_are_met_to_the_bit_and_nothing_lies_beyond_them(
    start: float, end: float, shape: Shape, steps: int
) -> None:
    """A probability that ends at 1 must not end at 1.0000000000000002."""
    schedule = Schedule(start, end, shape, steps)
    last = start if shape == "constant" else end
    assert (schedule.at(0.0), schedule.at(1.0)) == (start, last)
    values = [schedule.at(number / 16) for number in range(17)]
    assert values == pytest.approx(sorted(values, reverse=start > end), rel=1e-15)
    assert all(min(start, last) * (1 - 1e-15) <= value <= max(start, last) * (1 + 1e-15) for value in values)


REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (
        (1.0, 2.0, "sawtooth"),
        "schedule shape is 'sawtooth'; expected one of constant, linear, cosine, exponential, steps",
    ),
    *(
        ((value,), f"schedule start is {value!r}; expected a finite number")
        for value in (math.nan, math.inf, None, "1")
    ),
    *(
        ((1.0, value, "linear"), f"schedule end is {value!r}; expected a finite number")
        for value in (math.nan, -math.inf, True, "1")
    ),
    *(((1.0, None, shape), f"schedule shape {shape!r} needs an end; expected a number") for shape in SHAPES[1:]),
    *(
        (
            (start, end, shape),
            f"schedule shape {shape!r} goes from {start} to {end}; expected positive numbers",
        )
        for shape in ("exponential", "steps")
        for start, end in ((0.0, 1.0), (1.0, -1.0))
    ),
    *(
        ((1.0, 0.5, "steps", value), f"schedule steps is {value!r}; expected a whole number of at least 1")
        for value in (0, 1.5, True, None)
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=str)
def test_an_impossible_schedule_is_refused_in_one_sentence(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Schedule(*arguments)


# -- in the loop -------------------------------------------------------------------------------------------------------


def problem() -> tuple[Network, SequenceBatch]:
    network = Network(LSTM(1, 3, cell=CellSpec(peepholes=True), dtype=torch.float64), 1)
    inputs = [torch.randn(steps, 1, dtype=torch.float64) for steps in (4, 2, 5)]
    return network, SequenceBatch.every_step(inputs, [values.cumsum(0) for values in inputs])


def test_learning_rate_and_sharpness_reach_the_optimiser_and_the_cell_and_the_history_records_them() -> None:
    network, data = problem()
    by_hand = copy.deepcopy(network)
    config = TrainingConfig(
        optimizer="sgd",
        learning_rate=Schedule(0.2, 0.05, "linear"),
        sharpness=Schedule(1.0, 4.0, "exponential"),
        max_epochs=3,
    )
    result = train(network, SquaredError(), data, config)
    rates, slopes = [0.2, 0.125, 0.05], [1.0, 2.0, 4.0]
    assert [entry["learning_rate"] for entry in result.history] == pytest.approx(rates, rel=1e-15)
    assert [entry["sharpness"] for entry in result.history] == pytest.approx(slopes, rel=1e-15)
    assert network.lstm.cell == CellSpec(peepholes=True, sharpness=4.0)
    for rate, slope in zip(rates, slopes, strict=True):
        by_hand.lstm.cell = dataclasses.replace(by_hand.lstm.cell, sharpness=slope)
        value = SquaredError()(by_hand.respond(data)[0], data)
        with torch.no_grad():
            for weight, slopes_of in zip(
                by_hand.parameters(), torch.autograd.grad(value, list(by_hand.parameters())), strict=True
            ):
                weight -= rate * slopes_of
    for found, expected in zip(network.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_without_a_sharpness_the_cell_keeps_its_own() -> None:
    network, data = problem()
    network.lstm.cell = CellSpec(peepholes=True, sharpness=2.5)
    assert train(network, SquaredError(), data, TrainingConfig(max_epochs=1)).history[0]["sharpness"] == 2.5
    assert network.lstm.cell.sharpness == 2.5


def test_the_share_of_sampling_probability_reaches_the_feeding_and_the_callers_setting_returns() -> None:
    network, data = problem()
    sampling, seen = ScheduledSampling(1, sampling_probability=0.25), []

    class Watching(Callback):
        def on_batch_end(self, *_: object) -> None:
            seen.append(sampling.sampling_probability)

    config = TrainingConfig(sampling_probability=Schedule(0.0, 1.0, "linear"), max_epochs=5, batch_size=2)
    train(network, SquaredError(), data, config, sampling=sampling, callbacks=[Watching()])
    assert seen == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0]
    assert sampling.sampling_probability == 0.25


def test_a_run_of_one_epoch_is_at_the_start_of_its_schedules() -> None:
    network, data = problem()
    config = TrainingConfig(learning_rate=Schedule(0.1, 0.01, "cosine"), max_epochs=1)
    assert train(network, SquaredError(), data, config).history[0]["learning_rate"] == 0.1
