"""Tasks 3a, 3b, 3c: where the class is told, how strong the noise is, what the targets are."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.data.flat import FlatSequences
from longlag.tasks import TwoSequence

SEQUENCES = 2000


def parts(flat: FlatSequences, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The first elements, (n, first), and all that come after them."""
    sequences = np.split(flat.inputs[:, 0], flat.ends[:-1] + 1)
    return np.array([s[:first] for s in sequences]), np.concatenate([s[first:] for s in sequences])


def assert_gaussian(values: np.ndarray, variance: float) -> None:
    """Mean 0, the variance, and the fourth moment of a Gaussian (3 variance^2), within 5 standard errors."""
    scaled = values.ravel().astype(float) / variance**0.5
    n = len(scaled)
    assert abs(scaled.mean()) < 5 * (1 / n) ** 0.5
    assert abs((scaled**2).mean() - 1) < 5 * (2 / n) ** 0.5
    assert abs((scaled**4).mean() - 3) < 5 * (96 / n) ** 0.5


@pytest.mark.parametrize(("T", "N"), [(100, 1), (100, 3), (7, 7)])
def test_3a_tells_the_class_without_noise_and_then_only_noise(T: int, N: int) -> None:
    flat = TwoSequence(T=T, N=N).draw(SEQUENCES, np.random.default_rng(0))
    telling, rest = parts(flat, N)
    assert not flat.every_step
    for elements, target in zip(telling.tolist(), flat.targets[:, 0].tolist(), strict=True):
        assert elements == [1.0 if target == 1.0 else -1.0] * N
        assert target in (0.0, 1.0)
    assert abs(flat.targets.sum() - SEQUENCES / 2) < 5 * (SEQUENCES / 4) ** 0.5
    if len(rest):
        assert_gaussian(rest, 0.2)


@pytest.mark.parametrize(("T", "longest"), [(100, 110), (1000, 1100), (7, 7)])
def test_lengths_are_uniform_between_both_ends_inclusive(T: int, longest: int) -> None:
    lengths = TwoSequence(T=T).draw(SEQUENCES, np.random.default_rng(0)).lengths
    counts = np.bincount(lengths - T, minlength=longest - T + 1)
    assert len(counts) == longest - T + 1
    expected = SEQUENCES / len(counts)
    assert (np.abs(counts - expected) <= 5 * expected**0.5).all()


def test_3b_adds_the_same_noise_to_the_telling_elements() -> None:
    flat = TwoSequence(variant="b", N=3).draw(SEQUENCES, np.random.default_rng(0))
    telling, rest = parts(flat, 3)
    assert_gaussian(telling - (2 * flat.targets - 1), 0.2)
    assert_gaussian(rest, 0.2)


def test_3c_has_noise_on_targets_around_two_and_eight_tenths_and_none_on_the_telling_elements() -> None:
    flat = TwoSequence(variant="c", N=3).draw(SEQUENCES, np.random.default_rng(0))
    telling, rest = parts(flat, 3)
    assert np.isin(telling, (-1.0, 1.0)).all()
    assert (telling == telling[:, :1]).all()
    assert_gaussian(flat.targets[:, 0] - np.where(telling[:, 0] == 1.0, 0.2, 0.8), 0.1)
    assert_gaussian(rest, 0.2)
