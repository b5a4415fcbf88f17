"""What ``longlag bench gpu`` measured: as a document, as rows of tables, and as Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from longlag.io.json import JSON
from longlag_lab.benchmarks.cases import DEFAULT
from longlag_lab.benchmarks.gpu import EntrantTiming, SweepTiming
from longlag_lab.benchmarks.gpu_cases import TOLERANCE, GpuCase
from longlag_lab.harness.report import header, markdown_table, short

__all__ = ["COLUMNS", "NAME", "SWEEP_COLUMNS", "document", "faster_up_to", "markdown", "rows", "summary", "sweep_rows"]

NAME = "bench_gpu"
COLUMNS = ("case", "who", "ms", "first call s", "times ours", "µs/step", "of the floor", "target", "met")
SWEEP_COLUMNS = ("cells", "GPU ms", "CPU ms", "CPU / GPU")


def document(
    results: Sequence[tuple[GpuCase, list[EntrantTiming]]],
    swept: Sequence[SweepTiming],
    machine: dict[str, JSON],
    *,
    quick: bool,
    seconds: float,
) -> dict[str, Any]:
    """Return all results as JSON."""
    return {
        **header(quick=quick, seconds=seconds),
        "tolerance": dict(TOLERANCE),
        "machine": machine,
        "cases": [_record(case, timings, machine) for case, timings in results],
        "faster_up_to": faster_up_to(results),
        "sweep": [{"hidden": one.case.hidden, "gpu_ms": one.gpu, "cpu_ms": one.cpu} for one in swept],
    }


def faster_up_to(results: Sequence[tuple[GpuCase, list[EntrantTiming]]]) -> dict[str, int]:
    """By type, the largest layer up to which our plain cell trained faster than cuDNN in every case measured.

    For ``ops/triton/crossover.py``, which does not ask how products of float32 are rounded: tf32 counts as float32.
    """
    faster: dict[torch.dtype, dict[int, bool]] = {}
    for gpu_case, timings in results:
        case = gpu_case.case
        times = {one.name: one.milliseconds for one in timings}
        ours, theirs = times.get("longlag"), times.get("nn.LSTM")
        if case.work == "training" and case.cell == DEFAULT and ours is not None and theirs is not None:
            sizes = faster.setdefault(case.dtype, {})
            sizes[case.hidden] = sizes.get(case.hidden, True) and ours < theirs
    return {
        str(dtype).removeprefix("torch."): max(itertools.takewhile(sizes.__getitem__, sorted(sizes)), default=0)
        for dtype, sizes in faster.items()
    }


def _record(gpu_case: GpuCase, timings: Sequence[EntrantTiming], machine: dict[str, Any]) -> dict[str, Any]:
    case = gpu_case.case
    times = {one.name: one.milliseconds for one in timings}
    targets = []
    for target in gpu_case.targets:
        mine, other = times[target.who], times[target.peer]
        ratio = None if mine is None or other is None else mine / other if target.cost else other / mine
        met = ratio is not None and (ratio <= target.ratio if target.cost else ratio >= target.ratio)
        targets.append(asdict(target) | {"found": ratio, "met": met})
    floor = _floor(gpu_case, machine)
    return {
        "case": gpu_case.title,
        "name": case.name,
        "work": case.work,
        "steps": case.steps,
        "samples": case.samples,
        "inputs": case.inputs,
        "hidden": case.hidden,
        "numbers": gpu_case.numbers,
        "cell": asdict(case.cell),
        "floor_ms": floor,
        "entrants": [
            asdict(one)
            | {
                "step_microseconds": None if one.milliseconds is None else 1000 * one.milliseconds / case.steps,
                "share_of_floor": None if one.milliseconds is None else max(floor.values()) / one.milliseconds,
            }
            for one in timings
        ],
        "targets": targets,
    }


def _floor(gpu_case: GpuCase, machine: dict[str, Any]) -> dict[str, float]:
    """Return milliseconds that any entrant needs: for bytes, operations and steps, each at the rate of this device."""
    case = gpu_case.case
    passes = 2 if case.work == "training" else 1
    return {
        "bytes": case.traffic / machine["copy_gbytes"] / 1e6,
        "operations": case.operations / machine["product_gflops"][gpu_case.numbers] / 1e6,
        "steps": passes * case.steps * machine["step_microseconds"] / 1000,
    }


def rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the document's cases as rows under COLUMNS, one row for each entrant."""
    lines = []
    for case in document["cases"]:
        ours = case["entrants"][0]["milliseconds"]
        for number, one in enumerate(case["entrants"]):
            spent = one["milliseconds"]
            mine = [target for target in case["targets"] if target["who"] == one["name"]]
            lines.append(
                [
                    case["case"] if number == 0 else "",
                    one["name"] + (f" ({one['engine']})" if one["engine"] else ""),
                    short(spent) if not one["note"] else one["note"],
                    short(one["first"]),
                    "-" if spent is None or ours is None else short(spent / ours),
                    short(one["step_microseconds"]),
                    "-" if one["share_of_floor"] is None else f"{one['share_of_floor']:.0%}",
                    "; ".join(_target(target) for target in mine) or "-",
                    "; ".join("yes" if target["met"] else "NO" for target in mine) or "-",
                ]
            )
    return lines


def _target(target: dict[str, Any]) -> str:
    ratio = short(target["found"])
    if target["cost"]:
        return f"≤ {target['ratio']:g} x {target['peer']}: {ratio}"
    return f"≥ {target['ratio']:g} x as fast as {target['peer']}: {ratio}"


def sweep_rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the sweep as rows under SWEEP_COLUMNS."""
    return [
        [str(one["hidden"]), short(one["gpu_ms"]), short(one["cpu_ms"]), short(one["cpu_ms"] / one["gpu_ms"])]
        for one in document["sweep"]
    ]


def summary(document: dict[str, Any]) -> str:
    """Return how many targets were met, and whether anything was wrong, in one line."""
    targets = [target["met"] for case in document["cases"] for target in case["targets"]]
    wrong = sum(one["wrong"] for case in document["cases"] for one in case["entrants"])
    return f"{sum(targets)} of {len(targets)} targets met" + (f"; {wrong} wrong, so not timed" if wrong else "")


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    machine, where = document["machine"], document["environment"]
    allowed = ", ".join(f"{value:g} ({name})" for name, value in document["tolerance"].items())
    lines = [
        f"# Speed on the GPU{' (quick)' * document['quick']}",
        "",
        f"Written by `longlag bench gpu{' --quick' * document['quick']}`, {document['date']}, in "
        f"{document['seconds']:.0f} s. {summary(document)}.",
        "",
        f"{machine['device']}, driver {machine['driver']}, CUDA {machine['cuda']}, cuDNN {machine['cudnn']}, Triton "
        f"{machine['triton']}, torch {where['torch']}, longlag {where['longlag']} ({where['commit']}). Copies "
        f"{short(machine['copy_gbytes'])} GB/s; products "
        + ", ".join(f"{short(rate / 1000)} TFLOP/s ({name})" for name, rate in machine["product_gflops"].items())
        + f"; a step of one cell {short(machine['step_microseconds'])} µs.",
        "",
        "Before anything is timed, outputs and all gradients must equal those of the reference in float64, from "
        f"numbers that the type has exactly, to {allowed} of each tensor's largest entry. Medians by the device's "
        "events, three sets of inputs in rotation, entrants in turn. The first call compiles. The floor is the largest "
        "of: bytes that must move over the copy rate, operations over the rate of products, steps times the time of a "
        "step of one cell.",
        "",
        *markdown_table(COLUMNS, rows(document), numbers=True),
        "",
        "Cells up to which our plain cell trains faster than cuDNN in every case above: "
        + (", ".join(f"{cells} ({name})" for name, cells in document["faster_up_to"].items()) or "none measured")
        + ".",
        "",
        "## GPU against CPU",
        "",
        "The batch paper's Figure 4(a): its cell, 100 sequences of 100 steps, forward and backward in float32, by the "
        "host's clock, each device with the engine that \"auto\" takes and all the processor's cores.",
        "",
        *markdown_table(SWEEP_COLUMNS, sweep_rows(document), numbers=True),
    ]
    return "\n".join(lines) + "\n"
