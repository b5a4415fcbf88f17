"""Series and how they are seen as plain arrays, to be saved and read again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.units import Unit
from longlag.forecasting.view import SeriesData, View

__all__ = ["pack_series", "pack_views", "unpack_series", "unpack_views"]

Array = NDArray[np.float64]


def pack_series(data: Sequence[SeriesData]) -> dict[str, Array]:
    """Series one behind the other: lengths (N,), values (S,), known (S, K), past (S, P), static (N, C)."""
    return {
        "lengths": np.array([len(one) for one in data], dtype=np.float64),
        "values": np.concatenate([one.values for one in data]),
        "known": np.concatenate([one.known[: len(one)] for one in data]),
        "past": np.concatenate([one.past for one in data]),
        "static": np.stack([one.static for one in data]),
    }


def unpack_series(lengths: Array, values: Array, known: Array, past: Array, static: Array) -> list[SeriesData]:
    """The inverse of ``pack_series``. ValueError if the lengths are not those of the rows."""
    steps = lengths.astype(np.int64)
    if (steps != lengths).any() or (steps < 1).any() or int(steps.sum()) != len(values):
        raise ValueError(f"lengths of {len(values)} values are {lengths[:5]}; expected whole numbers that sum to it")
    cuts = np.cumsum(steps)[:-1]
    parts = zip(np.split(values, cuts), np.split(known, cuts), np.split(past, cuts), static, strict=True)
    return [SeriesData(*part) for part in parts]


def pack_views(views: Sequence[View]) -> dict[str, Array]:
    """Units (N, 3): logarithm, scale, and whether values are never negative; effects and moments (N, K) and (N, P)."""
    units = [[view.unit.logarithm, view.unit.scale, np.isfinite(view.unit.floor)] for view in views]
    return {"units": np.array(units, dtype=np.float64)} | {
        name: np.stack([getattr(view, name) for view in views])
        for name in ("effects", "known_mean", "known_scale", "past_mean", "past_scale")
    }


def unpack_views(
    units: Array, effects: Array, known_mean: Array, known_scale: Array, past_mean: Array, past_scale: Array
) -> list[View]:
    """The inverse of ``pack_views``. ValueError if a scale is not positive."""
    for scale in (units[:, 1], known_scale, past_scale):
        if not (scale > 0).all():
            raise ValueError("a scale is not positive")
    return [
        View(Unit(bool(unit[0]), float(unit[1]), 0.0 if unit[2] else -np.inf), *rest)
        for unit, *rest in zip(units, effects, known_mean, known_scale, past_mean, past_scale, strict=True)
    ]
