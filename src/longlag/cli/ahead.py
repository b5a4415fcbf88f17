"""A forecast as rows with their times, and as pictures: of a fitted model, or of a table that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.panels.continuation import Continuation
from longlag.panels.time_columns import parts_of_times
from longlag.panels.times import written_times

__all__ = ["Rows", "draw_ahead", "rows_ahead"]

Rows = tuple[list[str], list[list[Any]]]
"""Columns by name, and rows."""


def rows_ahead(before: Continuation, lengths: Sequence[int], columns: Mapping[str, NDArray[Any]]) -> Rows:
    """The columns of ``Continuation.columns`` as rows with written times.

    Where there are no times, rows are counted on from the ``lengths`` of the series.
    """
    time = before.roles.time
    cells: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if name not in ("step", time):
            cells[name] = values.tolist()
        elif time is None:
            cells["row"] = (np.repeat(lengths, len(values) // len(lengths)) + values).tolist()
        else:  # the times as they were written, in the columns that the data had
            written = {name: written_times(values, before.frequency, before.time_form)}
            cells |= parts_of_times(values, name) or written
    return list(cells), [list(row) for row in zip(*cells.values(), strict=True)]


def draw_ahead(
    figure: Path,
    before: Continuation,
    values: Sequence[NDArray[np.float64]],
    seasons: Sequence[int],
    bands: NDArray[np.float64],
    coverage: float,
) -> None:
    """Write the picture of a forecast: three series at most, with the seasons before.

    ``values`` are those of each series, ``bands`` (N, H, 3) the lower end, the median and the upper end.
    """
    from longlag.cli.future_pictures import future_pictures  # matplotlib, half a second
    from longlag.diagnostics.plots import forecast_figure

    dated = before.roles.time is not None and before.frequency is not None
    forecast_figure(
        figure,
        future_pictures(before, values, seasons, bands),
        coverage=coverage,
        time_name=str(before.roles.time) if dated else "step",
        value_name=before.roles.target[0] if len(before.roles.target) == 1 else "",
    )
