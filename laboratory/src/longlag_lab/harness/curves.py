"""Learning curves: thinned for the store, and those of several trials as one band for figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag.errors import InputError
from longlag_lab.harness.checks import mapping, number

__all__ = ["band", "check_band", "thinned", "thinned_means"]

_LINES = ("places", "low", "middle", "high")


def band(
    curves: Sequence[Sequence[tuple[float, float]]], points: int = 40, *, log: bool = False
) -> dict[str, list[float]] | None:
    """Median and quartiles over trials at common places; None where they are not finite. An ended trial keeps its last
    error.

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
    lines = (places, *np.quantile(values, (0.25, 0.5, 0.75), axis=0))
    return {name: [float(f"{value:.5g}") for value in line] for name, line in zip(_LINES, lines, strict=True)}


def check_band(name: str, curve: Any) -> None:
    """Raise InputError or KeyError unless ``band`` may have made the curve."""
    lines = [mapping(name, curve)[line] for line in _LINES]
    if not all(isinstance(line, list) and len(line) == len(lines[0]) for line in lines):
        raise InputError(f"{name} has no four lists of one length; expected {', '.join(_LINES)}")
    for line in lines:
        for value in line:
            number(f"a value in {name}", value)


def thinned(curve: list[tuple[float, ...]], points: int) -> list[tuple[float, ...]]:
    """Return at most so many points of a curve, the first and the last among them."""
    if len(curve) <= points:
        return curve
    return [curve[place] for place in np.linspace(0, len(curve) - 1, points).round().astype(int)]


def thinned_means(curve: list[tuple[int, float]], points: int) -> list[tuple[int, float]]:
    """At most so many points (place, error) of a curve, each at the last place and the mean error of those it stands
    for."""
    if len(curve) <= points:
        return curve
    parts = np.array_split(np.array(curve), points)
    return [(int(part[-1, 0]), float(part[:, 1].mean())) for part in parts]
