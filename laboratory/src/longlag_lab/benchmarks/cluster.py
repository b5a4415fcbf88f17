"""MapReduce with clients of different speed (batch paper, section 5.4.2): what five reach of what they could.

Nothing is timed whose bits are not those of one worker in this process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

import torch

from longlag_lab.benchmarks.clients import Clients, Work, gather, work
from longlag_lab.benchmarks.cluster_costs import Killed, Overhead, killed, overheads

__all__ = ["FULL", "QUICK", "SPEEDS", "Client", "Effort", "Findings", "Race", "measure", "race"]

SPEEDS = (0.5, 0.4, 0.3, 0.2, 0.1)
"""Of a core. Two cores have room for all, and the bound on the speed-up over the fastest is 1.5 / 0.5 = 3."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    samples : of an iteration; cells : memory cells of the network whose efficiency is measured, in chunks of
    ``chunk_seconds`` at least; sizes : memory cells of the figure's networks; rounds, figure_rounds : in each of them
    all run together, then each alone; together : iterations in a row of one measurement; kills : workers killed;
    iterations : with nothing to compute; ray : whether Ray is measured, where it is installed.
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


FULL = Effort()
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
class Client:
    """One of the clients.

    speed : of a core; alone : seconds of each iteration that it computed alone; chunk_alone, chunk_together : seconds
    of the processor that a chunk cost it, alone and beside the others; None for the default cut.
    """

    speed: float
    alone: list[float]
    chunk_alone: float | None = None
    chunk_together: float | None = None


@dataclass(frozen=True)
class Race:
    """Each client alone, and all together, on the same samples.

    together : seconds of an iteration, each over some in a row; equal : of the slowest client with its equal share of
    the samples, which is what all would wait for; chunk : samples, None for the default cut; chunk_cost : its seconds
    on a full core.
    """

    cells: int
    weights: int
    samples: int
    chunk: int | None
    chunk_cost: float | None
    clients: list[Client]
    together: list[float]
    equal: list[float] = field(default_factory=list)

    @property
    def fastest(self) -> float:
        """Seconds of the fastest client alone."""
        return min(median(client.alone) for client in self.clients)

    @property
    def bound(self) -> float:
        """S / s_max of the measured speeds: no way of sharing the samples is so many times faster than the fastest."""
        return sum(self.fastest / median(client.alone) for client in self.clients)

    @property
    def speed_up(self) -> float:
        """How many times faster than the fastest client all are together."""
        return self.fastest / median(self.together)

    @property
    def efficiency(self) -> float:
        """Of the bound."""
        return self.speed_up / self.bound

    @property
    def equal_speed_up(self) -> float | None:
        """What equal shares would reach."""
        return self.fastest / median(self.equal) if self.equal else None


@dataclass(frozen=True)
class Findings:
    """Everything that was measured."""

    race: Race
    figure: list[Race]
    overheads: list[Overhead]
    killed: Killed


def measure(effort: Effort, on_step: Callable[[str], None] = lambda step: None) -> Findings:
    """All findings; ``on_step`` hears of each part before it starts. torch's thread count is afterwards as before.

    Raises
    ------
    LonglagError
        If clients do not compute the bits of ``SerialExecutor``.
    ClusterError
        If workers cannot be started.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        on_step("clients start")
        with Clients(SPEEDS) as clients:
            gather(clients, len(SPEEDS))
            main, cost = work(effort.cells, effort.samples, seed=effort.seed, chunk_seconds=effort.chunk_seconds)
            say = functools.partial(_said, on_step, effort.cells)
            found = race(clients, main, cost, effort.rounds, effort.together, equal=True, on_step=say)
            figure = []
            for cells in effort.sizes:
                shown, _ = work(cells, effort.samples, seed=effort.seed)
                say = functools.partial(_said, on_step, cells)
                figure.append(race(clients, shown, None, effort.figure_rounds, effort.together, on_step=say))
        on_step("iterations with nothing to compute")
        costs = overheads(effort.iterations, ray=effort.ray)
        on_step("a worker is killed")
        return Findings(found, figure, costs, killed(main, effort.kills))
    finally:
        torch.set_num_threads(before)


def _said(on_step: Callable[[str], None], cells: int, step: str) -> None:
    on_step(f"{cells} cells, {step}")


def race(
    clients: Clients,
    work: Work,
    cost: float | None,
    rounds: int,
    together: int,
    *,
    equal: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Race:
    """Rounds of all together, each alone, and the slowest with its equal share, in turn."""
    shared, names = work.shared(clients), list(clients.speeds)
    slowest = min(names, key=lambda name: clients.speeds[name])
    share = _share(work, len(names)) if equal else None
    # Before anything is timed: the bits are checked, and everybody has what is kept between iterations.
    work.seconds(shared, 2)
    alone: dict[str, list[float]] = {name: [] for name in names}
    paces: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
    all_of_them, equals = [], []
    for turn in range(rounds):
        on_step(f"round {turn + 1} of {rounds}")
        gather(clients, len(names))
        all_of_them.append(work.seconds(shared, together))
        for name in names:
            _note(paces[name][1], clients, work, name)
        for name in names:
            gather(clients, len(names))
            with clients.alone(name):
                alone[name].append(work.seconds(shared))
            _note(paces[name][0], clients, work, name)
        if share is not None:
            gather(clients, len(names))
            with clients.alone(slowest):
                equals.append(share.seconds(share.shared(clients)))
    return Race(
        cells=work.objective.network.lstm.hidden_size,
        weights=work.objective.theta.numel(),
        samples=len(work.samples),
        chunk=work.chunk,
        chunk_cost=cost,
        clients=[
            Client(clients.speeds[name], alone[name], *(median(times) if times else None for times in paces[name]))
            for name in names
        ],
        together=all_of_them,
        equal=equals,
    )


def _share(work: Work, clients: int) -> Work:
    """The first of equal shares, with an oracle of its own."""
    samples = work.samples.select(torch.arange(max(1, len(work.samples) // clients)))
    return work.of(samples)


def _note(times: list[float], clients: Clients, work: Work, name: str) -> None:
    """What the client's last chunk cost it of the processor, if the cut is known."""
    if work.chunk is not None:
        dataset = clients.datasets.find(work.samples, work.chunk)
        seconds = dataset.seconds_per_chunk.get((name, "gradient"))
        if seconds is not None:
            times.append(seconds * clients.speeds[name])
