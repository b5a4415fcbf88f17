"""What ``longlag bench online`` measured: as rows of a table, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longlag_lab.benchmarks.machine import describe
from longlag_lab.benchmarks.online import Finding, memory_by_length
from longlag_lab.harness.report import header, markdown_table, write_report

__all__ = ["COLUMNS", "document", "markdown", "rows", "write"]

NAME = "bench_online"
COLUMNS = ("what", "ns", "compared with", "their ns", "ratio", "bar", "met")


def rows(document: dict[str, Any]) -> list[list[Any]]:
    """Return the document's findings as rows under ``COLUMNS``."""
    return [
        [
            finding["what"],
            f"{finding['nanoseconds']:.1f}",
            finding["peer"] or None,
            None if finding["peer_nanoseconds"] is None else f"{finding['peer_nanoseconds']:.1f}",
            None if finding["ratio"] is None else f"{finding['ratio']:.3g}",
            finding["bar"] or None,
            None if finding["met"] is None else "yes" if finding["met"] else "no",
        ]
        for finding in document["findings"]
    ]


def document(findings: Sequence[Finding], *, quick: bool, seconds: float) -> dict[str, Any]:
    """Return all findings as JSON, with what a network holds in memory."""
    return {
        **header(quick=quick, seconds=seconds),
        "machine": describe({1}),
        "memory": memory_by_length(),
        "findings": [asdict(finding) for finding in findings],
    }


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    memory = document["memory"]
    growth = ", ".join(f"{value} after {int(steps):,}" for steps, value in memory["peak_growth_by_steps"].items())
    lines = ["# Learning online: time of a step of one network", ""]
    lines += markdown_table(COLUMNS, rows(document))
    lines += [
        "",
        f"A network of 128 cells and {memory['weights']:,} weights holds {memory['bytes']:,} bytes. By how many",
    ]
    lines += [f"bytes reading one sequence raised the peak of the process: {growth} steps."]
    lines += ["", f"Medians, one thread, {document['date']}. `longlag bench online` writes this file.", ""]
    return "\n".join(lines)


def write(folder: Path, document: dict[str, Any]) -> list[Path]:
    """Write bench_online.json and bench_online.md, each the old file or the new one at every moment."""
    return write_report(folder, NAME, document, markdown(document))
