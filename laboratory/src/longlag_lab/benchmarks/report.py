"""What was found, as a document, as rows of a table, and as files."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longlag.errors import InputError
from longlag.io.environment import environment
from longlag.io.files import write_text, writing
from longlag.io.json import JSON, write_json
from longlag_lab.benchmarks.run import TOLERANCE, Effort, Result, Timing

__all__ = [
    "COLUMNS",
    "document",
    "machine_line",
    "markdown",
    "notes",
    "prepare",
    "rows",
    "summary",
    "warnings",
    "write",
]

NAME = "bench_cpu"
BUSY = 0.05
"""The share of waiting that makes a measurement doubtful, and the share of such measurements that makes a report so."""
COLUMNS = ("case", "engine", "ours ms", "peer", "peer ms", "ratio", "bar", "met", "GFLOP/s", "of mm", "of copy")


def document(
    results: Sequence[Result], machine: dict[str, JSON], effort: Effort, *, quick: bool, seconds: float
) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "effort": asdict(effort),
        "tolerance": {str(dtype).removeprefix("torch."): value for dtype, value in TOLERANCE.items()},
        "environment": environment(),
        "machine": machine,
        "cases": [_record(result, machine) for result in results],
    }


def _record(result: Result, machine: dict[str, Any]) -> dict[str, Any]:
    case = result.case
    rates = machine["rates"][str(case.threads)]
    rate = max(rates[name] or 0.0 for name in rates if name.startswith(case.dtype_name))
    return {
        "case": case.title,
        "name": case.name,
        "work": case.work,
        "steps": case.steps,
        "samples": case.samples,
        "inputs": case.inputs,
        "hidden": case.hidden,
        "projection": case.projection,
        "dtype": case.dtype_name,
        "cell": asdict(case.cell),
        "ragged": case.ragged,
        "threads": case.threads,
        "multiply_adds": case.multiply_adds,
        "engine": result.engine,
        "correct": result.correct,
        "ours": _timing(result.ours),
        "peer": _timing(result.peer),
        "others": [_timing(timing) for timing in result.others],
        "ratio": result.ratio,
        "ratio_is": "cost per multiply-add" if case.at_most else "speed-up",
        "bar": case.bar,
        "reached": result.reached,
        "gflops": result.gflops,
        "share_of_product_rate": result.gflops / rate if result.gflops is not None else None,
        "gbytes": result.gbytes,
        "share_of_copy_rate": result.gbytes / rates["copy_gbytes"] if result.gbytes is not None else None,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    found = asdict(timing)
    return found | {"quartiles": None if timing.quartiles is None else list(timing.quartiles)}


def rows(found: dict[str, Any]) -> list[list[str]]:
    """The document's cases as a table with COLUMNS."""
    return [
        [
            case["case"],
            case["engine"],
            _time(case, "ours") if case["correct"] else "WRONG",
            case["peer"]["name"],
            _time(case, "peer"),
            _number(case["ratio"]),
            "-" if case["bar"] is None else f"{'≤' if case['ratio_is'].startswith('cost') else '≥'} {case['bar']:g}",
            {True: "yes", False: "NO", None: "-"}[case["reached"]],
            _number(case["gflops"]),
            "-" if case["share_of_product_rate"] is None else f"{case['share_of_product_rate']:.1%}",
            "-" if case["share_of_copy_rate"] is None else f"{case['share_of_copy_rate']:.1%}",
        ]
        for case in found["cases"]
    ]


def notes(found: dict[str, Any]) -> list[str]:
    """A line for every case with something beside the table: others that were timed, or why there is no time."""
    lines = []
    for case in found["cases"]:
        said = [f"{timing['name']}: {timing['note']}" for timing in (case["ours"], case["peer"]) if timing["note"]]
        for timing in case["others"]:
            if timing["milliseconds"] is None:
                said.append(f"{timing['name']}: {timing['note'] or 'not timed'}")
            else:
                times = timing["milliseconds"] / case["ours"]["milliseconds"]
                said.append(
                    f"{timing['name']}: {_number(timing['milliseconds'])} ms, ours {_number(times)} times faster"
                )
        if said:
            lines.append(f"{case['case']}: {'; '.join(said)}")
    return lines


def summary(found: dict[str, Any]) -> str:
    """One line: bars reached, and whether anything was wrong."""
    judged = [case["reached"] for case in found["cases"] if case["reached"] is not None]
    wrong = sum(not case["correct"] for case in found["cases"])
    return f"{sum(judged)} of {len(judged)} bars reached" + (f"; {wrong} wrong, so not timed" if wrong else "")


def warnings(found: dict[str, Any]) -> list[str]:
    """What makes the times doubtful."""
    timings = [case[who] for case in found["cases"] for who in ("ours", "peer")]
    waited = [timing["waited"] for timing in timings if timing["waited"] is not None]
    busy = sum(share > BUSY for share in waited)
    if busy <= len(waited) * BUSY:
        return []
    return [
        f"The machine was busy with something else: {busy} of {len(waited)} measurements on one thread waited for the "
        f"processor more than {BUSY:.0%} of the time, and those on more threads suffered more; measure again."
    ]


def machine_line(found: dict[str, Any]) -> str:
    """The machine and its rates in one line."""
    machine = found["machine"]
    rates = "; ".join(
        f"on {threads} thread{'s' * (threads != '1')} torch.mm {_number(rate['float32_gflops'])} / "
        f"{_number(rate['float64_gflops'])} GFLOP/s (float32 / float64), oneDNN "
        f"{_number(rate['float32_onednn_gflops'])} (float32), copy {_number(rate['copy_gbytes'])} GB/s"
        for threads, rate in machine["rates"].items()
    )
    kernels = f"our kernels use {machine['instruction_set']}" if machine["instruction_set"] else "without our kernels"
    return f"{machine['cpu']}, {machine['cores']} cores, {kernels}; {rates}"


def markdown(found: dict[str, Any]) -> str:
    """The document for people."""
    where, effort, tolerance = found["environment"], found["effort"], found["tolerance"]
    lines = [
        f"# Speed on the CPU{' (quick)' * found['quick']}",
        "",
        f"Written by `longlag bench cpu{' --quick' * found['quick']}`, {found['date']}, in {found['seconds']:.0f} s. "
        f"{summary(found)}.",
        "",
        f"{machine_line(found)}.",
        f"longlag {where['longlag']} ({where['commit']}), torch {where['torch']}, numpy {where['numpy']}, "
        f"Python {where['python']}, {where['platform']}.",
        "",
        "Training is forward and backward, with an input that takes a gradient. Before anything is timed, outputs and "
        "all gradients of both must equal those of the reference engine in float64, to "
        f"{tolerance['float32']:g} (float32) or {tolerance['float64']:g} (float64) of each tensor's largest entry. "
        f"Times are medians of {effort['least']} to {effort['most']} repeats, taken in turn. Ratio: the peer's time "
        "over ours; beside our default cell, our time per multiply-add over that cell's. GFLOP/s counts matrix "
        'products of real steps; "of mm" is its share of PyTorch\'s best measured product of that type, more than all '
        'of it where our kernels use wider instructions. "of copy" is the share of the copy rate that inputs, outputs, '
        "their errors and the weights alone would need, without what is kept for the way back.",
        "",
        *(f"**{line}**\n" for line in warnings(found)),
        *_table(COLUMNS, rows(found)),
    ]
    beside = notes(found)
    if beside:
        lines += ["", "Beside these:", "", *(f"- {line}" for line in beside)]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *body)]


def _time(case: dict[str, Any], who: str) -> str:
    """Milliseconds; microseconds, by name, for a single step."""
    milliseconds = case[who]["milliseconds"]
    if case["work"] != "step" or milliseconds is None:
        return _number(milliseconds)
    return f"{_number(1000 * milliseconds)} µs"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


# ---- files ----------------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> None:
    """Make the folder, or refuse it, before minutes are spent. InputError: nothing can be written there."""
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; expected a folder for the results")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder} cannot be written to; expected a folder that can")


def write(folder: Path, found: dict[str, Any]) -> list[Path]:
    """Write bench_cpu.json and bench_cpu.md, each the old file or the new one at every moment."""
    record, text = folder / f"{NAME}.json", folder / f"{NAME}.md"
    write_json(record, found)
    write_text(text, markdown(found))
    return [record, text]
