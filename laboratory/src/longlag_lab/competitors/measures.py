"""What recurrent cascade-correlation trains outputs and candidates on, what counts as solved, and the net's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longlag_lab.competitors.self_recurrent import Floats

__all__ = ["all_right", "covariance", "output_errors", "weight_count"]


def output_errors(features: Floats, weights: Floats, goals: Floats, offset: float) -> tuple[Floats, Floats, Floats]:
    """Outputs, differences from the goals, and those times the units' slope plus an offset; each of shape (N, outputs).

    The last is the derivative of half the squared error by the net inputs if the offset is 0; candidates covary with it
    (Fahlman's implementation: "errors").
    """
    outputs = 0.5 * np.tanh(0.5 * (features @ weights))
    differences = outputs - goals
    return outputs, differences, differences * (0.25 + offset - outputs * outputs)


def covariance(values: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Return S of each unit (cascade-correlation paper, eq. 1) and its derivative by the unit's values.

    S is the sum over outputs of the magnitude of the covariance, here over the sum of the squared errors.
    ``values`` has shape (N, units), ``errors`` (N, outputs), S (units,), the derivative (N, units).
    """
    centred = errors - errors.mean(axis=0)
    centred /= np.square(errors).sum()
    covariances = centred.T @ values
    return np.abs(covariances).sum(axis=0), centred @ np.sign(covariances)


def all_right(outputs: Floats, legal: NDArray[np.bool_]) -> bool:
    """Return whether the most active outputs are always the legal ones (1997 paper, section 5.1.3)."""
    weakest_legal = np.where(legal, outputs, np.inf).min(axis=1)
    strongest_other = np.where(legal, -np.inf, outputs).max(axis=1)
    return bool((weakest_legal > strongest_other).all())


def weight_count(symbols: int, hidden: int) -> int:
    """Return the number of weights of the whole net.

    Outputs read bias, inputs and hidden units; a hidden unit reads bias, inputs, the units before it and itself.
    """
    return symbols * (1 + symbols + hidden) + hidden * (1 + symbols) + hidden * (hidden + 1) // 2
