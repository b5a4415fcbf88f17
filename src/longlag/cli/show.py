"""What the command line prints: tables for people, one JSON object for machines."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from longlag.training.record import writing

__all__ = ["print_json", "print_table", "say", "write_rows"]


def say(text: str) -> None:
    """A line for people."""
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table for people: the first column is text, the others numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False)
    if not console.is_terminal:  # a pipe or a log has no width to fold the table to
        console = Console(highlight=False, width=120)
    console.print(table)


def print_json(document: dict[str, Any]) -> None:
    """One JSON object on one line."""
    sys.stdout.write(json.dumps(document, allow_nan=False, sort_keys=True) + "\n")


def write_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], out: Path | None) -> None:
    """Rows as CSV, to a file or to standard output."""
    if out is None:
        _write(sys.stdout, columns, rows)
        return
    beside = out.with_name(f".{out.name}.new")
    with writing(out):
        with beside.open("w", newline="", encoding="utf-8") as stream:
            _write(stream, columns, rows)
        beside.replace(out)


def _write(stream: Any, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
