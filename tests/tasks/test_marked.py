"""Tasks 4 and 5: marks, values and targets of every sequence, read as the text puts them."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.tasks import Adding, Multiplication

SEQUENCES = 4000


@pytest.mark.costly
@pytest.mark.parametrize("T", [100, 21, 11])
@pytest.mark.parametrize("kind", [Adding, Multiplication])
@pytest.mark.parametrize("first", [True, False])
def test_marks_and_targets_of_every_sequence(kind: type[Adding] | type[Multiplication], T: int, first: bool) -> None:
    flat = kind(T=T, first_may_be_marked=first).draw(SEQUENCES, np.random.default_rng(0))
    neutral = 0.0 if kind is Adding else 1.0
    hidden = 0
    for start, end, target in zip(flat.starts, flat.ends, flat.targets[:, 0], strict=True):
        values, markers = flat.inputs[start : end + 1].T
        assert markers[0] == markers[-1] == -1.0
        marked = np.flatnonzero(markers == 1.0)
        assert len(marked) in (1, 2)
        if len(marked) == 1:  # the first pair is the other marked one
            hidden += 1
            marked = np.array([0, *marked])
            assert values[0] == neutral
        assert (np.delete(markers, [0, *marked, len(markers) - 1]) == 0.0).all()
        assert marked[0] < 10
        assert marked[1] < max(T // 2, 10)
        one, other = float(values[marked[0]]), float(values[marked[1]])
        wanted = 0.5 + (one + other) / 4 if kind is Adding else one * other
        assert target == pytest.approx(wanted, abs=1e-7)
        assert 0.0 <= target <= 1.0
    # First pair: drawn first (1/10), or not, and then second.
    share = 1 / 10 + 9 / 10 / (T // 2 - 1) if first else 0.0
    assert abs(hidden - SEQUENCES * share) <= 5 * (SEQUENCES * share) ** 0.5


@pytest.mark.parametrize("first", [True, False])
def test_every_place_is_marked_as_often_as_the_two_draws_say(first: bool) -> None:
    T = 60
    flat = Adding(T=T, first_may_be_marked=first).draw(20_000, np.random.default_rng(1))
    steps, _ = flat.places()
    counts = np.bincount(steps[flat.inputs[:, 1] == 1.0], minlength=T // 2)
    expected = np.zeros(T // 2)
    early = range(0 if first else 1, 10)
    for one in early:
        expected[one] += 1 / len(early)
        unmarked = [place for place in range(T) if place != one and (first or place > 0)]
        # T/2 - 1 pairs, counted with the first pair whether or not it may be marked.
        ranks = unmarked[: T // 2 - 1 - (0 if first else 1)]
        for other in ranks:
            expected[other] += 1 / len(early) / len(ranks)
    expected[0] = 0.0  # keeps its -1
    expected *= 20_000
    assert len(counts) == T // 2
    assert (np.abs(counts - expected) <= 5 * expected**0.5).all()


@pytest.mark.parametrize(("kind", "low"), [(Adding, -1.0), (Multiplication, 0.0)])
def test_values_are_uniform(kind: type[Adding] | type[Multiplication], low: float) -> None:
    flat = kind().draw(1000, np.random.default_rng(0))
    values = flat.inputs[:, 0]
    steps, _ = flat.places()
    values = values[steps > 0]  # the first pair's may be set
    assert low <= values.min() < low + 0.01
    assert 0.99 < values.max() <= 1.0
    counts, _ = np.histogram(values, bins=20, range=(low, 1.0))
    expected = len(values) / 20
    assert (np.abs(counts - expected) < 5 * expected**0.5).all()


@pytest.mark.parametrize("T", [100, 500, 11])
def test_lengths_are_uniform_and_the_least_lag_is_half_the_length(T: int) -> None:
    flat = Adding(T=T).draw(SEQUENCES, np.random.default_rng(0))
    counts = np.bincount(flat.lengths - T, minlength=T // 10 + 1)
    expected = SEQUENCES / (T // 10 + 1)
    assert len(counts) == T // 10 + 1
    assert (np.abs(counts - expected) < 5 * expected**0.5).all()
    steps, sequence = flat.places()
    marked = flat.inputs[:, 1] == 1.0
    if T > 20:
        assert T // 2 <= (flat.lengths[sequence] - 1 - steps)[marked].min() <= T // 2 + 2
