"""What ``longlag bench cpu`` measured: as a document, as rows of a table, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from longlag.io.json import JSON
from longlag_lab.benchmarks.cpu import TOLERANCE, Result, Timing
from longlag_lab.harness.report import header, markdown_table, short
from longlag_lab.harness.timer import Effort

__all__ = ["COLUMNS", "NAME", "document", "machine_line", "markdown", "notes", "rows", "summary", "warnings"]

NAME = "bench_cpu"
BUSY = 0.05
"""The share of waiting that makes a measurement doubtful, and the share of such measurements that makes a report so."""
COLUMNS = ("case", "engine", "ours ms", "peer", "peer ms", "ratio", "bar", "met", "GFLOP/s", "of mm", "of copy")


def document(
    results: Sequence[Result], machine: dict[str, JSON], effort: Effort, *, quick: bool, seconds: float
) -> dict[str, Any]:
    """Return all results as JSON."""
    return {
        **header(quick=quick, seconds=seconds),
        "effort": asdict(effort),
        "tolerance": {str(dtype).removeprefix("torch."): value for dtype, value in TOLERANCE.items()},
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
    return asdict(timing) | {"quartiles": None if timing.quartiles is None else list(timing.quartiles)}


def rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the document's cases as rows under COLUMNS."""
    return [
        [
            case["case"],
            case["engine"],
            _time(case, "ours") if case["correct"] else "WRONG",
            case["peer"]["name"],
            _time(case, "peer"),
            short(case["ratio"]),
            "-" if case["bar"] is None else f"{'≤' if case['ratio_is'].startswith('cost') else '≥'} {case['bar']:g}",
            {True: "yes", False: "NO", None: "-"}[case["reached"]],
            short(case["gflops"]),
            "-" if case["share_of_product_rate"] is None else f"{case['share_of_product_rate']:.1%}",
            "-" if case["share_of_copy_rate"] is None else f"{case['share_of_copy_rate']:.1%}",
        ]
        for case in document["cases"]
    ]


def notes(document: dict[str, Any]) -> list[str]:
    """Return a line for each case with more than the table shows: others that were timed, or why there is no time."""
    lines = []
    for case in document["cases"]:
        remarks = [f"{timing['name']}: {timing['note']}" for timing in (case["ours"], case["peer"]) if timing["note"]]
        for timing in case["others"]:
            if timing["milliseconds"] is None:
                remarks.append(f"{timing['name']}: {timing['note'] or 'not timed'}")
            else:
                times = timing["milliseconds"] / case["ours"]["milliseconds"]
                remarks.append(
                    f"{timing['name']}: {short(timing['milliseconds'])} ms, ours {short(times)} times faster"
                )
        if remarks:
            lines.append(f"{case['case']}: {'; '.join(remarks)}")
    return lines


def summary(document: dict[str, Any]) -> str:
    """Return how many bars were reached, and whether anything was wrong, in one line."""
    reached = [case["reached"] for case in document["cases"] if case["reached"] is not None]
    wrong = sum(not case["correct"] for case in document["cases"])
    return f"{sum(reached)} of {len(reached)} bars reached" + (f"; {wrong} wrong, so not timed" if wrong else "")


def warnings(document: dict[str, Any]) -> list[str]:
    """Return reasons to doubt the times."""
    timings = [case[who] for case in document["cases"] for who in ("ours", "peer")]
    waited = [timing["waited"] for timing in timings if timing["waited"] is not None]
    busy = sum(share > BUSY for share in waited)
    if busy <= len(waited) * BUSY:
        return []
    return [
        f"The machine was busy with something else: {busy} of {len(waited)} measurements on one thread waited for the "
        f"processor more than {BUSY:.0%} of the time, and those on more threads suffered more; measure again."
    ]


def machine_line(document: dict[str, Any]) -> str:
    """Return the machine and its rates in one line."""
    machine = document["machine"]
    rates = "; ".join(
        f"on {threads} thread{'s' * (threads != '1')} torch.mm {short(rate['float32_gflops'])} / "
        f"{short(rate['float64_gflops'])} GFLOP/s (float32 / float64), oneDNN "
        f"{short(rate['float32_onednn_gflops'])} (float32), copy {short(rate['copy_gbytes'])} GB/s"
        for threads, rate in machine["rates"].items()
    )
    kernels = f"our kernels use {machine['instruction_set']}" if machine["instruction_set"] else "without our kernels"
    return f"{machine['cpu']}, {machine['cores']} cores, {kernels}; {rates}"


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    where, effort, tolerance = document["environment"], document["effort"], document["tolerance"]
    lines = [
        f"# Speed on the CPU{' (quick)' * document['quick']}",
        "",
        f"Written by `longlag bench cpu{' --quick' * document['quick']}`, {document['date']}, in "
        f"{document['seconds']:.0f} s. {summary(document)}.",
        "",
        f"{machine_line(document)}.",
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
        *(f"**{line}**\n" for line in warnings(document)),
        *markdown_table(COLUMNS, rows(document), numbers=True),
    ]
    beside = notes(document)
    if beside:
        lines += ["", "Beside these:", "", *(f"- {line}" for line in beside)]
    return "\n".join(lines) + "\n"


def _time(case: dict[str, Any], who: str) -> str:
    """Milliseconds; for a single step microseconds, with their unit."""
    milliseconds = case[who]["milliseconds"]
    if case["work"] != "step" or milliseconds is None:
        return short(milliseconds)
    return f"{short(1000 * milliseconds)} µs"
