"""Where do forecasts without training fail? Series of which the best forecast is known, and hard tables.

``python -m longlag_lab.questions.zero_shot_limits`` writes results/zero_shot_limits.json and .md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data import load_dataset
from longlag.forecasting.features import filled
from longlag.forecasting.simple import SIMPLE
from longlag.io.environment import environment
from longlag.io.json import decode_json
from longlag.pretrained.weights import FOLDER
from longlag.pretrained.zero_shot import zero_shot
from longlag_lab.benchmarks.forecast_tables import TableSeries, tables
from longlag_lab.harness.report import markdown_table, short
from longlag_lab.questions import write_answer
from longlag_lab.questions.made_series import MADE, MadeSeries

__all__ = ["main", "markdown", "measure", "of_made_series", "of_table"]

Array = NDArray[np.float64]

LEVELS = (0.05, 0.5, 0.95)
SERIES, STEPS, HORIZON = 100, 200, 12  # of each kind of made series
OTHERS = ("last value", "seasonal naive", "Theta", "autoregression")


def measure() -> dict[str, Any]:
    """Return the errors of all methods, by kind of series and by table."""
    made = [of_made_series(kind, number) for number, kind in enumerate(MADE)]
    known = [of_table(table) for table in [_sunspots(), *tables()]]
    manifest = decode_json((FOLDER / "manifest.json").read_bytes())
    return {
        "series": SERIES,
        "steps": STEPS,
        "horizon": HORIZON,
        "made": made,
        "tables": known,
        "weights": {"sha256": manifest["sha256"]},
        "environment": environment(),
    }


def of_made_series(kind: MadeSeries, seed: int, series: int = SERIES) -> dict[str, Any]:
    """Return mean absolute errors at ``HORIZON`` steps after ``STEPS`` of them, and how often intervals hold."""
    drawn, best = kind.draw(np.random.default_rng(seed), series, STEPS, HORIZON)
    past, truth = drawn[:, :STEPS], drawn[:, STEPS:]
    quantiles = zero_shot(list(past), HORIZON, kind.seasons, LEVELS)
    forecasts = {"zero-shot": quantiles[..., 1], "best possible": best, "mean": _means(past)}
    forecasts |= {name: _simple(name, list(past), kind.seasons, HORIZON) for name in _others(kind.seasons)}
    return {"name": kind.name, "seasons": list(kind.seasons), **_scores(truth, forecasts, quantiles)}


def of_table(table: TableSeries) -> dict[str, Any]:
    """Return the same at rolling origins of a table; each method knows all values before an origin."""
    origins = [(number, place) for number in range(len(table.series)) for place in table.origins(number)]
    past = [table.series[number][:place] for number, place in origins]
    truth = np.stack([table.series[number][place : place + table.horizon] for number, place in origins])
    seasons = (table.seasons[0], table.seasons[-1])
    quantiles = zero_shot(past, table.horizon, seasons, LEVELS)
    forecasts = {"zero-shot": quantiles[..., 1]}
    forecasts |= {name: _simple(name, past, seasons, table.horizon) for name in _others(seasons)}
    about = {"name": table.name, "source": table.source, "seasons": list(seasons), "horizon": table.horizon}
    return {**about, "origins": len(origins), **_scores(truth, forecasts, quantiles)}


def _sunspots() -> TableSeries:
    data = load_dataset("sunspots")
    assert data.table is not None
    assert data.season is not None
    assert data.horizon is not None
    return TableSeries("sunspots", "built in", (data.season,), data.horizon, [data.table.number("sunspots")])


def _others(seasons: tuple[int, int]) -> list[str]:
    return [name for name in OTHERS if name != "seasonal naive" or seasons[1] > 1]


def _means(past: Array) -> Array:
    return np.repeat(past.mean(axis=1, keepdims=True), HORIZON, axis=1)


def _simple(name: str, past: list[Array], seasons: tuple[int, int], horizon: int) -> Array:
    """Return a simple method's forecasts; the last value where it cannot be computed."""
    forecasts = np.empty((len(past), horizon))
    for row, values in zip(forecasts, past, strict=True):
        complete, _ = filled(values)
        try:
            row[:] = SIMPLE[name].forecast(complete, sorted(set(seasons)), horizon)
        except (ValueError, np.linalg.LinAlgError, ZeroDivisionError):
            row[:] = np.nan
        if not np.isfinite(row).all():
            row[:] = complete[-1]
    return forecasts


def _scores(truth: Array, forecasts: dict[str, Array], quantiles: Array) -> dict[str, Any]:
    known = np.isfinite(truth)
    held = (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])
    errors = {name: float(np.abs(values - truth)[known].mean()) for name, values in forecasts.items()}
    return {"errors": errors, "held": float(held[known].mean())}


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    names = ["zero-shot", "best possible", "mean", *OTHERS]

    def row(entry: dict[str, Any], columns: list[str]) -> list[str]:
        errors = entry["errors"]
        return [entry["name"], *(short(errors.get(name)) for name in columns), f"{entry['held']:.0%}"]

    of_tables = [name for name in names if name not in ("best possible", "mean")]
    where = document["environment"]
    lines = [
        "# Where forecasts without training fail",
        "",
        "Mean absolute errors. Written by `python -m longlag_lab.questions.zero_shot_limits`.",
        "",
        "## Series of which the best forecast is known",
        "",
        f"{document['series']} series of {document['steps']} values each, {document['horizon']} steps ahead. The best "
        'forecast knows what the series is made of, but not the noise to come; "mean" is that of the values.',
        "",
        *markdown_table(
            ["series", *names, "90 % holds"], [row(entry, names) for entry in document["made"]], numbers=True
        ),
        "",
        "## Tables",
        "",
        "From rolling origins in the last quarter of each; every method knows all values before an origin.",
        "",
        *markdown_table(
            ["table", *of_tables, "90 % holds"], [row(entry, of_tables) for entry in document["tables"]], numbers=True
        ),
        "",
        *markdown_table(
            ["table", "source", "seasons", "horizon", "forecasts"],
            [
                [entry["name"], entry["source"], ", ".join(map(str, dict.fromkeys(entry["seasons"]))), entry["horizon"],
                 entry["origins"]]
                for entry in document["tables"]
            ],
        ),
        "",
        f"longlag {where['longlag']}, numpy {where['numpy']}, {where['cpu_capability']}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the files."""
    write_answer("zero_shot_limits", measure(), markdown)


if __name__ == "__main__":
    main()
