"""Learning curves of several trials as one band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["band"]


def band(
    curves: Sequence[Sequence[tuple[float, float]]], points: int = 40, *, log: bool = False
) -> dict[str, list[float]] | None:
    """Median and quartiles over trials at common places. A trial that has ended keeps its last error.

    ``log``: each place is the one before times a factor, from the first above 0 on.
    """
    if not curves:
        return None
    last = max(curve[-1][0] for curve in curves)
    if log:
        places = np.geomspace(min(n for curve in curves for n, _ in curve if n > 0), last, points)
    else:
        places = np.linspace(min(curve[0][0] for curve in curves), last, points)
    values = np.array([np.interp(places, [n for n, _ in curve], [error for _, error in curve]) for curve in curves])
    if not np.isfinite(values).all():
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    lines = {"places": places, "low": low, "middle": middle, "high": high}
    return {name: [float(f"{value:.5g}") for value in line] for name, line in lines.items()}
