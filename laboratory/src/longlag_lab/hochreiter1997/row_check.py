"""Checks a row of results that an earlier run has left, before it is joined with new ones."""

from __future__ import annotations

from typing import Any, get_args

from longlag.errors import InputError
from longlag_lab.harness.checks import mapping, number, text, whole
from longlag_lab.harness.curves import check_band
from longlag_lab.harness.results import Row
from longlag_lab.hochreiter1997.jobs import VariantName
from longlag_lab.hochreiter1997.paper import ROWS

__all__ = ["check_row"]

_NAMES = {row.name for row in ROWS}


def check_row(row: Row) -> None:
    """Raise InputError or KeyError unless the row has what the table and the figure are made of."""
    for name in ("row", "reading", "title", "learner", *(["change"] if "change" in row else [])):
        text(name, row[name])
    if row["row"] not in _NAMES or row["reading"] not in get_args(VariantName):
        raise InputError(f"{row['row']!r}, {row['reading']!r} is no row and reading; expected those of --list")
    whole("solved", row["solved"], 0, whole("trials", row["trials"]))
    whole("cap", row["cap"], 1)
    number("seconds", row["seconds"])
    for name in ("weights", "mean", "min", "max", "paper_solved"):
        if row[name] is not None:
            number(name, row[name])
    if row["paper_value"] is not None:
        whole("paper_value", row["paper_value"], 1)
    if row["test"] is not None:
        for name in ("wrong", "of"):
            number(f"{name!r} in test", mapping("test", row["test"])[name])
    for name, count in mapping("also", row["also"]).items():
        _check_count(name, mapping(name, count))
    if row["curve"] is not None:
        check_band("curve", row["curve"])


def _check_count(name: str, count: dict[str, Any]) -> None:
    number(f"mean of {name!r}", count["mean"])
    whole(f"trials of {name!r}", count["trials"])
    whole(f"paper_value of {name!r}", count["paper_value"])
