"""The stopping rules against loops that look at every sequence of every window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.errors import InputError
from longlag.tasks import rules


def slow_first(rule: rules.RecentRun, largest: list[float], mean: list[float], tolerance: float) -> int | None:
    for seen in range(rule.window, len(largest) + 1):
        recent = range(seen - rule.window, seen)
        wrong = sum(not largest[i] < tolerance for i in recent)
        average = sum(mean[i] for i in recent) / rule.window
        if wrong < rule.wrong_below and (rule.mean_error_below is None or average < rule.mean_error_below):
            return seen
    return None


ERRORS = st.lists(st.sampled_from([0.0, 0.01, 0.03, 0.04, 0.05, 0.3, 1e30, float("inf"), float("nan")]), max_size=40)


@given(ERRORS, st.integers(1, 6), st.integers(1, 4), st.sampled_from([None, 0.017, 0.11]))
def test_the_first_run_is_the_one_a_loop_finds(
    largest: list[float], window: int, wrong_below: int, mean_error_below: float | None
) -> None:
    rule = rules.RecentRun(window=window, wrong_below=wrong_below, mean_error_below=mean_error_below)
    mean = [error / 2 for error in largest]
    assert rule.first_satisfied(np.array(largest), np.array(mean), 0.04) == slow_first(rule, largest, mean, 0.04)


@pytest.mark.parametrize("bound", [None, 0.01, 0.0105, 0.1])
@pytest.mark.parametrize("wrong_below", [1, 13])
def test_long_runs_agree_with_the_loop_too(bound: float | None, wrong_below: int) -> None:
    rng = np.random.default_rng(0)
    largest = np.abs(rng.standard_normal(3000)) * np.linspace(0.1, 0.005, 3000)
    rule = rules.RecentRun(window=200, wrong_below=wrong_below, mean_error_below=bound)
    found = rule.first_satisfied(largest, largest, 0.04)
    assert found == slow_first(rule, largest.tolist(), largest.tolist(), 0.04)
    assert found is not None


def test_the_run_needs_a_full_window_and_counts_the_sequences_seen() -> None:
    rule = rules.RecentRun()
    right = np.zeros(5000)
    assert rule.first_satisfied(right[:1999], right[:1999], 0.04) is None
    assert rule.first_satisfied(right[:2000], right[:2000], 0.04) == 2000
    late = right.copy()
    late[100] = 0.04  # as large as the tolerance is wrong
    assert rule.first_satisfied(late, right, 0.04) == 2101
    assert rules.RecentRun(wrong_below=2).first_satisfied(late, right, 0.04) == 2000
    assert rule.first_satisfied(late[:2100], right[:2100], 0.04) is None


def test_an_infinite_error_is_forgotten_once_out_of_the_window() -> None:
    rule = rules.RecentRun(window=10, mean_error_below=0.01)
    errors = np.array([float("nan"), float("inf"), 1e300] + [0.005] * 20)
    assert rule.first_satisfied(errors, errors, 0.04) == 13


def test_the_test_set_counts_the_wrong_and_takes_the_mean() -> None:
    right = np.zeros(256)
    five = right.copy()
    five[:5] = 0.2
    six = right.copy()
    six[:6] = 0.2
    assert rules.TestSet().satisfied(right, right, 0.2)
    assert not rules.TestSet().satisfied(five, right, 0.2)
    assert rules.TestSet(wrong_below=6).satisfied(five, right, 0.2)
    assert not rules.TestSet(wrong_below=6).satisfied(six, right, 0.2)
    strict = rules.TestSet(mean_error_below=0.01)
    assert strict.satisfied(right, np.full(256, 0.0099), 0.2)
    assert not strict.satisfied(right, np.full(256, 0.0101), 0.2)
    assert not strict.satisfied(np.where(np.arange(256) == 9, 0.5, 0.0), right, 0.2)
    assert not strict.satisfied(right, np.where(np.arange(256) == 9, np.nan, 0.0), 0.2)


@pytest.mark.parametrize("rule", [rules.FreshRun(size=50), rules.AllStrings()])
@pytest.mark.parametrize(("worst", "holds"), [(0.24, True), (0.25, False), (float("nan"), False)])
def test_fresh_runs_and_all_strings_forgive_nothing(rule: Any, worst: float, holds: bool) -> None:
    errors = np.zeros(50)
    errors[49] = worst
    assert rule.satisfied(errors, errors, 0.25) is holds


def test_of_no_strings_none_is_right() -> None:
    assert not rules.AllStrings().satisfied([], [], 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rules.RecentRun(window=0), "window is 0; expected a whole number of at least 1"),
        (lambda: rules.RecentRun(wrong_below=0), "wrong_below is 0"),
        (lambda: rules.RecentRun(mean_error_below=0.0), "mean_error_below is 0.0; expected a positive number or None"),
        (lambda: rules.TestSet(size=2.0), "size is 2.0"),  # type: ignore[arg-type]
        (lambda: rules.TestSet(wrong_below=-1), "wrong_below is -1"),
        (lambda: rules.TestSet(mean_error_below=float("nan")), "mean_error_below is nan"),
        (lambda: rules.FreshRun(size=0), "size is 0"),
        (lambda: rules.TestSet().satisfied(np.zeros(255), np.zeros(255), 0.2), r"expected \(256,\) twice"),
        (lambda: rules.FreshRun().satisfied(np.zeros(9), np.zeros(9), 0.2), r"expected \(10000,\) twice"),
        (lambda: rules.RecentRun().first_satisfied(np.zeros(3), np.zeros(4), 0.2), r"shapes \(3,\) and \(4,\)"),
        (
            lambda: rules.RecentRun().first_satisfied(np.zeros((3, 2)), np.zeros((3, 2)), 0.2),
            "expected .sequences,. twice",
        ),
    ],
)
def test_bad_arguments_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
