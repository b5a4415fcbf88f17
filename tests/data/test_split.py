"""Splits: complete, never empty by accident; in time order, or at random with every class in proportion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import chronological_split, random_split
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


# -- at random ---------------------------------------------------------------------------------------------------------


@given(
    classes=st.lists(st.sampled_from("abcd"), min_size=1, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_random_parts_do_not_meet_and_each_class_gives_its_share(classes: list[str], share: float, seed: int) -> None:
    n = len(classes)
    held_out = min(int(n * share), n - 1)
    for by in (None, classes):
        training, test = random_split(n, held_out, seed=seed, classes=by)
        assert sorted([*training, *test]) == list(range(n))
        assert (np.diff(training) > 0).all()
        assert (np.diff(test) > 0).all()
    assert {classes[number] for number in training} == set(classes)
    for label in set(classes):
        whole, part = classes.count(label), sum(classes[number] == label for number in test)
        assert abs(part - held_out * whole / n) < 2  # one for rounding, and one that is left to learn from
    assert len(random_split(n, held_out, seed=seed)[1]) == held_out


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=9), st.integers(0, 2**32 - 1))
def test_one_is_held_out_wherever_a_class_has_two(classes: list[str], seed: int) -> None:
    held_out = random_split(len(classes), 1, seed=seed, classes=classes)[1]
    assert len(held_out) == int(len(set(classes)) < len(classes))
    assert all(classes.count(classes[number]) > 1 for number in held_out)


def test_a_random_split_follows_from_its_seed() -> None:
    first, again, other = (random_split(40, 10, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other
    # A draw without replacement: the first ten of the permutation that NumPy makes of this seed.
    assert first == sorted(np.random.default_rng(1).permutation(40)[:10].tolist())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 3, "held_out": 3}, "held_out is 3 of 3 sequences; expected fewer"),
        ({"n": 0, "held_out": 0}, "n is 0; expected a whole number of at least 1"),
        ({"n": 3, "held_out": -1}, "held_out is -1; expected a whole number of at least 0"),
        ({"n": 3, "held_out": 0.5}, "held_out is 0.5; expected a whole number"),
        ({"n": 3, "held_out": 1, "classes": ["a", "b"]}, r"classes has shape \(2,\); expected \(3,\)"),
    ],
)
def test_an_impossible_random_split_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        random_split(seed=0, **options)
