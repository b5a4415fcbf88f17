"""What the network reads: nothing of the future, the same in every unit of measure, and its sign with the series'."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longlag.forecasting.features import PLAIN, Design, filled, forward_paths, inputs_of
from longlag.forecasting.units import Unit
from property_examples import examples

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
SIGNED = RNG.normal(size=70)
POSITIVE = 50.0 + 10.0 * np.sin(np.arange(70) * np.pi / 6) + RNG.normal(size=70)
HOLED = np.where(np.isin(np.arange(70), [20, 21, 22, 48]), np.nan, POSITIVE)
DESIGNS = [Design(4, (1,), 6, 1), Design(12, (12,), 13, 12), Design(5, (7, 20), 3, 7), Design(1, (4,), 1, 1)]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("values", [SIGNED, POSITIVE, HOLED], ids=["signed", "positive", "holed"])
@pytest.mark.parametrize("step", [1, 19, 47, 69])
def test_values_after_a_step_change_no_bit_of_what_is_read_at_it(values: Array, design: Design, step: int) -> None:
    unit, beside = Unit.of(values, design.season), np.arange(70.0)[:, None]
    before = inputs_of(values, unit, design, beside)
    other = values.copy()
    other[step + 1 :] = RNG.normal(size=69 - step) * 1e3
    after = inputs_of(other, unit, design, beside)
    for one, two in zip(before, after, strict=True):
        assert np.array_equal(one[: step + 1], two[: step + 1])


@pytest.mark.parametrize("design", DESIGNS)
def test_an_input_has_the_width_that_the_design_says(design: Design) -> None:
    inputs, base, seen, known = inputs_of(SIGNED, Unit.of(SIGNED, 1), design)
    assert inputs.shape == (70, design.width)
    assert base.shape == (70, design.horizon)
    assert seen.shape == known.shape == (70,)
    assert np.isfinite(inputs).all()


@pytest.mark.parametrize("design", DESIGNS)
def test_a_series_turned_upside_down_turns_all_but_the_plain_columns(design: Design) -> None:
    beside = RNG.normal(size=(70, 2))
    one = inputs_of(SIGNED, Unit.of(SIGNED, design.season), design, beside)
    other = inputs_of(-SIGNED, Unit.of(-SIGNED, design.season), design, -beside)
    assert other[0][:, :-PLAIN] == pytest.approx(-one[0][:, :-PLAIN])
    assert np.array_equal(other[0][:, -PLAIN:], one[0][:, -PLAIN:])
    assert other[1] == pytest.approx(-one[1])


def test_what_is_constant_for_a_series_stands_at_the_end_and_does_not_turn() -> None:
    design, static = Design(4, (1,), 6, 1, static=2), np.array([1.5, -2.0])
    unit = Unit.of(SIGNED, 1)
    inputs = inputs_of(SIGNED, unit, design, static=static)[0]
    plain = inputs_of(SIGNED, unit, DESIGNS[0])[0]
    assert inputs.shape[1] == design.width == plain.shape[1] + 2
    assert np.array_equal(inputs[:, :-2], plain)
    assert np.array_equal(inputs[:, -2:], np.tile(static, (70, 1)))
    assert design.plain == PLAIN + 2


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e9])
@pytest.mark.parametrize("design", DESIGNS)
def test_a_positive_series_in_another_unit_of_measure_is_read_as_the_same(design: Design, factor: float) -> None:
    one = inputs_of(POSITIVE, Unit.of(POSITIVE, design.season), design)
    other = inputs_of(POSITIVE * factor, Unit.of(POSITIVE * factor, design.season), design)
    assert other[0] == pytest.approx(one[0], abs=1e-9)
    shift = other[2][0] - one[2][0]
    assert other[1] - shift == pytest.approx(one[1], abs=1e-9)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_window_holds_the_last_values_less_their_level(design: Design) -> None:
    unit = Unit.of(SIGNED, design.season)
    inputs = inputs_of(SIGNED, unit, design)[0]
    for step in (0, 3, 40, 69):
        level = np.mean(unit.to(SIGNED[max(0, step + 1 - design.season) : step + 1]))
        past = [unit.to(SIGNED[max(0, step - back)]) - level for back in range(design.window)]
        assert np.sinh(inputs[step, : design.window]) == pytest.approx(past, abs=1e-9)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=30),
    st.integers(1, 9),
    st.integers(1, 20),
)
@examples(50)
def test_paths_ahead_repeat_the_last_season(values: list[float], season: int, horizon: int) -> None:
    paths = forward_paths(np.array(values), season, horizon)
    assert paths.shape == (len(values), horizon)
    for step in range(len(values)):
        for ahead in range(1, horizon + 1):
            source = step + ahead
            while source > step:  # the same step of the last season that is known
                source -= season
            assert paths[step, ahead - 1] == values[source if source >= 0 else step]


def test_a_missing_value_is_the_last_known_one() -> None:
    nan = np.nan
    series, known = filled(np.array([nan, nan, 3.0, nan, 5.0, nan]))
    assert series.tolist() == [3.0, 3.0, 3.0, 3.0, 5.0, 5.0]
    assert known.tolist() == [False, False, True, False, True, False]
    series, known = filled(np.full(3, nan))
    assert series.tolist() == [0.0, 0.0, 0.0]
    assert not known.any()
