"""Quantiles at any level, from those that the network answers with."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from longlag.pretrained.levels import LEVELS, between_levels

NORMAL = NormalDist(5.0, 3.0)
QUANTILES = np.array([NORMAL.inv_cdf(level) for level in LEVELS])


def test_quantiles_of_a_normal_distribution_are_its_own_at_every_level() -> None:
    levels = [1e-6, 0.001, 0.01, 0.03, 0.05, 0.3, 0.5, 0.501, 0.8, 0.97, 0.99, 0.9999]
    assert QUANTILES @ between_levels(levels) == pytest.approx([NORMAL.inv_cdf(level) for level in levels], abs=1e-9)


def test_the_levels_of_the_network_are_answered_as_they_are() -> None:
    odd = np.sort(np.random.default_rng(0).normal(size=(4, 3, len(LEVELS))) * 1e6, axis=-1)
    assert np.array_equal(odd @ between_levels(LEVELS), odd)


def test_quantiles_do_not_cross_whatever_their_distances() -> None:
    odd = np.cumsum(np.random.default_rng(0).exponential(size=(50, len(LEVELS))) ** 4, axis=-1)
    assert (np.diff(odd @ between_levels(np.linspace(1e-4, 1 - 1e-4, 400).tolist()), axis=-1) >= -1e-9).all()


def test_beyond_the_outermost_levels_the_lines_of_the_outermost_two_go_on() -> None:
    odd = np.cumsum(np.random.default_rng(3).exponential(size=len(LEVELS)))
    scores = [NormalDist().inv_cdf(level) for level in LEVELS]
    low, high = odd @ between_levels([0.001, 0.999])
    far = NormalDist().inv_cdf(0.999)
    assert low == pytest.approx(odd[0] + (-far - scores[0]) * (odd[1] - odd[0]) / (scores[1] - scores[0]))
    assert high == pytest.approx(odd[-1] + (far - scores[-1]) * (odd[-1] - odd[-2]) / (scores[-1] - scores[-2]))
