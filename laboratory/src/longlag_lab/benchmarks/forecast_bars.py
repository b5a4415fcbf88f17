"""What the forecasts should reach, and whether what ``longlag bench forecast`` measured reaches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag_lab.benchmarks.forecast import OF_TABLES, OURS, ZERO_SHOT
from longlag_lab.benchmarks.forecast_competitions import MEASURES, OF_COMPETITION

__all__ = ["competitions_of", "infinite", "outcome", "verdicts"]

# The bars of the tables: ours to the best simple method, what a 90 % interval holds, and the spread over seeds.
RATIO, HELD, SPREAD = 1.05, (0.80, 0.97), 0.10
HELD_BY_FREQUENCY = (0.85, 0.95)
# The bars of the zero-shot forecasts: intervals overall and by frequency, and the simple methods to be below.
HELD_OVERALL, HELD_ZERO_SHOT = (0.87, 0.93), (0.84, 0.96)
PEERS = ("Theta", "smoothing", "seasonal naive")


def verdicts(document: dict[str, Any]) -> list[str]:
    """Return one line for each bar: whether what was measured reaches it, and where it does not."""
    lines = []
    for competition in competitions_of(document):
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
        lines += _zero_shot_verdicts(competition, groups)
    if document["tables"]:
        outcomes = {table["name"]: outcome(table) for table in document["tables"]}
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


def _zero_shot_verdicts(competition: str, groups: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of the zero-shot forecasts of a competition; none where they were not measured."""
    if any(ZERO_SHOT not in one["methods"] for one in groups):
        return []
    lines = []
    for measure in OF_COMPETITION[competition]:
        for peer in PEERS:
            worse = [
                one["frequency"]
                for one in groups
                if not _below(one["methods"][ZERO_SHOT][measure], one["methods"][peer][measure])
            ]
            title = MEASURES[measure][0]
            lines.append(
                f"{competition}, {ZERO_SHOT}: {title} below that of {peer} of the same run: {_where_not(worse)}"
            )
    outside = [
        one["frequency"]
        for one in groups
        if not _within(
            one["methods"][ZERO_SHOT]["coverage"], *(HELD_OVERALL if one["frequency"] == "all" else HELD_ZERO_SHOT)
        )
    ]
    (low, high), (least, most) = HELD_OVERALL, HELD_ZERO_SHOT
    bar = f"{low:.0%} to {high:.0%} overall, {least:.0%} to {most:.0%} of a frequency"
    return [*lines, f"{competition}, {ZERO_SHOT}: 90 % intervals hold {bar}: {_where_not(outside)}"]


def competitions_of(document: dict[str, Any]) -> list[str]:
    """Return the competitions of a document, in its order."""
    return list(dict.fromkeys(one["competition"] for one in document["competitions"]))


def infinite(document: dict[str, Any]) -> int:
    """Return how many series, or origins of a table, the forecaster left without a finite forecast."""
    of_competitions = [one["methods"][OURS] for one in document["competitions"] if one["frequency"] != "all"]
    of_tables = [run for table in document["tables"] for run in table["runs"]]
    return sum(scores["not_finite"] for scores in (*of_competitions, *of_tables))


def outcome(table: dict[str, Any]) -> dict[str, float | None]:
    """Return means over the seeds, their spread, and the ratio to the best simple method."""
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


def _below(value: float | None, bar: float | None, *, or_equal: bool = False) -> bool:
    return value is not None and bar is not None and (value <= bar if or_equal else value < bar)


def _within(value: float | None, low: float, high: float) -> bool:
    return value is not None and low <= value <= high


def _where_not(names: Sequence[str]) -> str:
    return f"no ({', '.join(names)})" if names else "yes"
