"""``longlag bench cpu``: every implementation in a case must compute the same; then they are timed in turn."""

from __future__ import annotations

import functools
import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import NamedTuple

import torch

from longlag.loading import collector_paused
from longlag_lab.benchmarks import implementations
from longlag_lab.benchmarks.agreement import compare
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.problem import Answers, Problem, draw
from longlag_lab.benchmarks.runners import Runner
from longlag_lab.harness.timer import Effort, interleaved, torch_threads

__all__ = ["FULL", "QUICK", "TOLERANCE", "Result", "Timing", "measure", "measure_all"]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
"""Largest difference from the definition in float64, in units of the largest entry of the tensor."""

FULL = Effort(least=5, most=60, seconds=3.0, sample=0.02)
QUICK = Effort(least=3, most=20, seconds=0.4, sample=0.008)


@dataclass(frozen=True)
class Timing:
    """What was measured of one implementation.

    Parameters
    ----------
    name : str
    threads : int
        Torch's threads.
    error : float, optional
        The largest difference from the definition, see TOLERANCE; None if it is not known or not finite.
    milliseconds : float, optional
        The median time of a call, or of a step; None: ``note`` says why there is none.
    quartiles : (float, float), optional
    repeats : int
    waited : float, optional
        The share of the time in which the processor did something else; it is known for one thread alone.
    note : str
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
    """What was measured in a case. ``engine`` is the one of ours that ran."""

    case: Case
    engine: str
    ours: Timing
    peer: Timing
    others: tuple[Timing, ...] = ()

    @property
    def correct(self) -> bool:
        """Whether ours and the peer compute what the definition says. If not, nothing was timed."""
        return not (self.ours.note or self.peer.note)

    @property
    def ratio(self) -> float | None:
        """The peer's time over ours; beside our default cell, our cost per multiply-add over that cell's."""
        ours, peer = self.ours.milliseconds, self.peer.milliseconds
        if ours is None or peer is None:
            return None
        if not self.case.at_most:
            return peer / ours
        return (ours / self.case.multiply_adds) / (peer / self.case.of_default_cell().multiply_adds)

    @property
    def reached(self) -> bool | None:
        """Whether the ratio reaches the bar; None if there is no bar. Without a ratio it does not."""
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
    """Measure every case in turn; ``on_case`` gets each before it starts.

    Torch's thread count is afterwards as before.
    """
    results: list[Result] = []
    known: dict[Case, Answers] = {}

    def define(problem: Problem) -> Answers:
        """Return the definition's answers, computed once for all cases that share them."""
        same = replace(problem.case, name="", dtype=torch.float64, threads=1, peer="nn.LSTM", others=(), bar=None)
        if same not in known:
            known[same] = implementations.definition(problem)
        return known[same]

    with torch_threads(torch.get_num_threads()), _no_garbage_collection():
        for number, case in enumerate(cases):
            on_case(number, case)
            gc.collect()
            torch.set_num_threads(case.threads)
            results.append(measure(draw(case), effort, define))
    return results


def measure(
    problem: Problem, effort: Effort, define: Callable[[Problem], Answers] = implementations.definition
) -> Result:
    """Measure one case; ``define`` says what has to be computed."""
    case, definition = problem.case, define(problem)
    ours = implementations.ours(problem, case.dtype, case.threads)
    peer = implementations.peer(problem, case.dtype)
    engine = implementations.engine(problem, case.dtype)
    our_timing = _checked(ours, definition, case.dtype)
    # The default cell beside an option has a definition of its own.
    peer_timing = _checked(peer, define(draw(peer.case)) if case.at_most else definition, case.dtype)
    if our_timing.note or peer_timing.note:
        return Result(case, engine, our_timing, peer_timing)
    runners, others = [ours, peer], []
    for name in case.others:
        try:
            runner = implementations.other(name, problem, case.dtype)
            timing = _checked(runner, definition, case.dtype)
        except implementations.Unavailable as error:
            timing = Timing(name, case.threads, note=str(error))
        except Exception as error:  # other people's compilers may fail in any way
            timing = Timing(name, case.threads, note=f"does not run here: {type(error).__name__}")
        others.append(timing)
        if not timing.note:
            runners.append(runner)
    times = iter(_time_in_turn(runners, effort))
    steps = case.steps if case.work == "step" else 1
    timed = [
        timing if timing.note else _with_times(timing, next(times), steps)
        for timing in (our_timing, peer_timing, *others)
    ]
    return Result(case, engine, timed[0], timed[1], tuple(timed[2:]))


def _checked(runner: Runner, definition: Answers, dtype: torch.dtype) -> Timing:
    """Return a timing that says how far the answers are from the definition, without a time."""
    torch.set_num_threads(runner.threads)
    error, wrong = compare(runner.answers(), definition, TOLERANCE[dtype])
    return Timing(runner.name, runner.threads, error=error, note=wrong)


# ---- time -----------------------------------------------------------------------------------------------------------


class _Seconds(NamedTuple):
    """The seconds of a call: on the clock, and of the processor."""

    clock: float
    processor: float


def _time_in_turn(runners: Sequence[Runner], effort: Effort) -> list[list[_Seconds]]:
    """Return the times of each runner, repeat by repeat."""
    calls = [max(1, math.ceil(effort.sample / max(_call(runner, 1, 0).clock, 1e-6))) for runner in runners]
    # The runner before has left its own data in the caches, so a third as many calls are not timed.
    repeats = [
        functools.partial(_call, runner, count, count // 3) for runner, count in zip(runners, calls, strict=True)
    ]
    return interleaved(repeats, effort)


def _call(runner: Runner, calls: int, untimed: int) -> _Seconds:
    """Return the mean time of a few calls in a row, after some that are not timed."""
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
    return _Seconds(clock / calls, processor / calls)


def _with_times(timing: Timing, repeats: Sequence[_Seconds], steps: int) -> Timing:
    times = [repeat.clock for repeat in repeats]
    lower, median, upper = (1000 * value / steps for value in quantiles(times, n=4, method="inclusive"))
    busy = sum(repeat.processor for repeat in repeats) / sum(times)
    waited = max(0.0, 1.0 - busy) if timing.threads == 1 else None
    return replace(timing, milliseconds=median, quartiles=(lower, upper), repeats=len(repeats), waited=waited)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect no garbage amid a measurement; afterwards it is collected if it was before."""
    gc.collect()
    with collector_paused():
        yield
