"""Tasks 2a, 2b, 2c against their sequences spelled out."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.tasks import DistractorLag, NoiseFreeLag, NoRegularityLag


def spelled(p: int, outer: int, middle: list[int]) -> tuple[list[int], list[int]]:
    sequence = [outer, *middle, outer]
    assert len(sequence) == p + 1
    return sequence[:-1], sequence[1:]


@pytest.mark.parametrize("p", [2, 4, 100])
def test_2a_has_two_sequences_that_differ_at_both_ends(p: int) -> None:
    flat = NoiseFreeLag(p=p).draw(400, np.random.default_rng(0))
    assert flat.every_step
    assert flat.lengths.tolist() == [p] * 400
    x, y = (spelled(p, outer, list(range(p - 1))) for outer in (p - 1, p))
    pairs = list(zip(flat.inputs.reshape(-1, p).tolist(), flat.targets.reshape(-1, p).tolist(), strict=True))
    assert all(pair in (x, y) for pair in pairs)
    assert abs(pairs.count(x) - 200) < 5 * 10


def test_2b_has_a_random_middle_over_all_of_its_alphabet() -> None:
    p, n = 100, 400
    flat = NoRegularityLag().draw(n, np.random.default_rng(0))
    inputs, targets = flat.inputs.reshape(n, p), flat.targets.reshape(n, p)
    for row, answers in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert row[0] in (p - 1, p)
        assert (row, answers) == spelled(p, row[0], row[1:])
    assert abs((inputs[:, 0] == p).sum() - n / 2) < 5 * 10
    counts = np.bincount(inputs[:, 1:].ravel(), minlength=p + 1)
    expected = n * (p - 1) / (p - 1)
    assert (np.abs(counts[: p - 1] - expected) < 5 * expected**0.5).all()
    assert counts[p - 1 :].tolist() == [0, 0]


def test_2b_may_ask_at_the_end_alone() -> None:
    every, end = (NoRegularityLag(p=7, error_signals=signals) for signals in ("every", "end"))
    one, other = every.draw(20, np.random.default_rng(0)), end.draw(20, np.random.default_rng(0))
    assert (one.every_step, other.every_step) == (True, False)
    np.testing.assert_array_equal(one.inputs, other.inputs)
    np.testing.assert_array_equal(one.targets[one.ends], other.targets)


@pytest.mark.parametrize(("q", "p"), [(50, 50), (100, 20), (0, 3)])
def test_2c_begins_with_b_and_x_or_y_and_ends_with_the_only_e(q: int, p: int) -> None:
    n = 2000
    flat = DistractorLag(q=q, p=p).draw(n, np.random.default_rng(0))
    e, b, x, y = p, p + 1, p + 2, p + 3
    assert not flat.every_step
    counts = np.zeros(p, dtype=int)
    for start, end, target in zip(flat.starts, flat.ends, flat.targets, strict=True):
        first, second, *distractors, last = flat.inputs[start : end + 1].tolist()
        assert (first, second, last) == (b, (x, y)[target], e)
        assert len(distractors) >= q
        assert all(symbol < p for symbol in distractors)
        counts += np.bincount(distractors, minlength=p)
    assert abs(flat.targets.sum() - n / 2) < 5 * (n / 4) ** 0.5
    # The whole sequence has the symbol to be predicted too: least q + 4, on average 4 + q + 9 (variance 0.9 / 0.01).
    whole = flat.lengths + 1
    assert whole.min() == q + 4
    assert abs(whole.mean() - (q + 13)) < 5 * (90 / n) ** 0.5
    for k in range(5):
        share = 0.1 * 0.9**k
        assert abs((whole == q + 4 + k).sum() - n * share) < 5 * (n * share) ** 0.5
    expected = counts.sum() / p
    assert (np.abs(counts - expected) < 5 * expected**0.5).all()
