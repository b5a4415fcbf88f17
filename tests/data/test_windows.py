"""Windows against a double loop that spells out which value stands where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from longlag.data import SequenceBatch, forecast_windows, horizon_windows
from longlag.errors import InputError

SHAPES = [
    # T, K, E, length, stride
    (2, 1, 0, 1, 1),
    (12, 1, 0, 4, 1),
    (12, 2, 3, 4, 3),
    (13, 3, 1, 12, 5),
    (30, 1, 2, 7, 7),
]


def series_of(steps: int, values: int, known: int) -> tuple[np.ndarray, np.ndarray | None]:
    rng = np.random.default_rng(steps)
    return rng.standard_normal((steps, values)), rng.standard_normal((steps, known)) if known else None


def naive_input(y: np.ndarray, x: np.ndarray | None, t: int) -> list[float]:
    return [*y[t], *(x[t + 1] if x is not None else [])]


def assert_same(batch: SequenceBatch, inputs: Any, targets: Any, mask: Any) -> None:
    """``inputs``, ``targets``: window by window, step by step; ``mask``: step by step."""
    torch.testing.assert_close(batch.inputs, torch.tensor(np.array(inputs)).transpose(0, 1), rtol=0, atol=0)
    length, windows = batch.inputs.shape[:2]
    assert batch.lengths.tolist() == [length] * windows
    assert batch.target_mask.tolist() == [[asked] * windows for asked in mask]
    wanted = torch.tensor(np.array(targets)).transpose(0, 1)
    asked = batch.target_mask
    torch.testing.assert_close(batch.targets[asked], wanted[asked], rtol=0, atol=0)


@pytest.mark.parametrize(("steps", "values", "known", "length", "stride"), SHAPES)
def test_every_step_answers_with_the_next_value(steps: int, values: int, known: int, length: int, stride: int) -> None:
    y, x = series_of(steps, values, known)
    inputs, targets = [], []
    start = 0
    while start + length + 1 <= steps:  # the window and the value after it
        inputs.append([naive_input(y, x, start + step) for step in range(length)])
        targets.append([y[start + step + 1].tolist() for step in range(length)])
        start += stride
    for warm_up in {0, length // 2, length - 1}:
        batch = forecast_windows(y, length, exogenous=x, stride=stride, warm_up=warm_up)
        assert batch.inputs.dtype == torch.float64
        assert_same(batch, inputs, targets, [step >= warm_up for step in range(length)])


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize(("steps", "values", "known", "length", "stride"), SHAPES)
def test_the_last_step_answers_with_the_whole_horizon(
    steps: int, values: int, known: int, length: int, stride: int, horizon: int
) -> None:
    y, x = series_of(steps + horizon, values, known)
    inputs, targets = [], []
    start = 0
    while start + length + horizon <= len(y):
        inputs.append([naive_input(y, x, start + step) for step in range(length)])
        ahead = [value for step in range(horizon) for value in y[start + length + step]]
        targets.append([ahead] * length)
        start += stride
    batch = horizon_windows(y, length, horizon, exogenous=x, stride=stride)
    assert batch.targets.shape == (length, len(inputs), horizon * values)
    assert_same(batch, inputs, targets, [step == length - 1 for step in range(length)])


def test_windows_can_be_selected_like_any_batch() -> None:
    batch = forecast_windows(np.arange(10.0), 3, warm_up=1).select(torch.tensor([6, 0]))
    assert batch.inputs[..., 0].tolist() == [[6, 0], [7, 1], [8, 2]]
    assert batch.targets[..., 0].tolist() == [[7, 1], [8, 2], [9, 3]]


@pytest.mark.costly
def test_windows_do_not_copy_the_series_and_do_not_share_the_users() -> None:
    series = np.zeros(100_000)
    batch = forecast_windows(series, 1000, dtype=torch.float32)
    assert batch.inputs.shape == (1000, 99_000, 1)
    assert batch.inputs.untyped_storage().nbytes() <= 4 * 100_000
    series[:] = 1.0
    tensor = torch.zeros(10, dtype=torch.float64)
    other = forecast_windows(tensor, 3)
    tensor[:] = 1.0
    assert float(batch.inputs.max()) == 0.0
    assert float(other.inputs.max()) == 0.0


def test_numbers_of_every_kind_are_taken() -> None:
    assert forecast_windows([1, 2, 3], 2).inputs.dtype == torch.float32
    assert forecast_windows(np.arange(3), 2, dtype=torch.float64).inputs.dtype == torch.float64
    assert forecast_windows(np.arange(3, dtype=np.float32), 2).inputs.dtype == torch.float32
    backwards = np.arange(4.0)[::-1]
    assert forecast_windows(backwards, 3).inputs.flatten().tolist() == [3, 2, 1]
    read_only = pd.DataFrame({"x": [1.0, 2.0, 3.0]})["x"].to_numpy()
    assert horizon_windows(read_only, 1, 2).targets.flatten().tolist() == [2, 3]


def test_one_column_may_come_without_its_axis() -> None:
    y, x = series_of(9, 1, 1)
    assert x is not None
    flat = forecast_windows(y[:, 0], 4, exogenous=x[:, 0])
    torch.testing.assert_close(flat.inputs, forecast_windows(y, 4, exogenous=x).inputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(5), 5), r"the series has 5 steps; expected at least 6 for windows of 5 steps"),
        ((np.zeros(0), 1), r"the series has 0 steps; expected at least 2"),
        ((np.zeros(5), 0), "length is 0; expected a whole number of at least 1"),
        ((np.zeros(5), 2.0), "length is 2.0; expected a whole number"),
        ((np.zeros(5), True), "length is True; expected a whole number"),
        ((np.zeros((5, 2, 2)), 1), r"series has shape \(5, 2, 2\); expected \(steps, features\)"),
        ((np.zeros((5, 0)), 1), r"series has shape \(5, 0\); expected"),
        ((np.array(["a", "b"]), 1), "series holds <U1; expected numbers"),
        ((np.array([[0, 1], [2, np.nan], [np.nan, 0]]), 1), "series is nan at step 1, feature 1; expected finite"),
        ((torch.tensor([0.0, 1.0, -torch.inf]), 1), "series is -inf at step 2, feature 0; expected finite"),
    ],
)
def test_a_series_or_length_that_will_not_do_is_refused(arguments: tuple[Any, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        forecast_windows(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride is 0; expected a whole number of at least 1"),
        ({"warm_up": -1}, "warm_up is -1; expected a whole number of at least 0"),
        ({"warm_up": 3}, "warm_up=3 leaves no answers in windows of 3 steps; expected 0 to 2"),
        ({"exogenous": np.zeros(9)}, "exogenous has 9 steps; expected 10, as many as the series"),
        ({"exogenous": np.full(10, np.inf)}, "exogenous is inf at step 0, feature 0; expected finite"),
    ],
)
def test_an_option_that_will_not_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        forecast_windows(np.zeros(10), 3, **options)


def test_a_horizon_that_does_not_fit_is_refused_with_its_numbers() -> None:
    with pytest.raises(InputError, match=r"a horizon of 50 steps is longer than the series; expected .* 10 steps"):
        horizon_windows(np.zeros(10), 2, 50)
    with pytest.raises(InputError, match=r"has 10 steps; expected at least 12 for windows of 8 .* horizon of 4"):
        horizon_windows(np.zeros(10), 8, 4)
    with pytest.raises(InputError, match="horizon is 0; expected a whole number of at least 1"):
        horizon_windows(np.zeros(10), 8, 0)
    assert len(horizon_windows(np.zeros(10), 6, 4)) == 1
