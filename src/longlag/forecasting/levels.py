"""The levels of quantiles that somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longlag.checks import is_number
from longlag.errors import InputError

__all__ = ["interval_levels", "quantile_levels"]


def interval_levels(coverage: float) -> tuple[float, float]:
    """The quantiles between which a central interval of this probability lies."""
    if not 0 < coverage < 1:
        raise InputError(f"coverage is {coverage!r}; expected a probability between 0 and 1, as in 0.9")
    return (1 - coverage) / 2, (1 + coverage) / 2


def quantile_levels(levels: Sequence[float]) -> list[float]:
    """Probabilities as a list. InputError if there are none, or one is not between 0 and 1."""
    if not isinstance(levels, (list, tuple, np.ndarray)) or not len(levels):
        raise InputError(f"levels is {levels!r}; expected probabilities between 0 and 1")
    for level in levels:
        if not is_number(level) or not 0 < level < 1:
            raise InputError(f"levels holds {level!r}; expected probabilities between 0 and 1")
    return [float(level) for level in levels]
