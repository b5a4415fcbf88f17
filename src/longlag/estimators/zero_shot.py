"""Forecasts without a fit: what LSTMForecaster answers by the weights in the package alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag.errors import InputError
from longlag.estimators.panels import is_table, panel_of
from longlag.estimators.series import read_many
from longlag.forecasting.levels import interval_levels, quantile_levels
from longlag.panels.rows import Duplicates, Gaps
from longlag.pretrained.panels import forecast_panel, forecast_series

__all__ = ["ForecastsWithoutFit"]


class ForecastsWithoutFit:
    """Gives a forecaster its ``zero_shot``."""

    @staticmethod
    def zero_shot(
        y: Any,
        horizon: int | None = None,
        *,
        coverage: float | None = None,
        levels: Sequence[float] | None = None,
        season: int | Sequence[int] | None = None,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        duplicates: Duplicates | None = None,
        gaps: Gaps | None = None,
    ) -> Any:
        """Forecast at once, without training: by a network that was taught on synthetic series alone.

        Thousands of series are one batch. Columns beside the series are not read. docs/model-card.md says what the
        network was taught, how good it is, and where it fails.

        Parameters
        ----------
        y : as for ``fit``: a table of series, one series (T,), K side by side (T, K), or a list of (T_i,)
            A missing value is NaN. One value is enough.
        horizon : int or None
            Steps ahead. None: a season, 6 where there is none, at most 48.
        coverage : float or None
            Central intervals that hold each value with this probability, as ``predict_interval`` returns them.
        levels : list of float or None
            Quantiles at these levels instead, as ``predict_quantiles`` returns them. Medians without either, as
            ``predict``.
        season : int, two of int, or None
            Steps after which the series repeat themselves. None: what the dates of a table say, or else one is found.
        target, time, id, duplicates, gaps : as ``longlag.data.Panel.from_table`` has them
            Columns of a table by what they are for; those that are plain are found.

        Raises
        ------
        InputError (a ValueError)
            For a series without a value, infinite, or not numbers, naming the step; for impossible options.
        CheckpointError
            If the weights of the package are missing or damaged.
        """
        asked, labels = _asked(coverage, levels)
        columns = {"target": target, "time": time, "id": id, "duplicates": duplicates, "gaps": gaps}
        if is_table(y):
            panel = panel_of(y, **columns)
            quantiles = forecast_panel(panel, horizon, season, asked).quantiles
            targets = panel.roles.target
            names = [label or (targets[0] if len(targets) == 1 else "value") for label in labels]
            answers = {name: quantiles[..., number] for number, name in enumerate(names)}
            if coverage is not None:  # the median stands first, as people read it
                answers = {names[1]: answers[names[1]]} | answers
            return panel.continuation().frame(quantiles.shape[1], answers)
        for name, value in columns.items():
            if value is not None:
                raise InputError(f"{name} was given, but the series are arrays without columns; expected a table")
        form, data = read_many(y, None)
        quantiles = forecast_series([one.values for one in data], horizon, season, asked).quantiles
        if coverage is not None:
            quantiles = quantiles[..., [0, 2]]
        elif levels is None:
            quantiles = quantiles[..., 0]
        if form == "one":
            return quantiles[0]
        return np.swapaxes(quantiles, 0, 1) if form == "columns" else quantiles


def _asked(coverage: float | None, levels: Sequence[float] | None) -> tuple[list[float], list[str]]:
    """The levels of quantiles, and the columns that they are of a table; "" is the column of the values."""
    if coverage is not None and levels is not None:
        raise InputError("coverage and levels were both given; expected one of them")
    if coverage is not None:
        low, high = interval_levels(coverage)
        return [low, 0.5, high], ["lower", "", "upper"]
    if levels is not None:
        probabilities = quantile_levels(levels)
        return probabilities, [f"{level:g}" for level in probabilities]
    return [0.5], [""]
