"""How much of an answer comes from the networks and how much from each simple method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["PRIOR", "weights_of"]

Array = NDArray[np.float64]

PRIOR: Mapping[str, float] = {
    "LSTM": 0.30,
    "Theta": 0.26,
    "smoothing": 0.15,
    "autoregression": 0.12,
    "seasonal naive": 0.04,
    "last value": 0.02,
    "drift": 0.11,
}
"""What the weights are where nothing is known: networks and methods that differ are best averaged (Bates & Granger
1969), those that nobody tunes count little."""

_TRUST = 3.0  # forecasts that the prior is worth, each with an error of the usual size
_LEAST = 0.05  # a method of less weight is left out
_ROUNDS = 400
_NO_ERROR = 1e-9  # of the usual error: what is less counts as so much


def weights_of(truth: Array, forecasts: Mapping[str, Array], independent: float) -> dict[str, float]:
    """Weights on the simplex that make ``log mean |truth - sum_k w_k f_k| + trust / n KL(w || prior)`` small.

    The logarithm, as the likelihood of Laplace's errors of unknown size has it, lets a method that is clearly the best
    win whatever its prior was. Exponentiated gradients (Kivinen & Warmuth 1997) with falling steps; the average of the
    later half is taken.

    Parameters
    ----------
    truth : (N, H)
        NaN where a value is not known.
    forecasts : name -> (N, H)
        Of the methods; names are those of ``PRIOR``.
    independent : float
        How many forecasts tell something of their own, n.

    Returns
    -------
    The weights of the methods that are used; they sum to 1.
    """
    names = list(forecasts)
    prior = _normalised([PRIOR[name] for name in names])
    rows = np.isfinite(truth)
    if rows.any() and len(names) > 1:
        errors = np.stack([forecasts[name][rows] for name in names]) - truth[rows]  # (K, n): sum_k w_k e_k is the error
        size = float(np.abs(errors).mean())
        if size > 0:
            prior = _descend(errors / size, prior, _TRUST / max(independent, 1.0))
    kept = np.where(prior >= min(_LEAST, prior.max()), prior, 0.0)
    return {name: float(weight) for name, weight in zip(names, _normalised(kept), strict=True) if weight > 0}


def _descend(errors: Array, prior: Array, trust: float) -> Array:
    """The better of two descents: from the prior, and from near the best single method, which may be far from it."""

    def objective(weights: Array) -> float:
        size = max(float(np.abs(weights @ errors).mean()), _NO_ERROR)
        return float(np.log(size)) + trust * float((weights * np.log(weights / prior)).sum())

    best = 0.9 * (np.arange(len(prior)) == int(np.argmin(np.abs(errors).mean(axis=1)))) + 0.1 * prior
    return min((_descend_from(start, errors, prior, trust) for start in (prior, best)), key=objective)


def _descend_from(start: Array, errors: Array, prior: Array, trust: float) -> Array:
    weights, total, count = start.copy(), np.zeros_like(prior), errors.shape[1]
    rates = -0.5 / np.sqrt(1.0 + np.arange(_ROUNDS))
    # NumPy's functions below, and not its methods (mean, clip), which take longer than the sums of a few numbers.
    for number in range(_ROUNDS):
        joined = weights @ errors
        size = max(float(np.add.reduce(np.abs(joined)) / count), _NO_ERROR)
        slope = errors @ np.sign(joined) / count / size + trust * np.log(weights / prior)
        weights = weights * np.exp(rates[number] * np.minimum(np.maximum(slope - weights @ slope, -5.0), 5.0))
        weights = np.maximum(weights / np.add.reduce(weights), 1e-9)
        if number >= _ROUNDS // 2:
            total += weights
    mean: Array = total / np.add.reduce(total)
    return mean


def _normalised(weights: Sequence[float] | Array) -> Array:
    values = np.asarray(weights, dtype=np.float64)
    shares: Array = values / values.sum()
    return shares
