"""Continuation: the times after the last ones, the table of a forecast, and what is known of the steps to come."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from longlag.data import Continuation, Panel, Table
from longlag.errors import InputError

MONTHS = pd.date_range("2020-01-31", periods=12, freq="ME").to_numpy().astype("datetime64[D]")


def panel(columns: dict[str, Any], **options: Any) -> Panel:
    return Panel.from_table(Table.from_arrays(columns), **options)


def saved(panel: Panel) -> Continuation:
    """By way of the JSON of a run."""
    return Continuation.from_state(json.loads(json.dumps(panel.continuation().state())))


TWO = panel(
    {
        "shop": ["a"] * 8 + ["b"] * 5,
        "month": np.append(MONTHS[:8], MONTHS[1:6]),
        "sold": np.arange(13.0),
        "price": np.arange(13.0) + 0.5,
        "offer": ["yes" if step in (1, 4, 8) else "no" for step in range(13)],
    },
    target="sold",
    known=["price", "offer"],
)


def future(**changes: Any) -> Table:
    columns: dict[str, Any] = {
        "offer": ["no", "yes", "yes", "no"],
        "shop": ["b", "a", "b", "a"],
        "month": np.array([MONTHS[6], MONTHS[9], MONTHS[7], MONTHS[8]]),
        "price": [1.0, 2.0, 3.0, 4.0],
    }
    return Table.from_arrays({**columns, **changes}, "next.csv")


def test_a_forecast_is_a_long_table_with_the_times_that_follow_each_series() -> None:
    columns = saved(TWO).columns(2, {"mean": [[1.0, 2.0], [3.0, 4.0]]})
    assert list(columns) == ["shop", "month", "mean"]
    assert columns["shop"].tolist() == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(columns["month"], [MONTHS[8], MONTHS[9], MONTHS[6], MONTHS[7]])
    assert columns["mean"].tolist() == [1, 2, 3, 4]


def test_a_forecast_of_one_series_names_no_series_and_counts_steps_where_there_are_no_times() -> None:
    dated = saved(panel({"year": [1990, 1991, 1992], "y": [1.0, 2.0, 3.0]})).columns(2, {"mean": [[4.0, 5.0]]})
    assert {name: column.astype(str).tolist() for name, column in dated.items()} == {
        "year": ["1993", "1994"],
        "mean": ["4.0", "5.0"],
    }
    plain = saved(panel({"y": [1.0, 2.0, 3.0]})).columns(2, {"mean": [[4.0, 5.0]]})
    assert {name: column.tolist() for name, column in plain.items()} == {"step": [1, 2], "mean": [4, 5]}
    wide = saved(panel({"x1": [1.0, 2.0, 3.0], "x2": [1.0, 2.0, 3.0]})).columns(1, {"mean": [[4.0], [5.0]]})
    assert wide["series"].tolist() == ["x1", "x2"]
    with pytest.raises(InputError, match=r"mean has shape \(1, 2\); expected \(2, 2\)"):
        saved(TWO).columns(2, {"mean": [[1.0, 2.0]]})


def test_what_is_known_of_the_steps_to_come_is_read_by_series_and_time() -> None:
    of_a, of_b = saved(TWO).known(future(), 2)
    np.testing.assert_array_equal(of_a, [[4, 0], [2, 1]])
    np.testing.assert_array_equal(of_b, [[1, 0], [3, 1]])


def test_rows_of_the_past_and_of_other_series_do_not_matter() -> None:
    more = future()
    columns = {name: np.concatenate([column, column[:2]]) for name, column in more.columns.items()}
    columns["month"][4:] = [MONTHS[2], MONTHS[7]]
    columns["shop"][4] = "c"
    assert columns["shop"][5] == "a"
    np.testing.assert_array_equal(saved(TWO).known(Table.from_arrays(columns), 1)[0], [[4, 0]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"month": np.array([MONTHS[6], MONTHS[9], MONTHS[7], MONTHS[10]])},
            "next.csv has no row of series 'a' for 2020-09-30; expected one for each of the 2 steps after 2020-08-31, "
            "with 'price', 'offer'",
        ),
        ({"shop": ["a", "a", "a", "a"]}, "no row of series 'b' for 2020-07-31"),
        ({"price": [1.0, np.nan, 3.0, 4.0]}, "next.csv, row 2, column 'price': the cell is missing"),
        ({"offer": ["no", "no", "nope", "no"]}, "row 3, column 'offer': 'nope' is a word"),
        ({"month": [1.0, 2.0, 3.0, 4.0]}, "column 'month' holds numbers; expected times that go on from 2020-08-31"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:30],
)
def test_what_is_missing_of_the_steps_to_come_is_refused_by_its_place(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as refused:
        saved(TWO).known(future(**changes), 2)
    assert words in str(refused.value)


def test_rows_without_times_are_the_steps_to_come_in_their_order() -> None:
    plain = saved(panel({"y": np.arange(8.0), "x": np.arange(8.0) / 10}, target="y", known="x"))
    (known,) = plain.known(Table.from_arrays({"x": [0.0, 1.0, 1.0, 0.0]}), 4)
    np.testing.assert_array_equal(known[:, 0], [0, 1, 1, 0])
    with pytest.raises(InputError, match="has 4 rows to come; expected one for each of the 5 steps"):
        plain.known(Table.from_arrays({"x": [0.0, 1.0, 1.0, 0.0]}), 5)


def test_several_targets_of_a_series_share_what_is_known() -> None:
    columns = {"id": ["a", "a", "b", "b"], "ds": [1, 2, 1, 2], "u": np.arange(4.0), "v": np.arange(4.0), "x": [0.0] * 4}
    both = saved(panel(columns, target=["u", "v"], known="x"))
    known = both.known(Table.from_arrays({"id": ["b", "a"], "ds": [3, 3], "x": [7.0, 8.0]}), 1)
    assert [part[0, 0] for part in known] == [8, 8, 7, 7]


FORMS: dict[str, tuple[list[Any], list[Any]]] = {
    "quarters": (["1985Q1", "1985Q2", "1985Q3"], ["1985Q4", "1986Q1"]),
    "months": (["Oct 2006", "Nov 2006", "Dec 2006"], ["Jan 2007", "Feb 2007"]),
    "German days": (["29.01.2012", "30.01.2012", "31.01.2012"], ["01.02.2012", "02.02.2012"]),
    "text of digits": (["20120129", "20120130", "20120131"], ["20120201", "20120202"]),
    "numbers": ([20120129, 20120130, 20120131], [20120201, 20120202]),
    "decimal years": ([1949.0, 1949.083, 1949.167], [1949.25, 1949.333]),
}


@pytest.mark.parametrize(("times", "ahead"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_gets_its_times_back_in_the_form_that_they_had(
    times: list[Any], ahead: list[Any], library: str
) -> None:
    make: Any = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[library]
    frame = make({"when": times, "y": [1.0, 2.0, 4.0]})
    answer = saved(Panel.from_frame(frame, time="when")).frame(2, {"y": [[4.0, 5.0]]})
    assert type(answer) is type(frame)
    assert answer["when"].to_list() == ahead
    assert answer["when"].dtype == frame["when"].dtype
    dates = saved(Panel.from_table(Table.from_arrays({"when": times, "y": [1.0, 2.0, 4.0]}), time="when"))
    assert dates.frame(2, {"y": [[4.0, 5.0]]})["when"].dtype.kind == "M"  # columns of no frame are for arithmetic


def test_a_state_of_an_earlier_release_has_no_form_of_times() -> None:
    state = panel({"when": ["1985Q1", "1985Q2", "1985Q3"], "y": [1.0, 2.0, 4.0]}).continuation().state()
    assert state.pop("time_form") == "%YQ%q"
    assert Continuation.from_state(state).time_form is None


@pytest.mark.parametrize(
    "change",
    [
        {"ids": None},
        {"last": []},
        {"last": ["now", "now"]},
        {"last": ["2020-08-31"]},
        {"last": [None, 1]},
        {"frequency": {"unit": "parsec", "step": 1, "anchor": None}},
        {"frequency": 3},
        {"roles": {"goal": []}},
        {"roles": None},
        {"categories": [1]},
        {"time_form": 3},
        {"time_form": "#.x"},
    ],
    ids=str,
)
def test_a_damaged_state_is_refused_in_a_sentence(change: dict[str, Any]) -> None:
    state = TWO.continuation().state()
    with pytest.raises(InputError, match="expected"):
        Continuation.from_state({**state, **change})
    with pytest.raises(InputError, match="expected"):
        Continuation.from_state(None)
