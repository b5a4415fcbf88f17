"""Intervals that hold as often as they say: the networks' quantiles, widened by how far past forecasts were off."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUANTILES", "normal_scores", "quantile_at", "widening"]

Array = NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The levels that the networks answer with; the median is in the middle."""

_SCORES = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
_MIDDLE = len(QUANTILES) // 2
_TRUST = 6.0  # past forecasts that the networks' own word is worth
_NORMAL = 30.0  # past forecasts that the shape of a normal distribution is worth
_NORMAL_MEAN = float(np.sqrt(2 / np.pi))  # of the size of a standard normal error
_BOTH_SIDES = 200
_NARROWEST = 1e-3  # of a distance between quantiles in the unit: what is no more was never uncertain


def quantile_at(quantiles: Array, score: float | Array) -> Array:
    """The quantile (...) at a standard normal score, from those at ``QUANTILES`` (..., Q) by straight lines.

    Beyond the outermost ones the lines go on.
    """
    return _along(_increasing(quantiles), np.broadcast_to(np.asarray(score, dtype=np.float64), quantiles.shape[:-1]))


def normal_scores(truth: Array, quantiles: Array) -> Array:
    """The inverse: the standard normal score (...) at which the quantiles (..., Q) reach the truth (...)."""
    knots = _increasing(quantiles)
    place = np.clip((truth[..., None] >= knots[..., 1:-1]).sum(-1), 0, len(QUANTILES) - 2)
    low = np.take_along_axis(knots, place[..., None], -1)[..., 0]
    high = np.take_along_axis(knots, place[..., None] + 1, -1)[..., 0]
    scores: Array = _SCORES[place] + (truth - low) / (high - low) * (_SCORES[place + 1] - _SCORES[place])
    return scores


def widening(scores: Array, level: float) -> tuple[Array, Array]:
    """The normal scores (H,), (H,) between which a share ``level`` of the truths has been, per step ahead.

    Conformal prediction (Vovk et al. 2005; per step ahead as in Stankeviciute et al. 2021) with scores as the measure
    of nonconformity: their quantile of rank ``(n + 1) level`` on rolling origins; neighbouring steps count together.
    Of few scores that quantile is nearly the largest, so it leans on that of normal errors of the same mean size, and
    both on the networks' own word::

        own (q c + (1 - q) min(z m, largest)) + (1 - own) z,    q = n / (n + 30),    own = n / (n + 6)

    with the conformal quantile c, the normal score z of the level, and the mean size m of the scores, 1 for a standard
    normal error.

    Parameters
    ----------
    scores : (N, H)
        Of past forecasts, NaN where there was no truth.
    """
    nominal = NormalDist().inv_cdf(0.5 + level / 2)
    horizon = scores.shape[1]
    low, high = np.full(horizon, -nominal), np.full(horizon, nominal)
    for step in range(horizon):
        reach = max(1, horizon // 8) if horizon > 1 else 0
        near = scores[:, max(0, step - reach) : step + reach + 1]
        counts = np.isfinite(near).sum(axis=0)
        near = near[np.isfinite(near)]
        independent = float(counts.max()) if counts.size else 0.0
        if not independent:
            continue
        own, empirical = independent / (independent + _TRUST), independent / (independent + _NORMAL)
        sizes = np.abs(near)
        normal = min(nominal * float(sizes.mean()) / _NORMAL_MEAN, float(sizes.max()))
        rank = min(1.0, (1.0 + 1.0 / independent) * level)
        both = float(np.quantile(sizes, rank))
        # Only many forecasts tell the two sides apart.
        sides = np.quantile(near, [0.5 - rank / 2, 0.5 + rank / 2]) if independent >= _BOTH_SIDES else [-both, both]
        ends = empirical * np.asarray(sides) + (1 - empirical) * np.array([-normal, normal])
        low[step], high[step] = own * ends + (1 - own) * np.array([-nominal, nominal])
    return np.minimum(low, -1e-6), np.maximum(high, 1e-6)


def _increasing(quantiles: Array) -> Array:
    """Quantiles in order, and apart."""
    steps = np.maximum(np.diff(np.sort(quantiles, axis=-1), axis=-1), _NARROWEST)
    middle = np.sort(quantiles, axis=-1)[..., _MIDDLE, None]
    below = middle - np.cumsum(steps[..., :_MIDDLE][..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([below, middle, middle + np.cumsum(steps[..., _MIDDLE:], axis=-1)], axis=-1)


def _along(knots: Array, score: Array) -> Array:
    place = np.clip(np.searchsorted(_SCORES[1:-1], score, side="right"), 0, len(QUANTILES) - 2)
    low = np.take_along_axis(knots, place[..., None], -1)[..., 0]
    high = np.take_along_axis(knots, place[..., None] + 1, -1)[..., 0]
    values: Array = low + (score - _SCORES[place]) / (_SCORES[place + 1] - _SCORES[place]) * (high - low)
    return values
