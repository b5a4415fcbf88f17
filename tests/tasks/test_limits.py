"""Delayed XOR, parity and counting: targets recomputed step by step from the inputs."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.tasks import Counting, DelayedXor, Parity

SEQUENCES = 2000


def assert_fair(targets: np.ndarray) -> None:
    assert set(np.unique(targets)) == {0.0, 1.0}
    assert abs(targets.sum() - len(targets) / 2) < 5 * (len(targets) / 4) ** 0.5


@pytest.mark.parametrize("T", [100, 35, 10])
def test_xor_of_the_two_marked_values_among_noise(T: int) -> None:
    flat = DelayedXor(T=T).draw(SEQUENCES, np.random.default_rng(0))
    noise, seen, places = [], set(), (set(), set())
    for start, end, target in zip(flat.starts, flat.ends, flat.targets[:, 0], strict=True):
        values, markers = flat.inputs[start : end + 1].T
        assert set(np.unique(markers)) == {0.0, 1.0}
        one, other = np.flatnonzero(markers) + 1  # counted from 1
        places[0].add(int(one))
        places[1].add(int(other))
        pair = values[one - 1], values[other - 1]
        assert set(pair) <= {-1.0, 1.0}
        assert target == (pair[0] != pair[1])
        seen.add(pair)
        noise.append(values[markers == 0.0])
    assert places == (set(range(T // 10, T // 5 + 1)), set(range(T // 2, T // 2 + T // 10 + 1)))
    assert len(seen) == 4
    assert_fair(flat.targets)
    values = np.concatenate(noise)
    counts, _ = np.histogram(values, bins=10, range=(-1.0, 1.0))
    assert counts.sum() == len(values)
    assert (np.abs(counts - len(values) / 10) < 5 * (len(values) / 10) ** 0.5).all()
    assert set(flat.lengths) == set(range(T, T + T // 10 + 1))


@pytest.mark.parametrize("T", [500, 1, 6])
def test_parity_of_exactly_so_many_inputs(T: int) -> None:
    flat = Parity(T=T).draw(SEQUENCES, np.random.default_rng(0))
    assert flat.lengths.tolist() == [T] * SEQUENCES
    for start, end, target in zip(flat.starts, flat.ends, flat.targets[:, 0], strict=True):
        odd = False
        for value in flat.inputs[start : end + 1, 0].tolist():
            assert value in (-1.0, 1.0)
            odd ^= value == 1.0
        assert target == odd
    assert_fair(flat.targets)
    assert_fair((flat.inputs + 1) / 2)


@pytest.mark.parametrize(("short", "long"), [(3, 11), (99, 100), (1, 2)])
def test_counting_from_the_signal_to_the_trigger(short: int, long: int) -> None:
    flat = Counting(short=short, long=long).draw(SEQUENCES, np.random.default_rng(0))
    for start, end, target in zip(flat.starts, flat.ends, flat.targets[:, 0], strict=True):
        symbols = flat.inputs[start : end + 1].tolist()
        assert symbols[-1] == 2
        assert symbols.count(1) == symbols.count(2) == 1
        assert len(symbols) - 1 - symbols.index(1) == (long if target else short)
    assert_fair(flat.targets)
    assert flat.lengths.min() >= long + 1
    assert flat.lengths.max() <= 2 * long
    if long < 50:
        assert set(flat.lengths) == set(range(long + 1, 2 * long + 1))
    # The length tells nothing: the same mean for both classes.
    means = [flat.lengths[flat.targets[:, 0] == c].mean() for c in (0.0, 1.0)]
    assert abs(means[0] - means[1]) < 5 * long / 12**0.5 * (4 / SEQUENCES) ** 0.5
