"""Chronological splits: in time order, complete, never empty by accident."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import chronological_split
from longlag.errors import InputError


@given(n=st.integers(3, 500), data=st.data())
def test_the_parts_adjoin_in_time_order_and_miss_nothing(n: int, data: st.DataObject) -> None:
    test = data.draw(st.integers(1, n - 2))
    validation = data.draw(st.integers(0, n - 1 - test))
    split = chronological_split(n, test, validation=validation)
    steps = np.arange(n)
    parts = [steps[part] for part in split]
    np.testing.assert_array_equal(np.concatenate(parts), steps)
    assert [len(part) for part in parts] == [n - test - validation, validation, test]


def test_a_share_is_rounded_to_the_nearest_step() -> None:
    assert chronological_split(309, 0.2) == (slice(0, 247), slice(247, 247), slice(247, 309))
    assert chronological_split(100, 0.29, validation=0.07) == (slice(0, 64), slice(64, 71), slice(71, 100))
    assert chronological_split(10, np.int64(3), validation=np.float64(0.2)).train == slice(0, 5)


@pytest.mark.parametrize(
    ("n", "test", "validation", "message"),
    [
        (10, 10, 0, "10 steps for testing and 0 for validation leave none of 10 for training"),
        (10, 5, 5, "5 steps for testing and 5 for validation leave none of 10 for training"),
        (10, 0.5, 0.9, "leave none of 10 for training"),
        (0, 1, 0, "leave none of 0 for training"),
        (10, 0, 0, "test=0 of 10 steps leaves the test part empty; expected at least one step"),
        (10, -1, 0, "test=-1 of 10 steps leaves the test part empty"),
        (10, 0.04, 0, "test=0.04 of 10 steps leaves the test part empty"),
        (10, 2, 0.04, "validation=0.04 of 10 steps leaves the validation part empty"),
        (10, 1.0, 0, "test=1.0; expected a whole number of steps or a share strictly between 0 and 1"),
        (10, float("nan"), 0, "test=nan; expected"),
        (10, True, 0, "test=True; expected"),
        (10, 2, False, "validation=False; expected"),
        (10, 2, 0.0, "validation=0.0; expected"),
        (10, "2", 0, "test='2'; expected"),
    ],
)
def test_an_empty_or_impossible_part_is_refused(n: int, test: Any, validation: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chronological_split(n, test, validation=validation)
