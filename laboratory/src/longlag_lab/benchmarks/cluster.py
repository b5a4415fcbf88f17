"""``longlag bench cluster``: MapReduce with workers of different speed (batch paper, section 5.4.2).

Nothing is timed whose bits are not those of one worker in this process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

import torch

from longlag_lab.benchmarks.cluster_costs import Killed, Overhead, killed, overheads
from longlag_lab.benchmarks.gradient_work import GradientWork, gradient_work
from longlag_lab.benchmarks.workers import ThrottledWorkers, gather
from longlag_lab.harness.timer import torch_threads

__all__ = ["FULL", "QUICK", "SPEEDS", "ClusterEffort", "Findings", "Race", "WorkerTimes", "measure", "race"]

SPEEDS = (0.5, 0.4, 0.3, 0.2, 0.1)
"""The workers' speeds, relative to a core. Two cores have room for all, and the bound on the speed-up over the fastest
is 1.5 / 0.5 = 3."""


@dataclass(frozen=True)
class ClusterEffort:
    """How much is measured.

    Parameters
    ----------
    samples : int
        Samples of an iteration.
    cells : int
        Memory cells of the network whose efficiency is measured.
    chunk_seconds : float
        What a chunk of it costs at least.
    sizes : tuple of int
        Memory cells of the figure's networks.
    rounds, figure_rounds : int
        In each round all run together, then each alone.
    together : int
        Iterations in a row of one measurement.
    kills : int
        How many workers are killed.
    iterations : int
        Iterations with nothing to compute.
    ray : bool
        Measure Ray, if it is installed.
    seed : int
    """

    samples: int = 5000
    cells: int = 200
    chunk_seconds: float = 0.02
    sizes: tuple[int, ...] = (10, 20, 40, 100, 200)
    rounds: int = 5
    figure_rounds: int = 2
    together: int = 4
    kills: int = 7
    iterations: int = 200
    ray: bool = True
    seed: int = 2013


FULL = ClusterEffort()
QUICK = replace(
    FULL,
    samples=2000,
    cells=40,
    chunk_seconds=0.003,
    sizes=(4, 10),
    rounds=1,
    figure_rounds=1,
    together=2,
    kills=1,
    iterations=20,
    ray=False,
)


@dataclass(frozen=True)
class WorkerTimes:
    """What was measured of one worker.

    Parameters
    ----------
    speed : float
        Its speed, relative to a core.
    alone : list of float
        Seconds of each iteration that it computed alone.
    chunk_alone, chunk_together : float, optional
        Processor seconds that a chunk cost it, alone and beside the others; None for the default cut.
    """

    speed: float
    alone: list[float]
    chunk_alone: float | None = None
    chunk_together: float | None = None


@dataclass(frozen=True)
class Race:
    """Each worker alone, and all together, on the same samples.

    Parameters
    ----------
    cells, weights, samples : int
        The size of the network and of the data.
    chunk : int, optional
        Samples of a chunk; None: the default cut.
    chunk_cost : float, optional
        Seconds of a chunk on a full core.
    clients : list of WorkerTimes
        The batch paper calls its workers clients.
    together : list of float
        Seconds of an iteration of all together, each the mean of some in a row.
    equal : list of float
        Seconds of the slowest worker with its equal share of the samples, for which all would wait.
    """

    cells: int
    weights: int
    samples: int
    chunk: int | None
    chunk_cost: float | None
    clients: list[WorkerTimes]
    together: list[float]
    equal: list[float] = field(default_factory=list)

    @property
    def fastest(self) -> float:
        """Seconds of the fastest worker alone."""
        return min(median(worker.alone) for worker in self.clients)

    @property
    def bound(self) -> float:
        """S / s_max of the measured speeds: no way to share the samples is so many times faster than the fastest."""
        return sum(self.fastest / median(worker.alone) for worker in self.clients)

    @property
    def speed_up(self) -> float:
        """How many times faster than the fastest worker all are together."""
        return self.fastest / median(self.together)

    @property
    def efficiency(self) -> float:
        """The speed-up's share of the bound."""
        return self.speed_up / self.bound

    @property
    def equal_speed_up(self) -> float | None:
        """The speed-up that equal shares would reach."""
        return self.fastest / median(self.equal) if self.equal else None


@dataclass(frozen=True)
class Findings:
    """Everything that was measured."""

    race: Race
    figure: list[Race]
    overheads: list[Overhead]
    killed: Killed


def measure(effort: ClusterEffort, on_step: Callable[[str], None] = lambda step: None) -> Findings:
    """Measure everything; ``on_step`` gets each part before it starts. Torch's thread count is afterwards as before.

    Raises
    ------
    LonglagError
        If workers do not compute the bits of ``SerialExecutor``.
    ClusterError
        If workers cannot be started.
    """
    with torch_threads(1):
        on_step("clients start")
        with ThrottledWorkers(SPEEDS) as workers:
            gather(workers, len(SPEEDS))
            main, cost = gradient_work(
                effort.cells, effort.samples, seed=effort.seed, chunk_seconds=effort.chunk_seconds
            )
            say = functools.partial(_say, on_step, effort.cells)
            main_race = race(workers, main, cost, effort.rounds, effort.together, equal=True, on_step=say)
            figure = []
            for cells in effort.sizes:
                work, _ = gradient_work(cells, effort.samples, seed=effort.seed)
                say = functools.partial(_say, on_step, cells)
                figure.append(race(workers, work, None, effort.figure_rounds, effort.together, on_step=say))
        on_step("iterations with nothing to compute")
        costs = overheads(effort.iterations, ray=effort.ray)
        on_step("a worker is killed")
        return Findings(main_race, figure, costs, killed(main, effort.kills))


def _say(on_step: Callable[[str], None], cells: int, step: str) -> None:
    on_step(f"{cells} cells, {step}")


def race(
    workers: ThrottledWorkers,
    work: GradientWork,
    cost: float | None,
    rounds: int,
    together: int,
    *,
    equal: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Race:
    """Time all together, each alone, and the slowest with its equal share, in turn, for some rounds."""
    shared, names = work.shared(workers), list(workers.speeds)
    slowest = min(names, key=lambda name: workers.speeds[name])
    share = _equal_share(work, len(names)) if equal else None
    # Before anything is timed: the bits are checked, and every worker has what is kept between iterations.
    work.seconds(shared, 2)
    alone: dict[str, list[float]] = {name: [] for name in names}
    chunks_alone: dict[str, list[float]] = {name: [] for name in names}
    chunks_together: dict[str, list[float]] = {name: [] for name in names}
    all_together, equals = [], []
    for turn in range(rounds):
        on_step(f"round {turn + 1} of {rounds}")
        gather(workers, len(names))
        all_together.append(work.seconds(shared, together))
        for name in names:
            chunks_together[name] += _chunk_cost(workers, work, name)
        for name in names:
            gather(workers, len(names))
            with workers.only(name):
                alone[name].append(work.seconds(shared))
            chunks_alone[name] += _chunk_cost(workers, work, name)
        if share is not None:
            gather(workers, len(names))
            with workers.only(slowest):
                equals.append(share.seconds(share.shared(workers)))
    return Race(
        cells=work.objective.network.lstm.hidden_size,
        weights=work.objective.theta.numel(),
        samples=len(work.samples),
        chunk=work.chunk,
        chunk_cost=cost,
        clients=[
            WorkerTimes(
                workers.speeds[name],
                alone[name],
                *(median(times) if times else None for times in (chunks_alone[name], chunks_together[name])),
            )
            for name in names
        ],
        together=all_together,
        equal=equals,
    )


def _equal_share(work: GradientWork, workers: int) -> GradientWork:
    """Return the first of equal shares, with an oracle of its own."""
    samples = work.samples.select(torch.arange(max(1, len(work.samples) // workers)))
    return work.of(samples)


def _chunk_cost(workers: ThrottledWorkers, work: GradientWork, name: str) -> list[float]:
    """Return the processor seconds of the worker's last chunk, if the cut is known and it had one."""
    if work.chunk is None:
        return []
    dataset = workers.datasets.find(work.samples, work.chunk)
    seconds = dataset.seconds_per_chunk.get((name, "gradient"))
    return [] if seconds is None else [seconds * workers.speeds[name]]
