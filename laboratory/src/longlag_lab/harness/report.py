"""Reports: Markdown tables, and the pair of files, JSON and Markdown, that every benchmark writes."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from longlag.errors import InputError
from longlag.io.environment import environment
from longlag.io.files import write_text, writing
from longlag.io.json import write_json

__all__ = ["header", "markdown_table", "prepare_folder", "short", "write_report"]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: bool = False) -> list[str]:
    """Return the lines of a table; None is a dash. ``numbers``: all columns but the first are aligned to the right."""
    rule = ["---"] + ["---:" if numbers else "---"] * (len(columns) - 1)
    lines: list[Sequence[object]] = [columns, rule, *rows]
    return [f"| {' | '.join('-' if cell is None else str(cell) for cell in line)} |" for line in lines]


def short(value: float | None) -> str:
    """Return a number to three digits, or all digits before the point; a dash for None."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def header(*, quick: bool, seconds: float) -> dict[str, Any]:
    """Return what a benchmark's document says of the run: when, how long, and in which environment."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "environment": environment(),
    }


def prepare_folder(folder: Path) -> None:
    """Make the folder before minutes are spent. InputError: nothing can be written there."""
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; expected a folder for the results")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder} cannot be written to; expected a folder that can")


def write_report(folder: Path, name: str, document: dict[str, Any], markdown: str) -> list[Path]:
    """Write ``name.json`` and ``name.md``, each the old file or the new one at every moment."""
    json, text = folder / f"{name}.json", folder / f"{name}.md"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(json, document)
    write_text(text, markdown)
    return [json, text]
