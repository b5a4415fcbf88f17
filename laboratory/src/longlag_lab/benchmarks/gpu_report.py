"""What ``longlag bench gpu`` found: as a document, as rows of tables, and as files."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from longlag.io.environment import environment
from longlag.io.files import write_text
from longlag.io.json import JSON, write_json
from longlag_lab.benchmarks.cases import DEFAULT
from longlag_lab.benchmarks.gpu import Found, Swept
from longlag_lab.benchmarks.gpu_cases import TOLERANCE, GpuCase

__all__ = ["COLUMNS", "SWEEP_COLUMNS", "document", "faster_up_to", "markdown", "rows", "summary", "sweep_rows", "write"]

NAME = "bench_gpu"
COLUMNS = ("case", "who", "ms", "first call s", "times ours", "µs/step", "of the floor", "target", "met")
SWEEP_COLUMNS = ("cells", "GPU ms", "CPU ms", "CPU / GPU")


def document(
    results: Sequence[tuple[GpuCase, list[Found]]],
    swept: Sequence[Swept],
    machine: dict[str, JSON],
    *,
    quick: bool,
    seconds: float,
) -> dict[str, Any]:
    """Everything, as plain JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "tolerance": dict(TOLERANCE),
        "environment": environment(),
        "machine": machine,
        "cases": [_record(asked, found, machine) for asked, found in results],
        "faster_up_to": faster_up_to(results),
        "sweep": [{"hidden": one.case.hidden, "gpu_ms": one.gpu, "cpu_ms": one.cpu} for one in swept],
    }


def faster_up_to(results: Sequence[tuple[GpuCase, list[Found]]]) -> dict[str, int]:
    """By type, the largest layer up to which our plain cell trained faster than cuDNN in every case measured.

    For ``ops/triton/crossover.py``, which does not ask how products of float32 are rounded: tf32 counts as float32.
    """
    faster: dict[torch.dtype, dict[int, bool]] = {}
    for asked, found in results:
        times = {one.name: one.milliseconds for one in found}
        ours, theirs = times.get("longlag"), times.get("nn.LSTM")
        if asked.case.work == "training" and asked.case.cell == DEFAULT and ours is not None and theirs is not None:
            sizes = faster.setdefault(asked.case.dtype, {})
            sizes[asked.case.hidden] = sizes.get(asked.case.hidden, True) and ours < theirs
    return {
        str(dtype).removeprefix("torch."): max(itertools.takewhile(sizes.__getitem__, sorted(sizes)), default=0)
        for dtype, sizes in faster.items()
    }


def _record(asked: GpuCase, found: Sequence[Found], machine: dict[str, Any]) -> dict[str, Any]:
    times = {one.name: one.milliseconds for one in found}
    targets = []
    for target in asked.targets:
        mine, other = times[target.who], times[target.peer]
        ratio = None if mine is None or other is None else mine / other if target.cost else other / mine
        met = ratio is not None and (ratio <= target.ratio if target.cost else ratio >= target.ratio)
        targets.append(asdict(target) | {"found": ratio, "met": met})
    floor = _floor(asked, machine)
    return {
        "case": asked.title,
        "name": asked.case.name,
        "work": asked.case.work,
        "steps": asked.case.steps,
        "samples": asked.case.samples,
        "inputs": asked.case.inputs,
        "hidden": asked.case.hidden,
        "numbers": asked.numbers,
        "cell": asdict(asked.case.cell),
        "floor_ms": floor,
        "entrants": [
            asdict(one)
            | {
                "step_microseconds": None if one.milliseconds is None else 1000 * one.milliseconds / asked.case.steps,
                "share_of_floor": None if one.milliseconds is None else max(floor.values()) / one.milliseconds,
            }
            for one in found
        ],
        "targets": targets,
    }


def _floor(asked: GpuCase, machine: dict[str, Any]) -> dict[str, float]:
    """Milliseconds below which none of them could be: each alone, as measured on this device."""
    case = asked.case
    passes = 2 if case.work == "training" else 1
    return {
        "bytes": case.traffic / machine["copy_gbytes"] / 1e6,
        "operations": case.operations / machine["product_gflops"][asked.numbers] / 1e6,
        "steps": passes * case.steps * machine["step_microseconds"] / 1000,
    }


def rows(found: dict[str, Any]) -> list[list[str]]:
    """The document's cases as a table with COLUMNS, one row for each entrant."""
    lines = []
    for case in found["cases"]:
        ours = case["entrants"][0]["milliseconds"]
        for number, one in enumerate(case["entrants"]):
            spent = one["milliseconds"]
            mine = [target for target in case["targets"] if target["who"] == one["name"]]
            lines.append(
                [
                    case["case"] if number == 0 else "",
                    one["name"] + (f" ({one['engine']})" if one["engine"] else ""),
                    _number(spent) if not one["note"] else one["note"],
                    _number(one["first"]),
                    "-" if spent is None or ours is None else _number(spent / ours),
                    _number(one["step_microseconds"]),
                    "-" if one["share_of_floor"] is None else f"{one['share_of_floor']:.0%}",
                    "; ".join(_target(target) for target in mine) or "-",
                    "; ".join("yes" if target["met"] else "NO" for target in mine) or "-",
                ]
            )
    return lines


def _target(target: dict[str, Any]) -> str:
    found = _number(target["found"])
    if target["cost"]:
        return f"≤ {target['ratio']:g} x {target['peer']}: {found}"
    return f"≥ {target['ratio']:g} x as fast as {target['peer']}: {found}"


def sweep_rows(found: dict[str, Any]) -> list[list[str]]:
    """The sweep as a table with SWEEP_COLUMNS."""
    return [
        [str(one["hidden"]), _number(one["gpu_ms"]), _number(one["cpu_ms"]), _number(one["cpu_ms"] / one["gpu_ms"])]
        for one in found["sweep"]
    ]


def summary(found: dict[str, Any]) -> str:
    """One line: targets met, and whether anything was wrong."""
    targets = [target["met"] for case in found["cases"] for target in case["targets"]]
    wrong = sum(one["wrong"] for case in found["cases"] for one in case["entrants"])
    return f"{sum(targets)} of {len(targets)} targets met" + (f"; {wrong} wrong, so not timed" if wrong else "")


def markdown(found: dict[str, Any]) -> str:
    """The document for people."""
    machine, where = found["machine"], found["environment"]
    allowed = ", ".join(f"{value:g} ({name})" for name, value in found["tolerance"].items())
    lines = [
        f"# Speed on the GPU{' (quick)' * found['quick']}",
        "",
        f"Written by `longlag bench gpu{' --quick' * found['quick']}`, {found['date']}, in {found['seconds']:.0f} s. "
        f"{summary(found)}.",
        "",
        f"{machine['device']}, driver {machine['driver']}, CUDA {machine['cuda']}, cuDNN {machine['cudnn']}, Triton "
        f"{machine['triton']}, torch {where['torch']}, longlag {where['longlag']} ({where['commit']}). Copies "
        f"{_number(machine['copy_gbytes'])} GB/s; products "
        + ", ".join(f"{_number(rate / 1000)} TFLOP/s ({name})" for name, rate in machine["product_gflops"].items())
        + f"; a step of one cell {_number(machine['step_microseconds'])} µs.",
        "",
        "Before anything is timed, outputs and all gradients must equal those of the reference in float64, from "
        f"numbers that the type has exactly, to {allowed} of each tensor's largest entry. Medians by the device's "
        "events, three sets of inputs in rotation, entrants in turn. The first call compiles. The floor is the largest "
        "of: bytes that must move over the copy rate, operations over the rate of products, steps times the time of a "
        "step of one cell.",
        "",
        *_table(COLUMNS, rows(found)),
        "",
        "Cells up to which our plain cell trains faster than cuDNN in every case above: "
        + (", ".join(f"{cells} ({name})" for name, cells in found["faster_up_to"].items()) or "none measured")
        + ".",
        "",
        "## GPU against CPU",
        "",
        "The batch paper's Figure 4(a): its cell, 100 sequences of 100 steps, forward and backward in float32, by the "
        "host's clock, each device with the engine that \"auto\" takes and all the processor's cores.",
        "",
        *_table(SWEEP_COLUMNS, sweep_rows(found)),
    ]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *body)]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def write(folder: Path, found: dict[str, Any]) -> list[Path]:
    """Write bench_gpu.json and bench_gpu.md, each the old file or the new one at every moment."""
    record, text = folder / f"{NAME}.json", folder / f"{NAME}.md"
    write_json(record, found)
    write_text(text, markdown(found))
    return [record, text]
