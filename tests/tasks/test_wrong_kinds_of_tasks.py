"""Whatever kind of thing a task or a rule is given by mistake: one sentence. NumPy's integers pass as Python's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from longlag.errors import InputError
from longlag.tasks import (
    Adding,
    Counting,
    DelayedXor,
    DistractorLag,
    FreshRun,
    NoiseFreeLag,
    NoRegularityLag,
    Parity,
    RecentRun,
    TemporalOrder,
    TestSet,
    TwoSequence,
)

WRONG: dict[str, Any] = {
    "None": None,
    "list": [1.0],
    "str": "abcd",
    "array": np.zeros(2),
    "True": True,
    "1.5": 1.5,
    "nan": math.nan,
    "-1": -1,
    "huge": 2**70,
    "object": object(),
    "tensor": torch.zeros(2),
    "complex": 1j,
    "dict": {"a": 1},
}
OPTIONS: dict[str, tuple[Callable[..., Any], str, tuple[str, ...]]] = {
    f"{make.__name__} {name}": (make, name, right)
    for make, name, right in (
        (NoiseFreeLag, "p", ()),
        (NoRegularityLag, "p", ()),
        (NoRegularityLag, "error_signals", ()),
        (DistractorLag, "q", ()),
        (DistractorLag, "p", ()),
        (TwoSequence, "variant", ()),
        (TwoSequence, "T", ()),
        (TwoSequence, "N", ()),
        (Adding, "T", ()),
        (Adding, "first_may_be_marked", ("True",)),
        (TemporalOrder, "relevant", ()),
        (DelayedXor, "T", ()),
        (Parity, "T", ()),
        (Counting, "short", ()),
        (Counting, "long", ()),
        (RecentRun, "window", ("huge",)),
        (RecentRun, "wrong_below", ("huge",)),
        (RecentRun, "mean_error_below", ("None", "1.5", "huge")),
        (TestSet, "size", ("huge",)),
        (FreshRun, "size", ("huge",)),
    )
}
TASK = TwoSequence(T=5)
FLAT = TASK.draw(3, np.random.default_rng(0))
BATCH = FLAT.to_batch()
CALLS: dict[str, Callable[[Any], Any]] = {
    "n": lambda v: TASK.draw(v, np.random.default_rng(0)),
    "rng": lambda v: TASK.draw(3, v),
    "outputs": lambda v: TASK.errors(v, FLAT),
    "sequences": lambda v: TASK.errors(np.zeros((3, 1)), v),
    "outputs of a batch": lambda v: TASK.correct(v, BATCH),
    "batch": lambda v: TASK.correct(BATCH.targets, v),
    "largest errors": lambda v: TestSet(size=3).satisfied(v, np.zeros(3), 0.1),
    "mean errors": lambda v: FreshRun(size=3).satisfied(np.zeros(3), v, 0.1),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_wrong_kind_of_option_ends_in_one_sentence(option: str) -> None:
    make, name, right = OPTIONS[option]
    for kind, value in WRONG.items():
        if kind not in right:
            with pytest.raises(InputError, match=rf"^{name} is .*; expected "):
                make(**{name: value})


@pytest.mark.parametrize("what", CALLS)
def test_a_wrong_kind_of_argument_ends_in_one_sentence(what: str) -> None:
    for value in WRONG.values():
        with pytest.raises(InputError, match="expected "):
            CALLS[what](value)


def test_a_small_integer_of_numpy_counts_as_far_as_pythons() -> None:
    rng = np.random.default_rng
    for small, same in (
        (NoiseFreeLag(p=np.int8(127)), NoiseFreeLag(p=127)),  # p + 1 components: more than an int8 holds
        (Counting(long=np.int8(100)), Counting(long=100)),
        (DistractorLag(q=np.uint8(250), p=np.uint8(250)), DistractorLag(q=250, p=250)),
        (TwoSequence(T=np.int8(120)), TwoSequence(T=120)),
    ):
        assert small == same
        ours, theirs = small.draw(np.int64(20), rng(0)), same.draw(20, rng(0))
        assert np.array_equal(ours.inputs, theirs.inputs)
        assert small.input_size == same.input_size
