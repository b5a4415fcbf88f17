"""Tables of earlier runs: read, checked, and joined with what a new run has found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from longlag.errors import CheckpointError, InputError
from longlag.io.files import writing
from longlag.io.json import decode_json
from longlag_lab.hochreiter1997.outcome import number, whole
from longlag_lab.hochreiter1997.paper import ROWS
from longlag_lab.hochreiter1997.work import Reading

__all__ = ["joined", "read"]

Found = dict[str, Any]
"""A row under a reading, as JSON: what ``report.record`` makes."""

_CAPS = {row.name: row.cap for row in ROWS}
_KINDS: tuple[str, ...] = get_args(Reading)


def read(path: Path) -> list[Found]:
    """The rows of a file, none if it is not there. CheckpointError says what in it is not as it was written."""
    with writing(path):
        if not path.exists():
            return []
        data = path.read_bytes()
    try:
        document = decode_json(data)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}; expected a table of ours, or no such file") from error
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise CheckpointError(f"{path} has no rows; expected a table of ours, or no such file")
    for place, row in enumerate(rows, 1):
        try:
            _check(row)
        except KeyError as error:
            raise CheckpointError(f"{path}, row {place} has no {error}; expected a table of ours") from error
        except InputError as error:
            raise CheckpointError(f"{path}, row {place} is damaged: {error}") from error
    return rows


def joined(old: Sequence[Found], new: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """All rows in the order of the paper, and those of ``old`` that stay although ``new`` has them too.

    A row gives way to one of at least as many trials; and one run with the paper's cap only to another such.
    """
    rows = {(row["row"], row["reading"]): row for row in old}
    stay = []
    for row in new:
        key = row["row"], row["reading"]
        if key in rows and _rank(row) < _rank(rows[key]):
            stay.append(rows[key])
        else:
            rows[key] = row
    names = list(_CAPS)
    return [rows[key] for key in sorted(rows, key=lambda key: (names.index(key[0]), _KINDS.index(key[1])))], stay


def _rank(row: Found) -> tuple[bool, int]:
    return row["cap"] == _CAPS[row["row"]], row["trials"]


def _check(row: Any) -> None:
    """InputError or KeyError, unless the row has what a table and a figure are made of."""
    if not isinstance(row, dict):
        raise InputError("it is no object; expected one for each row and reading")
    for name in ("row", "reading", "title", "learner", *(["change"] if "change" in row else [])):
        if not isinstance(row[name], str):
            raise InputError(f"{name} is no text; expected some")
    if row["row"] not in _CAPS or row["reading"] not in _KINDS:
        raise InputError(f"{row['row']!r}, {row['reading']!r} is no row and reading; expected those of --list")
    trials = whole("trials", row["trials"])
    whole("solved", row["solved"], 0, trials)
    whole("cap", row["cap"], 1)
    number("seconds", row["seconds"])
    for name in ("weights", "mean", "min", "max", "paper_solved"):
        if row[name] is not None:
            number(name, row[name])
    if row["paper_value"] is not None:
        whole("paper_value", row["paper_value"], 1)
    if row["test"] is not None:
        for name in ("wrong", "of"):
            number(f"{name!r} in test", _mapping("test", row["test"])[name])
    for name, other in _mapping("also", row["also"]).items():
        number(f"mean of {name!r}", _mapping(name, other)["mean"])
        whole(f"trials of {name!r}", other["trials"])
        whole(f"paper_value of {name!r}", other["paper_value"])
    if row["curve"] is not None:
        _check_curve(_mapping("curve", row["curve"]))


def _check_curve(curve: dict[str, Any]) -> None:
    lines = [curve[name] for name in ("places", "low", "middle", "high")]
    if not all(isinstance(line, list) and len(line) == len(lines[0]) for line in lines):
        raise InputError("curve has no four lists of one length; expected places, low, middle and high")
    for line in lines:
        for value in line:
            number("a value in curve", value)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{name} is no object; expected one")
    return value
