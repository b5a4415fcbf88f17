"""What `longlag bench cluster` found, as a document and as files; and whether it is what was asked for."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from longlag.diagnostics.plots import clients_figure
from longlag.io.environment import environment
from longlag.io.files import write_text
from longlag.io.json import write_json
from longlag_lab.benchmarks.clients import SHORTEST
from longlag_lab.benchmarks.cluster import Effort, Findings, Race
from longlag_lab.benchmarks.cluster_costs import Killed, Overhead
from longlag_lab.benchmarks.cluster_text import NAME, markdown
from longlag_lab.benchmarks.machine import describe

__all__ = ["document", "load", "write"]

CHUNK, EFFICIENCY, OVERHEAD, CHUNKS_LOST, DETECTION = 0.020, 0.90, 0.015, 2.0, 1.0
"""What is asked for: seconds of a chunk at least; of the bound; seconds of an iteration with nothing to compute;
chunk times that a killed worker may cost besides its detection; seconds of that."""


def load() -> float:
    """How busy the machine has been in the last minute: processes that had or wanted a processor."""
    return os.getloadavg()[0]


def document(findings: Findings, effort: Effort, *, quick: bool, load: float, seconds: float) -> dict[str, Any]:
    """Everything, as plain JSON. ``load``: before the measurement."""
    main = findings.race
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "load_before": load,
        "effort": asdict(effort) | {"sizes": list(effort.sizes)},
        "steps": SHORTEST,
        "environment": environment(),
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
    """Each bar of the issue with what was measured."""
    assert race.chunk_cost is not None
    found = [
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
        found.append(_bar(name, f"< {1e3 * OVERHEAD:g} ms", measured, met))
    noticed = max(killed.detection)
    return [
        *found,
        _bar(
            "a killed worker: cost of it, with detection",
            f"< {killed.allowed:.1f} chunk times ({CHUNKS_LOST:g} + detection)",
            f"{killed.cost:.2f} chunk times of {1e3 * killed.chunk:.0f} ms",
            killed.cost < killed.allowed,
        ),
        _bar("a killed worker: detection, the slowest", f"< {DETECTION:g} s", f"{noticed:.3f} s", noticed < DETECTION),
    ]


def _bar(what: str, bar: str, measured: str, met: bool | None) -> dict[str, Any]:
    return {"what": what, "bar": bar, "measured": measured, "met": met}


# -- files -------------------------------------------------------------------------------------------------------------


def write(folder: Path, found: dict[str, Any]) -> list[Path]:
    """Write bench_cluster.json, bench_cluster.md and bench_cluster.png, each at every moment old or new."""
    record, text, figure = (folder / f"{NAME}.{ending}" for ending in ("json", "md", "png"))
    write_json(record, found)
    write_text(text, markdown(found))
    races, clients = found["figure"], found["race"]["clients"]
    lines = [
        {
            "label": f"client of {client['speed']:g} of a core",
            "seconds": [median(race["clients"][number]["alone"]) for race in races],
            "together": False,
        }
        for number, client in enumerate(clients)
    ]
    together = [median(race["together"]) for race in races]
    lines.append({"label": "all together", "seconds": together, "together": True})
    clients_figure(figure, [race["cells"] for race in races], lines)
    return [record, text, figure]
