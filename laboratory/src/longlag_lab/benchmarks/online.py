"""``longlag bench online``: nanoseconds of a trial-step, beside eager PyTorch and beside the rate of the cache.

In a trial-step one network reads one element of its sequence and learns from it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from longlag.cell import CellSpec
from longlag.errors import InputError, LonglagError
from longlag.online.init import initial_weights
from longlag.online.reference import ReferenceNetworks
from longlag.online.streams import Engine, ReadOptions, Stream
from longlag.online.topology import Topology
from longlag.ops import select
from longlag.tasks import Adding, DistractorLag, Task, TemporalOrder, TwoSequence
from longlag_lab.benchmarks.machine import memory_peak
from longlag_lab.harness.timer import Effort, interleaved, seconds_of, torch_threads

__all__ = ["Finding", "check", "measure", "memory_by_length"]

TRIALS = 16
TOLERANCE = 1e-3
"""Largest difference of weights after 20 sequences in float32, relative to the largest, between kernels and PyTorch."""


@dataclass(frozen=True)
class Finding:
    """A measurement, and what it is held against.

    Parameters
    ----------
    what : str
    nanoseconds : float
        The median time of a step of one network.
    peer : str
        What it is compared with; "": nothing.
    peer_nanoseconds, ratio : float, optional
    bar : str
        The nanoseconds or the ratio that it should reach; "": none was set.
    met : bool, optional
        Whether it reaches the bar.
    """

    what: str
    nanoseconds: float
    peer: str = ""
    peer_nanoseconds: float | None = None
    ratio: float | None = None
    bar: str = ""
    met: bool | None = None


def measure(*, quick: bool = False) -> list[Finding]:
    """Measure everything on one thread. Raises LonglagError if the kernels do not learn what PyTorch learns."""
    if select.native is None:
        raise InputError(f"there is nothing to measure: the compiled extension is {select.native_status()}")
    with torch_threads(1):
        check()
        repeats = 3 if quick else 9
        return [
            *_adding(repeats),
            *_tasks(repeats),
            _alphabet(repeats),
            _one_network(repeats),
            _one_event(repeats),
        ]


def check() -> None:
    """Raise LonglagError unless the kernels and PyTorch turn the same sequences into the same weights."""
    topology, task = _adding_topology(), Adding(T=100)
    flat = task.draw(20, np.random.default_rng(1))
    weights = initial_weights(topology, np.random.default_rng(0), 0.1, {})
    stream = Stream(inputs=flat.inputs, lengths=flat.lengths, targets=flat.targets)
    learned = []
    for count, engine in ((TRIALS, _networks(topology, TRIALS)), (1, ReferenceNetworks(topology, 1))):
        engine.load(None, {name: value.astype(np.float32) for name, value in weights.items()})
        engine.read([stream] * count, ReadOptions(learning_rate=0.5, every_step=False))
        learned.append(engine.dump(count - 1, list(weights)))
    size = max(float(np.abs(value).max()) for value in learned[1].values())
    difference = max(float(np.abs(learned[0][name] - learned[1][name]).max()) for name in weights) / size
    if not difference < TOLERANCE:
        raise LonglagError(f"nothing was timed: kernels and PyTorch differ by {difference:.1e} of the largest weight")


# ---------------------------------------------------------------- rows


def _adding(repeats: int) -> list[Finding]:
    """Measure the problem of section 5.4, its data generated meanwhile, and the same learner in eager PyTorch."""
    topology, task = _adding_topology(), Adding(T=100)
    engine, rngs = _networks(topology, TRIALS), [np.random.default_rng(n) for n in range(TRIALS)]
    eager, eager_rng = ReferenceNetworks(topology, 1), np.random.default_rng(0)
    for network in range(TRIALS):
        engine.load(network, initial_weights(topology, rngs[network], 0.1, {}))
    eager.load(
        0, {name: value.astype(np.float32) for name, value in engine.dump(0, list(topology.weight_shapes)).items()}
    )
    own, other = _medians(
        [lambda: _learn(engine, task, rngs, 400), lambda: _learn(eager, task, [eager_rng], 2)], repeats
    )
    return [
        Finding("adding T=100, 16 networks, float32, data made", own, bar="20 ns", met=own <= 20.0),
        Finding(
            "the same", own, "one network in eager PyTorch", other, other / own, bar="3000x", met=other / own >= 3000.0
        ),
    ]


def _tasks(repeats: int) -> list[Finding]:
    findings = []
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
        nanoseconds = _medians([functools.partial(_learn, engine, task, rngs, 40)], repeats)[0]
        findings.append(Finding(f"{name}, 16 networks, float32, data made", nanoseconds))
    return findings


def _alphabet(repeats: int) -> Finding:
    """Reading symbols, which costs the same for an alphabet of 50 and of 1000."""
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
        times[p] = _medians([_nanoseconds(functools.partial(engine.read, streams), steps)], repeats)[0]
    return Finding("one-hot inputs, p=1000, between targets", times[1000], "p=50", times[50], times[1000] / times[50])


def _one_network(repeats: int) -> Finding:
    """Measure one network of 128 cells that learns at every step, against moving its bytes in the cache."""
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
    own, other = _medians(
        [
            _nanoseconds(lambda: engine.read([stream], ReadOptions(learning_rate=0.01)), steps),
            lambda: moved / _rate(held),
        ],
        repeats,
    )
    return Finding(
        "one network, 128 cells, 32 inputs, learning at each step",
        own,
        f"moving its {moved / 1e6:.2f} MB in the cache",
        other,
        other / own,
        bar="0.3x",
        met=other / own >= 0.3,
    )


def _one_event(repeats: int) -> Finding:
    """Calls of predict_one and learn_one of a small network from Python."""
    from longlag.online.learner import OnlineLSTM

    net = OnlineLSTM(4, 1, blocks=8)
    x, y, calls = [0.1, 0.2, 0.3, 0.4], [0.5], 300

    def go() -> None:
        for _ in range(calls):
            net.predict_one(x)
            net.learn_one(x, y)

    return Finding("OnlineLSTM: predict_one and learn_one", _medians([_nanoseconds(go, calls)], repeats)[0])


def memory_by_length() -> dict[str, Any]:
    """Return the bytes that one network of 128 cells holds, and by how many a sequence raises the process's peak."""
    topology = Topology(
        input_size=1, output_size=1, hidden_size=128, cell=CellSpec(biases="single"), output_activation="identity"
    )
    engine = _networks(topology, 1)
    growth: dict[str, int | None] = {}
    for steps in (1_000, 10_000, 100_000):
        stream = Stream(inputs=np.ones((steps, 1), dtype=np.float32), targets=np.ones((1, 1), dtype=np.float32))
        with memory_peak() as peak:
            engine.read([stream], ReadOptions(learning_rate=1e-3, every_step=False))
        growth[str(steps)] = peak[0] if peak else None
    return {"bytes": engine.memory(), "weights": topology.weight_count(), "peak_growth_by_steps": growth}


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
    """Return the nanoseconds of a trial-step, with the generation of its sequences."""
    began = time.perf_counter()
    flats = [task.draw(sequences, rng) for rng in rngs]
    streams = [Stream(inputs=flat.inputs, lengths=flat.lengths, targets=flat.targets) for flat in flats]
    engine.read(streams, ReadOptions(learning_rate=0.1, every_step=False))
    return (time.perf_counter() - began) * 1e9 / sum(len(flat.inputs) for flat in flats)


def _nanoseconds(call: Callable[[], object], steps: int) -> Callable[[], float]:
    """Return a measurement: the nanoseconds of one of the ``steps`` in a call."""
    seconds = seconds_of(call)
    return lambda: seconds() * 1e9 / steps


def _medians(measurements: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Return the median of each measurement, all taken in turn; the first of each is left out."""
    count = repeats + 1
    return [median(values[1:]) for values in interleaved(measurements, Effort(least=count, most=count))]


def _rate(size: int) -> float:
    """Return the bytes per nanosecond that torch reads and writes when it adds to ``size`` bytes in place."""
    values = torch.zeros(size // 4)
    for _ in range(3):
        values.add_(1.0)
    repeats = max(1, (1 << 27) // size)
    began = time.perf_counter()
    for _ in range(repeats):
        values.add_(1.0)
    return 2.0 * size * repeats / ((time.perf_counter() - began) * 1e9)
