"""Panel: rows of a table as series in the order of their times."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import Frequency, Panel, Table
from longlag.errors import InputError


def dates(start: str, periods: int, frequency: str) -> np.ndarray:
    return pd.date_range(start, periods=periods, freq=frequency).to_numpy().astype("datetime64[us]")


def panel(columns: dict[str, Any], **options: Any) -> Panel:
    return Panel.from_table(Table.from_arrays(columns, "sales.csv"), **options)


def refusal(columns: dict[str, Any], **options: Any) -> str:
    with pytest.raises(InputError) as refused:
        panel(columns, **options)
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert len(sentence) < 500
    return sentence


DAYS = dates("2024-01-01", 10, "D")
COUNT = np.arange(10.0)

# -- one series: order, duplicates, gaps -------------------------------------------------------------------------------


def test_a_table_of_dates_and_numbers_is_understood_by_itself() -> None:
    understood = panel({"date": DAYS, "sold": COUNT})
    assert understood.ids == ("sold",)
    assert understood.frequency == Frequency("D")
    assert (understood.roles.time, understood.roles.target, understood.roles.id) == ("date", ("sold",), None)
    np.testing.assert_array_equal(understood.values[0], COUNT)
    np.testing.assert_array_equal(understood.times[0], DAYS)
    np.testing.assert_array_equal(understood.after(2)[0], dates("2024-01-11", 2, "D"))
    assert understood.notes == ("column 'date' is taken for the time", "times in 'date' are daily")


def test_reversed_rows_are_sorted_and_that_is_said() -> None:
    understood = panel({"date": DAYS[::-1], "sold": COUNT[::-1]})
    np.testing.assert_array_equal(understood.values[0], COUNT)
    assert any("sorted by 'date': row 2 holds 2024-01-09, after a later time in row 1" in n for n in understood.notes)


def test_a_repeated_time_is_refused_by_both_its_rows() -> None:
    sentence = refusal({"date": np.append(DAYS, DAYS[3]), "sold": np.append(COUNT, 5.0)})
    assert sentence.startswith("sales.csv, row 11: 2024-01-04 stands in row 4 already; expected one row for each time")
    assert "--duplicates mean or last" in sentence


@pytest.mark.parametrize(("duplicates", "expected"), [("mean", 4.0), ("last", 5.0)])
def test_repeated_times_are_merged_where_that_is_asked_for(duplicates: str, expected: float) -> None:
    columns = {"date": np.append(DAYS, DAYS[3]), "sold": np.append(COUNT, 5.0)}
    understood = panel(columns, duplicates=duplicates)
    np.testing.assert_array_equal(understood.values[0], [0, 1, 2, expected, 4, 5, 6, 7, 8, 9])
    assert any(note.startswith("rows that repeat a time (1, first row 11): ") for note in understood.notes)


def test_the_mean_of_repeated_times_leaves_missing_values_out() -> None:
    columns = {"date": np.repeat(DAYS[:3], 2), "sold": [1.0, 3.0, np.nan, 5.0, np.nan, np.nan]}
    np.testing.assert_array_equal(panel(columns, duplicates="mean").values[0], [2.0, 5.0, np.nan])


def test_the_hour_that_comes_twice_in_autumn_is_explained() -> None:
    local = pd.date_range("2012-10-27", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None).to_numpy()
    sentence = refusal({"time": local, "load": np.arange(60.0)})
    assert "2012-10-28T02:00 stands in row 27 already" in sentence
    assert "an hour comes twice where clocks are set back" in sentence


def test_missing_days_are_missing_values_and_that_is_said() -> None:
    some = [0, 1, 2, 5, 6, 7, 9]
    understood = panel({"date": DAYS[some], "sold": COUNT[some]})
    np.testing.assert_array_equal(understood.values[0], [0, 1, 2, np.nan, np.nan, 5, 6, 7, np.nan, 9])
    np.testing.assert_array_equal(understood.times[0], DAYS)
    assert understood.notes[-1] == (
        "steps without a row (3 of 10) are missing values: 2024-01-06 comes 3 steps after 2024-01-03 (daily)"
    )


def test_missing_days_carry_the_value_before_them_on_where_that_is_asked_for() -> None:
    some = [0, 1, 2, 5, 6, 7, 9]
    understood = panel({"date": DAYS[some], "sold": COUNT[some]}, gaps="fill")
    np.testing.assert_array_equal(understood.values[0], [0, 1, 2, 2, 2, 5, 6, 7, 7, 9])
    assert "steps without a row (3 of 10) carry the value before them on" in understood.notes[-1]


def test_a_gap_is_refused_where_that_is_asked_for_and_ignored_where_that_is() -> None:
    some = [0, 1, 2, 5, 6]
    columns = {"date": DAYS[some], "sold": COUNT[some]}
    assert refusal(columns, gaps="refuse") == (
        "sales.csv, row 4, column 'date': 2024-01-06 comes 3 steps after 2024-01-03 (daily); expected every time"
    )
    ignored = panel(columns, gaps="ignore")
    np.testing.assert_array_equal(ignored.values[0], COUNT[some])
    np.testing.assert_array_equal(ignored.after(1)[0], DAYS[7:8])


def test_gaps_that_no_calendar_makes_certain_are_refused_unless_told() -> None:
    columns = {"at": [1.0, 2.0, 4.0, 5.0], "y": [1.0, 2.0, 3.0, 4.0]}
    sentence = refusal(columns, time="at")
    assert "row 3, column 'at': 4 comes 2 steps after 2 (every 1)" in sentence
    assert "--gaps mask, fill or ignore" in sentence
    np.testing.assert_array_equal(panel(columns, time="at", gaps="mask").values[0], [1, 2, np.nan, 3, 4])
    # Nearly all days missing: whether these are days at all is not certain.
    rare = np.concatenate([DAYS[:4], DAYS[:4] + np.timedelta64(400, "D")])
    assert "comes 397 steps after 2024-01-04 (daily)" in refusal({"date": rare, "y": COUNT[:8]})


def test_weekdays_have_no_gaps_at_weekends_and_go_on_with_the_next_monday() -> None:
    weekdays = dates("2024-01-01", 20, "B")
    understood = panel({"date": weekdays, "close": np.arange(20.0)})
    assert understood.frequency == Frequency("B", 1, "1111100")
    assert len(understood.values[0]) == 20
    np.testing.assert_array_equal(understood.after(3)[0], dates("2024-01-29", 3, "B"))
    holiday = np.delete(weekdays, 7)
    assert np.flatnonzero(np.isnan(panel({"date": holiday, "close": np.arange(19.0)}).values[0])).tolist() == [7]


def test_years_as_numbers_are_a_calendar() -> None:
    years = np.array([1990, 1991, 1993, 1994])
    understood = panel({"year": years, "catch": COUNT[:4]})
    assert understood.frequency == Frequency("Y")
    np.testing.assert_array_equal(understood.values[0], [0, 1, np.nan, 2, 3])
    np.testing.assert_array_equal(understood.times[0].astype(str), ["1990", "1991", "1992", "1993", "1994"])
    np.testing.assert_array_equal(understood.after(2)[0].astype(str), ["1995", "1996"])


def test_the_hour_that_clocks_leave_out_in_spring_is_a_missing_value_and_is_explained() -> None:
    local = pd.date_range("2012-03-24", periods=60, freq="h", tz="Europe/Berlin").tz_localize(None).to_numpy()
    understood = panel({"time": local, "load": np.arange(60.0)})
    assert np.flatnonzero(np.isnan(understood.values[0])).tolist() == [26]
    assert "2012-03-25T03:00 comes 2 steps after 2012-03-25T01:00 (hourly)" in understood.notes[-1]
    assert understood.notes[-1].endswith("an hour is left out where clocks are set forward")


def test_times_that_are_near_their_steps_stay_as_they_are_and_that_is_said() -> None:
    days = ["2001-01-03", "2001-02-05", "2001-03-02", "2001-05-04", "2001-06-04"]
    understood = panel({"date": np.array(days, dtype="datetime64[D]"), "y": COUNT[:5]})
    assert understood.times[0].astype(str).tolist() == [*days[:3], "2001-04-04", *days[3:]]
    assert (
        "times in 'date' are near their steps (monthly (day 4)), not on them: 2001-01-03 is taken for 2001-01-04"
        in understood.notes
    )
    clock = np.datetime64("2024-01-01T00:00:00") + np.array([0, 1801, 3600, 5403]) * np.timedelta64(1, "s")
    assert "2024-01-01T00:30:01 is taken for 2024-01-01T00:30" in panel({"time": clock, "y": COUNT[:4]}).notes[-1]
    assert not any(
        "near their steps" in note for note in panel({"date": dates("2001-01-31", 9, "BME"), "y": COUNT[:9]}).notes
    )


def test_uneven_times_are_taken_as_steps_and_that_is_said() -> None:
    at = np.array(["2024-01-01T00:00", "2024-01-01T01:07", "2024-01-01T09:12"], dtype="datetime64[us]")
    understood = panel({"time": at, "y": COUNT[:3]})
    assert understood.frequency is None
    assert understood.notes[-1] == "times in 'time' are uneven: rows are taken as steps"
    np.testing.assert_array_equal(understood.after(2)[0], [1, 2])
    assert "--gaps ignore" in refusal({"time": at, "y": COUNT[:3]}, gaps="mask")


def test_a_table_without_times_is_one_series_in_its_own_order_and_that_is_said() -> None:
    understood = panel({"y": COUNT})
    np.testing.assert_array_equal(understood.values[0], COUNT)
    np.testing.assert_array_equal(understood.times[0], np.arange(1, 11))
    np.testing.assert_array_equal(understood.after(2)[0], [11, 12])
    assert understood.notes == ("no column holds times: rows are taken as steps, in their order",)


@pytest.mark.parametrize("missing", [[4], [0, 1], [8, 9], [0, 5, 9]], ids=str)
def test_missing_values_stay_missing_wherever_they_are(missing: list[int]) -> None:
    values = COUNT.copy()
    values[missing] = np.nan
    np.testing.assert_array_equal(panel({"date": DAYS, "y": values}).values[0], values)


def test_a_series_without_any_value_is_refused_by_name() -> None:
    nothing = np.full(10, np.nan)
    assert "column 'y' has no value in 10 steps" in refusal({"date": DAYS, "y": nothing})
    columns = {"unique_id": np.repeat(["a", "b"], 10), "ds": np.tile(DAYS, 2), "y": np.append(COUNT, nothing)}
    assert "series 'b' of column 'y' has no value" in refusal(columns)


def test_a_value_that_is_no_number_is_refused_by_its_place() -> None:
    assert "row 2, column 'y'" in refusal({"date": DAYS[:3], "y": [1.0, np.inf, 2.0]})
    assert "row 3, column 'y'" in refusal({"date": DAYS[:3], "y": ["1", "2", "many"]}, target="y")


def test_one_row_is_a_series() -> None:
    understood = panel({"date": DAYS[:1], "y": [3.0]})
    assert understood.frequency is None
    assert understood.notes[-1] == "times in 'date' have no step, because there is one: rows are taken as steps"
    np.testing.assert_array_equal(understood.values[0], [3.0])


# -- several series ----------------------------------------------------------------------------------------------------


def test_a_long_table_is_a_panel_by_the_names_that_everybody_uses() -> None:
    columns = {"unique_id": np.repeat(["b", "a"], 10), "ds": np.tile(DAYS, 2), "y": np.append(COUNT, -COUNT)}
    understood = panel(columns)
    assert understood.ids == ("a", "b")
    np.testing.assert_array_equal(understood.values[0], -COUNT)


def test_a_long_table_is_a_panel_where_one_column_of_words_tells_repeated_times_apart() -> None:
    columns = {"day": np.repeat(DAYS, 2), "shop": ["north", "south"] * 10, "sold": np.arange(20.0)}
    understood = panel(columns)
    assert understood.ids == ("north", "south")
    np.testing.assert_array_equal(understood.values[1], np.arange(1.0, 20.0, 2.0))
    assert "times repeat: the 2 values of column 'shop' are taken for series" in understood.notes


def test_repeated_times_and_a_column_of_whole_numbers_make_one_question() -> None:
    columns = {"day": np.tile(DAYS, 2), "store": np.repeat([7, 9], 10), "sold": np.arange(20.0) + 0.5}
    assert refusal(columns) == (
        "sales.csv, row 11, column 'day': times repeat, first that of row 1: is column 'store' the id of several "
        "series? Expected --id store"
    )
    assert panel(columns, id="store").ids == ("7", "9")


def test_a_time_that_is_repeated_by_mistake_does_not_make_words_the_names_of_series() -> None:
    columns = {"day": np.append(DAYS, DAYS[4]), "weather": ["sun", "rain"] * 5 + ["rain"], "sold": np.arange(11.0)}
    assert refusal(columns).startswith("sales.csv, row 11: 2024-01-05 stands in row 5 already")


def test_two_columns_of_words_that_tell_series_apart_differently_make_one_question() -> None:
    names = np.repeat(["a", "b"], 10)
    columns = {"day": np.tile(DAYS, 2), "shop": names, "label": [f"{n}{i // 5}" for i, n in enumerate(names)]}
    assert "is one of columns 'shop', 'label' the id" in refusal({**columns, "sold": np.arange(20.0)})
    # The same series under two names are no question.
    assert panel({**columns, "label": np.char.upper(names), "sold": np.arange(20.0)}).roles.id == "shop"


def test_series_below_each_other_without_times_are_asked_about() -> None:
    columns = {"country": np.repeat(["x", "y", "z"], 5), "gdp": np.arange(15.0)}
    sentence = refusal(columns)
    assert "column 'country' has 3 values in blocks" in sentence
    assert "--id country" in sentence
    understood = panel(columns, id="country")
    np.testing.assert_array_equal(understood.values[2], np.arange(10.0, 15.0))
    np.testing.assert_array_equal(understood.times[2], np.arange(1, 6))


def test_series_that_begin_and_end_at_different_times_go_on_after_their_own_last() -> None:
    months = dates("2020-01-31", 12, "ME")
    columns = {
        "unique_id": np.repeat(["long", "short"], [12, 5]),
        "ds": np.append(months, months[3:8]),
        "y": np.arange(17.0),
    }
    understood = panel(columns)
    assert [len(values) for values in understood.values] == [12, 5]
    ahead = understood.after(2)
    np.testing.assert_array_equal(ahead[0], dates("2021-01-31", 2, "ME"))
    np.testing.assert_array_equal(ahead[1], months[8:10])


def test_a_repeated_time_within_one_of_several_series_is_refused_by_its_name() -> None:
    columns = {
        "unique_id": np.append(np.repeat(["a", "b"], 10), "b"),
        "ds": np.append(np.tile(DAYS, 2), DAYS[3]),
        "y": np.arange(21.0),
    }
    assert refusal(columns).startswith("sales.csv, row 21: 2024-01-04 of series 'b' stands in row 14 already")


def test_an_identifier_that_is_missing_is_refused_by_its_place() -> None:
    assert "row 2, column 'unique_id'" in refusal({"unique_id": ["a", ""], "ds": DAYS[:2], "y": COUNT[:2]})
    assert "row 2, column 'unique_id'" in refusal({"unique_id": [1.0, np.nan], "ds": DAYS[:2], "y": COUNT[:2]})


def test_a_wide_table_is_several_series_without_what_pads_them() -> None:
    late, early = COUNT.copy(), COUNT.copy()
    late[:3], early[7:] = np.nan, np.nan
    early[2] = np.nan
    columns = {"date": DAYS, "late": late, "early": early}
    assert "2 columns of numbers, 'late', 'early': which is to be forecast?" in refusal(columns)
    understood = panel(columns, target=["late", "early"])
    assert understood.ids == ("late", "early")
    np.testing.assert_array_equal(understood.values[0], late[3:])
    np.testing.assert_array_equal(understood.values[1], early[:7])
    np.testing.assert_array_equal(understood.times[0], DAYS[3:])
    np.testing.assert_array_equal(understood.after(1)[1], DAYS[7:8])
    assert understood.notes[-1] == "2 of 2 series begin later or end earlier than the table"


def test_columns_that_differ_in_a_number_alone_are_a_series_each() -> None:
    assert panel({"date": DAYS, "MT_001": COUNT, "MT_002": -COUNT}).ids == ("MT_001", "MT_002")


def test_several_targets_of_several_series_are_named_by_both() -> None:
    columns = {"id": np.repeat(["a", "b"], 10), "ds": np.tile(DAYS, 2), "u": np.arange(20.0), "v": -np.arange(20.0)}
    understood = panel(columns, target=["u", "v"])
    assert understood.ids == ("a/u", "a/v", "b/u", "b/v")
    np.testing.assert_array_equal(understood.values[3], -np.arange(10.0, 20.0))
    assert len(understood.times) == 4


@given(seed=st.integers(0, 2**32 - 1), frequency=st.sampled_from(["D", "B", "ME", "MS", "W", "h", "QE", "15min"]))
def test_any_rows_in_any_order_give_the_same_panel_but_for_missing_values(seed: int, frequency: str) -> None:
    rng = np.random.default_rng(seed)
    times = np.concatenate([dates("2021-03-31", 60, frequency)[10 * series :] for series in range(3)])
    ids = np.repeat(["a", "b", "c"], [60, 50, 40])
    values = rng.normal(size=150)
    whole = panel({"unique_id": ids, "ds": times, "y": values})
    ends = np.isin(np.arange(150), [0, 59, 60, 109, 110, 149])
    rows = rng.permutation(np.flatnonzero(ends | (rng.random(150) < 0.8)))
    some = panel({"unique_id": ids[rows], "ds": times[rows], "y": values[rows]})
    assert some.frequency == whole.frequency
    assert some.ids == whole.ids == ("a", "b", "c")
    for number, name in enumerate(some.ids):
        expected = whole.values[number].copy()
        left_out = np.isin(times[ids == name], times[rows][ids[rows] == name], invert=True)
        expected[left_out] = np.nan
        np.testing.assert_array_equal(some.values[number], expected)
        np.testing.assert_array_equal(some.times[number], whole.times[number])


def test_ids_are_sorted_numbers_by_size_and_those_of_arrays_stay_as_given() -> None:
    columns = {"id": [10, 9, 100, 9, 10, 100], "ds": [1, 1, 1, 2, 2, 2], "y": COUNT[:6]}
    assert panel(columns).ids == ("9", "10", "100")
    arrays = Panel.from_arrays([COUNT + number for number in range(12)])
    assert arrays.ids == tuple(map(str, range(12)))
    assert [values[0] for values in arrays.values] == list(range(12))
    assert Panel.from_arrays([COUNT, -COUNT], ids=["z", "a"]).ids == ("z", "a")


def test_some_series_of_a_panel_are_chosen_by_their_numbers() -> None:
    whole = Panel.from_arrays([COUNT + number for number in range(4)], ids=["a", "b", "c", "d"])
    chosen = whole.select([3, 0])
    assert chosen.ids == ("d", "a")
    assert [values[0] for values in chosen.values] == [3.0, 0.0]
    with pytest.raises(InputError, match="expected a whole number of at most 3"):
        whole.select([4])


# -- which column is what ----------------------------------------------------------------------------------------------


def test_the_target_is_found_by_its_name_among_several() -> None:
    understood = panel({"": np.arange(10), "date": DAYS, "price": COUNT, "value": -COUNT})
    assert understood.roles.target == ("value",)
    assert "column 'price' is not used" in understood.notes


def test_a_column_of_numbers_with_a_broken_cell_is_asked_for_and_not_passed_over_for_another() -> None:
    broken = ["12,3x", *map(str, range(9))]
    sentence = refusal({"date": DAYS, "sold": broken, "price": COUNT})
    assert sentence == (
        "sales.csv, row 1, column 'sold': the cell reads '12,3x'; expected a number; or --target price to forecast "
        "that column"
    )
    assert panel({"date": DAYS, "sold": broken, "price": COUNT}, target="price").roles.target == ("price",)
    assert panel({"date": DAYS, "sold": broken, "y": COUNT}).roles.target == ("y",)  # whose name says what it is
    words = ["a"] * 6 + ["1"] * 4  # a column of words, of which some are digits
    assert panel({"date": DAYS, "kind": words, "price": COUNT}).roles.target == ("price",)
    assert "or --target" not in refusal({"date": DAYS, "sold": broken})


def test_a_column_of_months_that_repeat_is_not_taken_for_the_time() -> None:
    assert panel({"month": np.arange(24) % 12 + 1, "y": np.arange(24.0)}).roles.time is None
    assert panel({"month": np.arange(24), "y": np.arange(24.0)}).roles.time == "month"


def test_two_columns_of_dates_make_one_question() -> None:
    columns = {"ordered": DAYS, "shipped": DAYS, "y": COUNT}
    assert "2 columns of dates, 'ordered', 'shipped'" in refusal(columns)
    assert panel(columns, time="shipped").roles.time == "shipped"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "z"}, "has no column 'z'"),
        ({"time": "when"}, "has no column 'when'"),
        ({"target": "y", "known": ["y"]}, "column 'y' is both target and known"),
        ({"time": ["date", "y"]}, "time names 2 columns"),
        ({"gaps": "guess"}, "gaps is 'guess'; expected one of auto, fill, mask, refuse, ignore"),
        ({"duplicates": "first"}, "duplicates is 'first'; expected one of refuse, mean, last"),
        ({"frequency": "D"}, "frequency is a str; expected a Frequency"),
    ],
    ids=str,
)
def test_options_that_fit_no_table_are_refused(options: dict[str, Any], words: str) -> None:
    assert words in refusal({"date": DAYS, "y": COUNT}, **options)


# -- columns beside the series -----------------------------------------------------------------------------------------


def test_columns_beside_the_series_stand_on_its_steps_with_words_as_codes() -> None:
    some = [0, 1, 4, 5]
    columns = {
        "unique_id": ["a"] * 4 + ["b"] * 4,
        "ds": np.tile(DAYS[some], 2),
        "y": np.arange(8.0),
        "price": np.arange(8.0) * 10,
        "weather": ["sun", "rain", "sun", "snow"] * 2,
        "region": ["west"] * 4 + ["east"] * 4,
    }
    understood = panel(columns, known=["price", "weather"], static=["region"])
    assert understood.categories == {"weather": ("rain", "snow", "sun"), "region": ("east", "west")}
    np.testing.assert_array_equal(
        understood.known[1], [[40, 2], [50, 0], [np.nan, np.nan], [np.nan, np.nan], [60, 2], [70, 1]]
    )
    np.testing.assert_array_equal(understood.static, [[1.0], [0.0]])
    assert understood.past[0].shape == (6, 0)


def test_a_word_that_was_not_learned_is_refused_by_name() -> None:
    columns = {"date": DAYS[:3], "y": COUNT[:3], "weather": ["sun", "rain", "sunn"]}
    sentence = refusal(columns, known="weather", categories={"weather": ("rain", "sun")})
    assert "row 3, column 'weather': 'sunn' is a word that this column did not have before" in sentence
    assert "'rain', 'sun'" in sentence


def test_a_static_column_that_changes_within_a_series_is_refused_by_its_place() -> None:
    columns = {"date": DAYS[:3], "y": COUNT[:3], "region": ["west", "west", "east"]}
    assert "row 3, column 'region': the cell differs from that of row 1" in refusal(columns, static="region")


# -- arrays ------------------------------------------------------------------------------------------------------------


def test_arrays_are_one_series_or_several() -> None:
    assert [len(values) for values in Panel.from_arrays(COUNT).values] == [10]
    assert [len(values) for values in Panel.from_arrays([COUNT, COUNT[:4]]).values] == [10, 4]
    wide = Panel.from_arrays(np.stack([COUNT, -COUNT], axis=1), DAYS, ids=["up", "down"])
    assert wide.ids == ("up", "down")
    np.testing.assert_array_equal(wide.values[1], -COUNT)
    np.testing.assert_array_equal(wide.times[1], DAYS)
    ragged = Panel.from_arrays([COUNT, COUNT[:4]], [DAYS, DAYS[:4]])
    np.testing.assert_array_equal(ragged.after(1)[1], DAYS[4:5])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.zeros((2, 2, 2)),), "of shape (2, 2, 2); expected (T,)"),
        (([],), "without steps"),
        ((["x", "y"],), "expected (T,)"),
        (([[1.0, 2.0], [np.inf]],), "row 3, column 'value'"),
        ((COUNT, DAYS[:4]), "times have 4 steps and values 10"),
        ((None,), "expected (T,)"),
    ],
    ids=str,
)
def test_arrays_that_are_no_series_are_refused(arguments: Any, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        Panel.from_arrays(*arguments)
