"""The levels of the quantiles that the network answers with, and quantiles at any other level."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "MIDDLE", "between_levels"]

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
"""The quantiles that the network answers with; the median is in the middle."""
MIDDLE = len(LEVELS) // 2

_SCORES = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def between_levels(levels: Sequence[float]) -> NDArray[np.float64]:
    """Shares (Q, L) by which quantiles at ``LEVELS`` (..., Q) make those at other levels: ``quantiles @ shares``.

    Between two levels a quantile follows a straight line along the score of the normal distribution; beyond the
    outermost two the lines go on.
    """
    shares = np.zeros((len(LEVELS), len(levels)))
    for column, level in enumerate(levels):
        if level in LEVELS:
            shares[LEVELS.index(level), column] = 1.0
            continue
        score = NormalDist().inv_cdf(level)
        low = int(np.clip(np.searchsorted(_SCORES, score) - 1, 0, len(LEVELS) - 2))
        above = (score - _SCORES[low]) / (_SCORES[low + 1] - _SCORES[low])
        shares[low, column], shares[low + 1, column] = 1.0 - above, above
    return shares
