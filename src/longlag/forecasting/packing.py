"""Series and how they are seen as plain arrays, to be saved and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from longlag.forecasting.calibration import Calibration, Measured
from longlag.forecasting.past_forecasts import PastForecasts
from longlag.forecasting.units import Unit
from longlag.forecasting.view import SeriesData, View

__all__ = ["pack_calibration", "pack_series", "pack_views", "unpack_calibration", "unpack_series", "unpack_views"]

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


def pack_calibration(calibration: Calibration) -> dict[str, Array]:
    """Scores (m, H), steps that were learned (N,) and past forecasts (n, ...), without weights and names of methods."""
    past = calibration.past
    numbers = {"past_series": past.series, "past_steps": past.steps, "learned": calibration.learned}
    return {name: values.astype(np.float64) for name, values in numbers.items()} | {
        "scores": calibration.measured.scores,
        "past_truth": past.truth,
        "past_forecasts": past.forecasts,
        "past_quantiles": past.quantiles,
        "past_independent": past.independent,
    }


def unpack_calibration(names: Sequence[str], weights: Mapping[str, float], arrays: Mapping[str, Array]) -> Calibration:
    """The inverse of ``pack_calibration``. ValueError if numbers are not those of series and steps."""
    series, steps, learned = (_whole(name, arrays[name]) for name in ("past_series", "past_steps", "learned"))
    if not (series < len(learned)).all():
        raise ValueError(f"past_series is {series[:5]}; expected numbers of {len(learned)} series")
    if not (arrays["past_independent"] >= 0).all():
        raise ValueError("past_independent is below 0")
    rest = (arrays[f"past_{name}"] for name in ("truth", "forecasts", "quantiles", "independent"))
    past = PastForecasts(names, series, steps, *rest)
    return Calibration(past, Measured(weights, arrays["scores"]), learned)


def _whole(name: str, numbers: Array) -> NDArray[np.int64]:
    whole = numbers.astype(np.int64)
    if not ((whole == numbers) & (whole >= 0)).all():
        raise ValueError(f"{name} is {numbers[:5]}; expected whole numbers of at least 0")
    return whole
