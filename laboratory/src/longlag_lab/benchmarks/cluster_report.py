"""What ``longlag bench cluster`` measured, as a document and as files, and whether it reaches the bars."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from longlag_lab.benchmarks.cluster import ClusterEffort, Findings, Race
from longlag_lab.benchmarks.cluster_costs import Killed, Overhead
from longlag_lab.benchmarks.cluster_markdown import NAME, markdown
from longlag_lab.benchmarks.gradient_work import SHORTEST
from longlag_lab.benchmarks.machine import describe
from longlag_lab.harness.figures import workers_figure
from longlag_lab.harness.report import header, write_report

__all__ = ["document", "load", "write"]

CHUNK, EFFICIENCY, OVERHEAD, CHUNKS_LOST, DETECTION = 0.020, 0.90, 0.015, 2.0, 1.0
"""The bars: seconds of a chunk at least; the share of the bound; seconds of an iteration with nothing to compute; chunk
times that a killed worker may cost besides its detection; seconds until that."""


def load() -> float:
    """Return the load of the machine in the last minute: processes that had or wanted a processor."""
    return os.getloadavg()[0]


def document(findings: Findings, effort: ClusterEffort, *, quick: bool, load: float, seconds: float) -> dict[str, Any]:
    """Return all results as JSON. ``load`` is the machine's before the measurement."""
    main = findings.race
    return {
        **header(quick=quick, seconds=seconds),
        "load_before": load,
        "effort": asdict(effort) | {"sizes": list(effort.sizes)},
        "steps": SHORTEST,
        "machine": describe({1}),
        "race": _race(main),
        "figure": [_race(race) for race in findings.figure],
        "overheads": [asdict(overhead) for overhead in findings.overheads],
        "killed": asdict(findings.killed)
        | {"cost_in_chunks": findings.killed.cost, "allowed_in_chunks": findings.killed.allowed},
        "bars": _bars(main, findings.overheads, findings.killed),
    }


def _race(race: Race) -> dict[str, Any]:
    return asdict(race) | {
        "bound": race.bound,
        "speed_up": race.speed_up,
        "efficiency": race.efficiency,
        "equal_speed_up": race.equal_speed_up,
    }


def _bars(race: Race, overheads: Sequence[Overhead], killed: Killed) -> list[dict[str, Any]]:
    """Return each bar with what was measured."""
    assert race.chunk_cost is not None
    bars = [
        _bar("the bits of SerialExecutor, in every iteration that was timed", "all", "all", True),
        _bar(
            "chunk on a full core",
            f"≥ {1e3 * CHUNK:g} ms",
            f"{1e3 * race.chunk_cost:.1f} ms",
            race.chunk_cost >= CHUNK,
        ),
        _bar(
            "five clients: efficiency against S / s_max",
            f"≥ {EFFICIENCY:.2f}",
            f"{race.efficiency:.3f}",
            race.efficiency >= EFFICIENCY,
        ),
    ]
    for overhead in overheads:
        name = f"{overhead.executor}, {overhead.workers} workers, {overhead.weights:,} weights: nothing to compute"
        measured = overhead.note if overhead.seconds is None else f"{1e3 * overhead.seconds:.2f} ms"
        met = None if overhead.seconds is None else overhead.seconds < OVERHEAD
        bars.append(_bar(name, f"< {1e3 * OVERHEAD:g} ms", measured, met))
    slowest = max(killed.detection)
    return [
        *bars,
        _bar(
            "a killed worker: cost of it, with detection",
            f"< {killed.allowed:.1f} chunk times ({CHUNKS_LOST:g} + detection)",
            f"{killed.cost:.2f} chunk times of {1e3 * killed.chunk:.0f} ms",
            killed.cost < killed.allowed,
        ),
        _bar("a killed worker: detection, the slowest", f"< {DETECTION:g} s", f"{slowest:.3f} s", slowest < DETECTION),
    ]


def _bar(what: str, bar: str, measured: str, met: bool | None) -> dict[str, Any]:
    return {"what": what, "bar": bar, "measured": measured, "met": met}


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, document: dict[str, Any]) -> list[Path]:
    """Write bench_cluster.json, bench_cluster.md and bench_cluster.png, each the old file or the new one at every
    moment."""
    paths = write_report(folder, NAME, document, markdown(document))
    races, workers = document["figure"], document["race"]["clients"]
    lines = [
        {
            "label": f"client of {worker['speed']:g} of a core",
            "seconds": [median(race["clients"][number]["alone"]) for race in races],
            "together": False,
        }
        for number, worker in enumerate(workers)
    ]
    together = [median(race["together"]) for race in races]
    lines.append({"label": "all together", "seconds": together, "together": True})
    figure = folder / f"{NAME}.png"
    workers_figure(figure, [race["cells"] for race in races], lines)
    return [*paths, figure]
