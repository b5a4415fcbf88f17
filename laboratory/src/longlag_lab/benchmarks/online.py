"""Speed of learning online: nanoseconds of a trial-step, beside eager PyTorch and beside what the cache allows.

A trial-step is one network reading one element of its sequence and learning from it.
"""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from longlag.cell import CellSpec
from longlag.errors import InputError, LonglagError
from longlag.io.environment import environment
from longlag.io.files import write_text, writing
from longlag.io.json import write_json
from longlag.online.init import initial_weights
from longlag.online.reference import ReferenceNetworks
from longlag.online.streams import Engine, ReadOptions, Stream
from longlag.online.topology import Topology
from longlag.ops import select
from longlag.tasks import Adding, DistractorLag, Task, TemporalOrder, TwoSequence
from longlag_lab.benchmarks.machine import describe, memory_peak

__all__ = ["COLUMNS", "Finding", "measure", "rows", "write"]

COLUMNS = ("what", "ns", "compared with", "their ns", "ratio", "bar", "met")
TRIALS = 16
TOLERANCE = 1e-3
"""Largest difference of weights after 20 sequences in float32, relative to the largest, between kernels and PyTorch."""


@dataclass(frozen=True)
class Finding:
    """A measurement: nanoseconds of a step of one network (median), and what it is held against.

    bar, met : what it should reach: nanoseconds, or a ratio, and whether it does; None where there is none
    """

    what: str
    nanoseconds: float
    peer: str = ""
    peer_nanoseconds: float | None = None
    ratio: float | None = None
    bar: str = ""
    met: bool | None = None


def measure(*, quick: bool = False) -> list[Finding]:
    """All findings, on one thread. Raises LonglagError if the kernels do not learn what PyTorch learns."""
    if select.native is None:
        raise InputError(f"there is nothing to measure: the compiled extension is {select.native_status()}")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        check()
        repeats = 3 if quick else 9
        return [
            *_adding(repeats),
            *_tasks(repeats),
            _alphabet(repeats),
            _one_network(repeats),
            _one_event(repeats),
        ]
    finally:
        torch.set_num_threads(before)


def check() -> None:
    """The kernels and plain PyTorch turn the same sequences into the same weights."""
    topology, task = _adding_topology(), Adding(T=100)
    flat = task.draw(20, np.random.default_rng(1))
    weights = initial_weights(topology, np.random.default_rng(0), 0.1, {})
    stream = Stream(inputs=flat.inputs, lengths=flat.lengths, targets=flat.targets)
    found = []
    for count, engine in ((TRIALS, _networks(topology, TRIALS)), (1, ReferenceNetworks(topology, 1))):
        engine.load(None, {name: value.astype(np.float32) for name, value in weights.items()})
        engine.read([stream] * count, ReadOptions(learning_rate=0.5, every_step=False))
        found.append(engine.dump(count - 1, list(weights)))
    size = max(float(np.abs(value).max()) for value in found[1].values())
    off = max(float(np.abs(found[0][name] - found[1][name]).max()) for name in weights) / size
    if not off < TOLERANCE:
        raise LonglagError(f"nothing was timed: kernels and PyTorch differ by {off:.1e} of the largest weight")


# ---------------------------------------------------------------- rows


def _adding(repeats: int) -> list[Finding]:
    """Section 5.4's problem, data generation included, and the same learner in eager PyTorch, in turn."""
    topology, task = _adding_topology(), Adding(T=100)
    engine, rngs = _networks(topology, TRIALS), [np.random.default_rng(n) for n in range(TRIALS)]
    eager, eager_rng = ReferenceNetworks(topology, 1), np.random.default_rng(0)
    for network in range(TRIALS):
        engine.load(network, initial_weights(topology, rngs[network], 0.1, {}))
    eager.load(
        0, {name: value.astype(np.float32) for name, value in engine.dump(0, list(topology.weight_shapes)).items()}
    )
    ours, theirs = [], []
    for _ in range(repeats + 1):
        ours.append(_learn(engine, task, rngs, 400))
        theirs.append(_learn(eager, task, [eager_rng], 2))
    own, other = median(ours[1:]), median(theirs[1:])
    return [
        Finding("adding T=100, 16 networks, float32, data made", own, bar="20 ns", met=own <= 20.0),
        Finding(
            "the same", own, "one network in eager PyTorch", other, other / own, bar="3000x", met=other / own >= 3000.0
        ),
    ]


def _tasks(repeats: int) -> list[Finding]:
    found = []
    cell = CellSpec.hochreiter1997(cells_per_block=2)
    nets: dict[str, tuple[Task, Topology]] = {
        "adding T=1000": (Adding(T=1000), _adding_topology()),
        "two sequences T=100": (
            TwoSequence(variant="a", T=100, N=3),
            Topology(input_size=1, output_size=1, hidden_size=3, cell=CellSpec.hochreiter1997()),
        ),
        "temporal order 6a": (
            TemporalOrder(relevant=2),
            Topology(input_size=8, output_size=4, hidden_size=4, cell=cell, symbols=True),
        ),
    }
    for name, (task, topology) in nets.items():
        engine, rngs = _filled(topology), [np.random.default_rng(n) for n in range(TRIALS)]
        times = [_learn(engine, task, rngs, 40) for _ in range(repeats + 1)][1:]
        found.append(Finding(f"{name}, 16 networks, float32, data made", median(times)))
    return found


def _alphabet(repeats: int) -> Finding:
    """Symbols: reading costs the same for an alphabet of 50 and of 1000."""
    times = {}
    for p in (50, 1000):
        task = DistractorLag(q=1000, p=p)
        topology = Topology(
            input_size=task.input_size,
            output_size=2,
            hidden_size=2,
            cell=CellSpec.hochreiter1997(),
            symbols=True,
            bias=False,
            output_bias=False,
        )
        engine = _filled(topology)
        flats = [task.draw(10, np.random.default_rng(n)) for n in range(TRIALS)]
        shortest = min(len(flat.inputs) for flat in flats)
        streams = [Stream(inputs=flat.inputs[:shortest]) for flat in flats]
        steps = TRIALS * shortest
        times[p] = median(_timed(functools.partial(engine.read, streams), steps) for _ in range(repeats + 1))
    return Finding("one-hot inputs, p=1000, between targets", times[1000], "p=50", times[50], times[1000] / times[50])


def _one_network(repeats: int) -> Finding:
    """One network of 128 cells, learning at every step, against the bytes it has to move in the cache."""
    topology = Topology(
        input_size=32, output_size=1, hidden_size=128, cell=CellSpec(biases="single"), output_activation="identity"
    )
    rng = np.random.default_rng(0)
    engine = _networks(topology, 1)
    engine.load(0, initial_weights(topology, rng, 0.1, {}))
    steps = 1000
    x = rng.standard_normal((steps, 32), dtype=np.float32)
    stream = Stream(inputs=x, targets=rng.random((steps, 1), dtype=np.float32))
    rows, columns = topology.cell.row_count(128), 32 + topology.cell.source_size(128) + 1
    gates = rows - 128  # rows with traces: i, f, g
    # forward reads all weights; traces are read and written; so are the weights that change
    moved = 4 * columns * (rows + 2 * gates + 2 * rows)
    held = 4 * columns * (rows + gates)
    ours, bound = [], []
    for _ in range(repeats + 1):
        ours.append(_timed(lambda: engine.read([stream], ReadOptions(learning_rate=0.01)), steps))
        bound.append(moved / _rate(held))
    own, other = median(ours[1:]), median(bound[1:])
    return Finding(
        "one network, 128 cells, 32 inputs, learning at each step",
        own,
        f"moving its {moved / 1e6:.2f} MB in the cache",
        other,
        other / own,
        bar="0.3x",
        met=other / own >= 0.3,
    )


def memory_by_length() -> dict[str, Any]:
    """What one network of 128 cells holds, and by how much reading a sequence raises the process's peak."""
    topology = Topology(
        input_size=1, output_size=1, hidden_size=128, cell=CellSpec(biases="single"), output_activation="identity"
    )
    engine = _networks(topology, 1)
    grown: dict[str, int | None] = {}
    for steps in (1_000, 10_000, 100_000):
        stream = Stream(inputs=np.ones((steps, 1), dtype=np.float32), targets=np.ones((1, 1), dtype=np.float32))
        with memory_peak() as peak:
            engine.read([stream], ReadOptions(learning_rate=1e-3, every_step=False))
        grown[str(steps)] = peak[0] if peak else None
    return {"bytes": engine.memory(), "weights": topology.weight_count(), "peak_growth_by_steps": grown}


def _one_event(repeats: int) -> Finding:
    """predict_one and learn_one of a small network, from Python."""
    from longlag.online.learner import OnlineLSTM

    net = OnlineLSTM(4, 1, blocks=8)
    x, y, calls = [0.1, 0.2, 0.3, 0.4], [0.5], 300

    def go() -> None:
        for _ in range(calls):
            net.predict_one(x)
            net.learn_one(x, y)

    return Finding("OnlineLSTM: predict_one and learn_one", median(_timed(go, calls) for _ in range(repeats)))


# ---------------------------------------------------------------- helpers


def _adding_topology() -> Topology:
    return Topology(input_size=2, output_size=1, hidden_size=4, cell=CellSpec.hochreiter1997(cells_per_block=2))


def _networks(topology: Topology, count: int) -> Engine:
    from longlag.online.networks import Networks

    return Networks(topology, count)


def _filled(topology: Topology) -> Engine:
    engine = _networks(topology, TRIALS)
    for network in range(TRIALS):
        engine.load(network, initial_weights(topology, np.random.default_rng(network), 0.1, {}))
    return engine


def _learn(engine: Engine, task: Task, rngs: list[np.random.Generator], sequences: int) -> float:
    """Nanoseconds of a trial-step, the making of the sequences included."""
    began = time.perf_counter()
    flats = [task.draw(sequences, rng) for rng in rngs]
    streams = [Stream(inputs=flat.inputs, lengths=flat.lengths, targets=flat.targets) for flat in flats]
    engine.read(streams, ReadOptions(learning_rate=0.1, every_step=False))
    return (time.perf_counter() - began) * 1e9 / sum(len(flat.inputs) for flat in flats)


def _timed(call: Callable[[], Any], steps: int) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e9 / steps


def _rate(size: int) -> float:
    """Bytes per nanosecond that torch reads and writes when it adds to ``size`` bytes in place."""
    values = torch.zeros(size // 4)
    for _ in range(3):
        values.add_(1.0)
    repeats = max(1, (1 << 27) // size)
    began = time.perf_counter()
    for _ in range(repeats):
        values.add_(1.0)
    return 2.0 * size * repeats / ((time.perf_counter() - began) * 1e9)


# ---------------------------------------------------------------- report


def rows(findings: list[Finding]) -> list[list[Any]]:
    """For ``COLUMNS``."""
    return [
        [
            finding.what,
            f"{finding.nanoseconds:.1f}",
            finding.peer or None,
            None if finding.peer_nanoseconds is None else f"{finding.peer_nanoseconds:.1f}",
            None if finding.ratio is None else f"{finding.ratio:.3g}",
            finding.bar or None,
            None if finding.met is None else "yes" if finding.met else "no",
        ]
        for finding in findings
    ]


def write(folder: Path, findings: list[Finding], *, quick: bool, seconds: float) -> list[Path]:
    """``bench_online.json`` and ``bench_online.md``."""
    json, text = folder / "bench_online.json", folder / "bench_online.md"
    document: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "environment": environment(),
        "machine": describe({1}),
        "memory": memory_by_length(),
        "findings": [asdict(finding) for finding in findings],
    }
    held = document["memory"]
    grown = ", ".join(f"{value} after {int(steps):,}" for steps, value in held["peak_growth_by_steps"].items())
    lines = ["# Learning online: time of a step of one network", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    lines += ["| " + " | ".join("-" if cell is None else str(cell) for cell in row) + " |" for row in rows(findings)]
    lines += ["", f"A network of 128 cells and {held['weights']:,} weights holds {held['bytes']:,} bytes. By how many"]
    lines += [f"bytes reading one sequence raised the peak of the process: {grown} steps."]
    lines += ["", f"Medians, one thread, {document['date']}. `longlag bench online` writes this file.", ""]
    with writing(json):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(json, document)
    write_text(text, "\n".join(lines))
    return [json, text]
