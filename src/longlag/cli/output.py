"""What the command line prints: tables for people, one JSON object for machines."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from longlag.io.files import write_text

__all__ = ["as_read", "csv_lines", "json_line", "print_error", "print_line", "print_table", "write"]


def as_read(data: str, notes: Sequence[str]) -> str:
    """What was found out about a file by itself, in one line."""
    return f"{data} as read: {'; '.join(notes)}"


def print_line(text: str) -> None:
    """A line for people."""
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def print_error(sentence: str) -> None:
    """A sentence on standard error, in one line: a refusal, a warning, or what was found out about a file."""
    print("longlag:", " ".join(sentence.splitlines()), file=sys.stderr)


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


def json_line(document: dict[str, Any]) -> str:
    """One JSON object on one line."""
    return json.dumps(document, allow_nan=False, sort_keys=True) + "\n"


def csv_lines(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A header and rows."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


def write(text: str, out: Path | None = None) -> None:
    """Write to standard output, or to a file: all of the text or none of it."""
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
