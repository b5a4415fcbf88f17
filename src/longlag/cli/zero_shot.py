"""longlag forecast of a table: an answer at once, by the weights in the package. PyTorch is not loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.cli.ahead import draw_ahead, rows_ahead
from longlag.cli.inputs import Request, panel_in
from longlag.data import BuiltIn, open_data
from longlag.forecasting.levels import interval_levels
from longlag.pretrained.panels import forecast_panel

__all__ = ["forecast_table"]


def forecast_table(
    request: Request, coverage: float, *, season: Sequence[int] | None = None, figure: Path | None = None
) -> dict[str, Any]:
    """What comes next in the series of a table or built-in set; ``season`` as ``forecast_panel`` has it.

    Returns
    -------
    ``columns`` and ``rows`` (series, time, median and interval); ``notes`` on what was understood by itself; and
    ``data``, ``target``, ``series`` (how many), ``frequency``, ``seasons``, ``horizon``, ``coverage``.
    """
    levels = interval_levels(coverage)
    data = open_data(request.data, form=request.form)
    panel = panel_in(data, request)
    horizon = request.horizon
    if isinstance(data, BuiltIn) and data.target == panel.roles.target[0]:
        horizon = horizon or data.horizon
        season = season or (None if data.season is None else [data.season])
    forecast = forecast_panel(panel, horizon, season, (levels[0], 0.5, levels[1]))
    lower, median, upper = np.moveaxis(forecast.quantiles, -1, 0)
    before, targets = panel.continuation(), panel.roles.target
    name = targets[0] if len(targets) == 1 else "value"
    answers = before.columns(forecast.horizon, {name: median, "lower": lower, "upper": upper})
    columns, rows = rows_ahead(before, [len(values) for values in panel.values], answers)
    if figure is not None:
        draw_ahead(figure, before, panel.values, forecast.all_seasons or [1], forecast.quantiles, coverage)
    return {
        "data": request.data,
        "columns": columns,
        "rows": rows,
        "notes": [*panel.notes, *_without_width(panel.values)],
        "target": targets[0] if len(targets) == 1 else list(targets),
        "series": len(panel),
        "frequency": None if panel.frequency is None or panel.roles.time is None else panel.frequency.name(),
        "seasons": forecast.all_seasons,
        "horizon": forecast.horizon,
        "coverage": coverage,
    }


def _without_width(series: Sequence[NDArray[np.float64]]) -> list[str]:
    """Return a sentence on series that never changed, which say nothing about how they might."""
    still = sum(bool(np.nanmin(values) == np.nanmax(values)) for values in series)
    if not still:
        return []
    who = "the series" if len(series) == 1 else f"{still} of {len(series)} series"
    return [f"{who} never changed, which says nothing about how it might: the interval has no width"]
