"""Runs cases: first everyone must compute the same, then they are timed in turn."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import NamedTuple

import torch
from torch import Tensor

from longlag_lab.benchmarks import peers
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.peers import Answers, Problem, Runner

__all__ = ["FULL", "QUICK", "TOLERANCE", "Effort", "Result", "Timing", "largest_error", "measure", "measure_all"]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
"""Largest difference from the definition in float64, in units of the largest entry of the tensor."""


@dataclass(frozen=True)
class Effort:
    """Repeats of a case: at least ``least``, then more up to ``most`` while its ``seconds`` last. A repeat of something
    short is as many calls as take ``sample`` seconds, after a third as many untimed ones: what ran before has left
    its own data in the caches."""

    least: int
    most: int
    seconds: float
    sample: float


FULL = Effort(least=5, most=60, seconds=3.0, sample=0.02)
QUICK = Effort(least=3, most=20, seconds=0.4, sample=0.008)


@dataclass(frozen=True)
class Timing:
    """One who took part: milliseconds of a call, or of a step (median, quartiles), or None and a ``note`` saying why.

    error : the largest difference from the definition, see TOLERANCE; None where there is none or it is not finite.
    waited : the share of the time in which the processor did something else; known for one thread alone.
    """

    name: str
    threads: int
    error: float | None = None
    milliseconds: float | None = None
    quartiles: tuple[float, float] | None = None
    repeats: int = 0
    waited: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Result:
    """A case and what was found. ``engine`` is the one of ours that ran."""

    case: Case
    engine: str
    ours: Timing
    peer: Timing
    others: tuple[Timing, ...] = ()

    @property
    def correct(self) -> bool:
        """Ours and the peer compute what the definition says; else nothing was timed."""
        return not (self.ours.note or self.peer.note)

    @property
    def ratio(self) -> float | None:
        """How many times faster than the peer; against our default cell, how many times as dear per multiply-add."""
        ours, peer = self.ours.milliseconds, self.peer.milliseconds
        if ours is None or peer is None:
            return None
        if not self.case.at_most:
            return peer / ours
        return (ours / self.case.multiply_adds) / (peer / self.case.of_default_cell().multiply_adds)

    @property
    def reached(self) -> bool | None:
        """Whether the ratio reaches the bar; None where none was set. What is wrong reaches nothing."""
        if self.case.bar is None:
            return None
        if self.ratio is None:
            return False
        return self.ratio <= self.case.bar if self.case.at_most else self.ratio >= self.case.bar

    @property
    def gflops(self) -> float | None:
        """GFLOP/s of our matrix products; only real steps count."""
        return None if self.ours.milliseconds is None else self.case.operations / self.ours.milliseconds / 1e6

    @property
    def gbytes(self) -> float | None:
        """GB/s of what had to be read and written."""
        return None if self.ours.milliseconds is None else self.case.traffic / self.ours.milliseconds / 1e6


def measure_all(
    cases: Sequence[Case], effort: Effort, on_case: Callable[[int, Case], None] = lambda number, case: None
) -> list[Result]:
    """Every case in turn; ``on_case`` hears of each before it starts. torch's thread count is afterwards as before."""
    found: list[Result] = []
    known: dict[Case, Answers] = {}

    def define(problem: Problem) -> Answers:
        """The definition's answers, worked out once for all cases that share them."""
        same = replace(problem.case, name="", dtype=torch.float64, threads=1, peer="nn.LSTM", others=(), bar=None)
        if same not in known:
            known[same] = peers.truth(problem)
        return known[same]

    with _caller_settings():
        for number, case in enumerate(cases):
            on_case(number, case)
            gc.collect()
            torch.set_num_threads(case.threads)
            found.append(measure(peers.draw(case), effort, define))
    return found


def measure(problem: Problem, effort: Effort, define: Callable[[Problem], Answers] = peers.truth) -> Result:
    """One case; ``define`` says what has to be computed."""
    case, definition = problem.case, define(problem)
    ours, peer = peers.ours(problem, case.dtype, case.threads), peers.peer(problem, case.dtype)
    engine = peers.engine(problem, case.dtype)
    checked = _checked(ours, definition, case.dtype)
    # the default cell beside an option has a definition of its own
    beside = define(peers.draw(peer.case)) if case.at_most else definition
    peer_checked = _checked(peer, beside, case.dtype)
    if checked.note or peer_checked.note:
        return Result(case, engine, checked, peer_checked)
    runners, others = [ours, peer], []
    for name in case.others:
        try:
            runner = peers.other(name, problem, case.dtype)
            other_checked = _checked(runner, definition, case.dtype)
        except Exception as error:  # a compiler or library that we do not know may fail in any way
            reason = (
                str(error) if isinstance(error, peers.Unavailable) else f"does not run here: {type(error).__name__}"
            )
            others.append(Timing(name, case.threads, note=reason))
            continue
        others.append(other_checked)
        if not other_checked.note:
            runners.append(runner)
    times = iter(_interleaved(runners, effort))
    steps = case.steps if case.work == "step" else 1
    timed = [
        timing if timing.note else _with_times(timing, next(times), steps)
        for timing in (checked, peer_checked, *others)
    ]
    return Result(case, engine, timed[0], timed[1], tuple(timed[2:]))


# ---- the same numbers -----------------------------------------------------------------------------------------------


def largest_error(found: Answers, definition: Answers) -> tuple[float, str]:
    """The largest difference in units of the tensor's largest entry, and in which tensor; infinite where one is missing
    or has another form."""
    return max((_difference(found.get(name), expected), name) for name, expected in definition.items())


def _difference(found: Tensor | None, expected: Tensor) -> float:
    if found is None or found.shape != expected.shape:
        return math.inf
    scale = float(expected.abs().max()) or 1.0
    difference = float((found.double() - expected).abs().max()) / scale
    return difference if math.isfinite(difference) else math.inf


def _checked(runner: Runner, definition: Answers, dtype: torch.dtype) -> Timing:
    torch.set_num_threads(runner.threads)
    error, where = largest_error(runner.answers(), definition)
    wrong = f"wrong {where}: {error:.1e} from the definition, at most {TOLERANCE[dtype]:.0e} allowed"
    return Timing(
        runner.name,
        runner.threads,
        error=error if math.isfinite(error) else None,
        note="" if error <= TOLERANCE[dtype] else wrong,
    )


# ---- time -----------------------------------------------------------------------------------------------------------


class _Spent(NamedTuple):
    """Seconds of a call: on the clock, and of the processor."""

    clock: float
    processor: float


def _interleaved(runners: Sequence[Runner], effort: Effort) -> list[list[_Spent]]:
    """What a call takes, repeat by repeat, for each in turn."""
    calls = [max(1, math.ceil(effort.sample / max(_spent(runner, 1, 0).clock, 1e-6))) for runner in runners]
    found: list[list[_Spent]] = [[] for _ in runners]
    end = time.perf_counter() + effort.seconds
    while len(found[0]) < effort.least or (len(found[0]) < effort.most and time.perf_counter() < end):
        for runner, count, times in zip(runners, calls, found, strict=True):
            times.append(_spent(runner, count, count // 3))
    return found


def _spent(runner: Runner, calls: int, untimed: int) -> _Spent:
    """On one call, averaged over a few in a row."""
    if torch.get_num_threads() != runner.threads:
        torch.set_num_threads(runner.threads)
        untimed = max(untimed, 1)  # threads start
    run, repeats = runner.run, range(calls)
    with torch.set_grad_enabled(runner.case.work == "training"):
        for _ in range(untimed):
            run()
        processor, clock = time.process_time(), time.perf_counter()
        for _ in repeats:
            run()
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return _Spent(clock / calls, processor / calls)


def _with_times(timing: Timing, spent: Sequence[_Spent], steps: int) -> Timing:
    times = [one.clock for one in spent]
    lower, median, upper = (1000 * value / steps for value in quantiles(times, n=4, method="inclusive"))
    waited = max(0.0, 1.0 - sum(one.processor for one in spent) / sum(times)) if timing.threads == 1 else None
    return replace(timing, milliseconds=median, quartiles=(lower, upper), repeats=len(spent), waited=waited)


@contextmanager
def _caller_settings() -> Iterator[None]:
    """No garbage collection amid a measurement; that and the thread count are afterwards as before."""
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if collecting:
            gc.enable()
