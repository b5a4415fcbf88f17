"""What the study found: as a document, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from longlag_lab.benchmarks.machine import cores, cpu_name, instruction_set
from longlag_lab.harness.report import header, markdown_table, short
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.study_trial import Trial
from longlag_lab.pretraining.variants import TABLES, Variant

__all__ = ["NAME", "columns", "document", "markdown", "rows"]

NAME = "pretraining_study"
_REAL = {"M3 all": ("smape", "mase", "coverage"), "Tourism all": ("smape", "mase", "coverage")}
_TITLES = {"smape": "sMAPE", "mase": "MASE", "coverage": "holds"}


def document(
    variants: Sequence[Variant], outcomes: Mapping[PretrainingSettings, Sequence[Trial]], *, seconds: float
) -> dict[str, Any]:
    """Return every trial of every row as JSON."""
    return {
        **header(quick=False, seconds=seconds),
        "machine": {"cpu": cpu_name(), "cores": cores(), "instruction_set": instruction_set()},
        "rows": [
            {
                "table": row.table,
                "name": row.name,
                "settings": row.settings.document(),
                "trials": [trial.plain() for trial in outcomes[row.settings]],
            }
            for row in variants
        ],
    }


def columns(document: dict[str, Any]) -> list[str]:
    """Return the columns of every table."""
    named = ["variant", "weights", "ms an update", "held-out loss", "90 % holds"]
    if _has_real(document):
        named += [f"{name.removesuffix(' all')} {_TITLES[measure]}" for name in _REAL for measure in _REAL[name]]
    return named


def rows(document: dict[str, Any], table: str) -> list[list[str]]:
    """Return a table's rows: means over the seeds, and in brackets the range of the losses."""
    lines = []
    for row in document["rows"]:
        if row["table"] == table:
            trials = row["trials"]
            losses = [trial["loss"] for trial in trials]
            spread = f" ({min(losses):.4f} to {max(losses):.4f})" if len(losses) > 1 else ""
            cells = [
                row["name"],
                f"{trials[0]['weights']:,}",
                short(1e3 * mean(trial["seconds"] / trial["steps"] for trial in trials)),
                f"{mean(losses):.4f}{spread}",
                f"{mean(trial['coverage'] for trial in trials):.1%}",
            ]
            if _has_real(document):
                cells += [_mean_real(trials, name, measure) for name in _REAL for measure in _REAL[name]]
            lines.append(cells)
    return lines


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    lines = ["# Pretraining on synthetic series: size, cell, ingredients and schedule", ""]
    for table, title in TABLES.items():
        body = rows(document, table)
        if body:
            lines += [
                f"## {title[0].upper()}{title[1:]}",
                "",
                *markdown_table(columns(document), body, numbers=True),
                "",
            ]
    trials = document["rows"][0]["trials"]
    settings, where, machine = document["rows"][0]["settings"], document["environment"], document["machine"]
    lines += [
        "## How",
        "",
        f"`longlag pretrain --study` teaches each variant with {len(trials)} seed{'s' * (len(trials) > 1)}; what a "
        "table does not vary is "
        f"{settings['num_layers']} layers of 96 plain cells and a schedule of one length. Held-out loss is the pinball "
        "loss on synthetic series of the whole prior that no training draws, the mean over all frequencies, in the "
        "unit of each step; in brackets its range over the seeds. Milliseconds are of one core's time. M3 and Tourism "
        "are the last horizon of their training parts, at which no training looked; their test parts were not read. "
        "They are of all frequencies together: sMAPE over forecasts, MASE over series, and the share of values in the "
        "90 % interval.",
        "",
        f"{document['date']}; longlag {where['longlag']}, commit {where['commit']}, torch {where['torch']}, numpy "
        f"{where['numpy']}, Python {where['python']}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['instruction_set']}.",
        "",
    ]
    return "\n".join(lines)


def _has_real(document: dict[str, Any]) -> bool:
    return all(trial["real"].keys() >= _REAL.keys() for row in document["rows"] for trial in row["trials"])


def _mean_real(trials: Sequence[dict[str, Any]], name: str, measure: str) -> str:
    value = mean(trial["real"][name][measure] for trial in trials)
    return f"{value:.1%}" if measure == "coverage" else f"{value:.3f}" if measure == "mase" else f"{value:.2f}"
