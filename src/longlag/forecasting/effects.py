"""Effects of columns that are known in the future: a linear part that is taken out before all else, and put back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["known_effects"]

Array = NDArray[np.float64]
_ROWS_PER_COLUMN = 3  # fewer rows than so many per column say nothing


def known_effects(seen: Array, columns: Array, season: int) -> Array:
    """Coefficients (K,) of columns (T, K) on a series (T,), NaN where a value is missing.

    Least squares on changes within a season (from step to step, where a column repeats itself each season), which level
    and trend do not disturb, shrunk by ridge regression
    with the strength of Hoerl, Kennard & Baldwin (1975): ``K sigma^2 / |b|^2``, none for an exact relation. Zero where
    there are too few rows, or for a column that does not change.
    """
    count = columns.shape[1]
    none = np.zeros(count)
    if len(seen) <= 2:
        return none
    lag = season if len(seen) > season + _ROWS_PER_COLUMN * (count + 1) else 1
    within, between = columns[lag:] - columns[:-lag], columns[1:] - columns[:-1]
    if ((within == 0).all(axis=0) & ~(between == 0).all(axis=0)).any():
        lag, within = 1, between  # a column with the season of the series says nothing of changes within it
    answers, design = seen[lag:] - seen[:-lag], within
    rows = np.isfinite(answers)
    answers, design = answers[rows], design[rows]
    spread = np.sqrt(np.square(design).mean(axis=0)) if len(design) else none
    varying = spread > 0
    if len(answers) <= _ROWS_PER_COLUMN * (int(varying.sum()) + 1) or not varying.any():
        return none
    unit = design[:, varying] / spread[varying]
    plain = np.linalg.lstsq(unit, answers, rcond=1e-9)[0]
    variance = float(np.square(answers - unit @ plain).sum()) / (len(answers) - len(plain))
    size = float(np.square(plain).sum())
    strength = len(plain) * variance / size if size > 0 else 0.0
    gram = unit.T @ unit + strength * np.eye(len(plain))
    effects = none.copy()
    effects[varying] = np.linalg.lstsq(gram, unit.T @ answers, rcond=1e-12)[0] / spread[varying]
    return effects
