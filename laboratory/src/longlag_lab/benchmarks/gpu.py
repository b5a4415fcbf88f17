"""``longlag bench gpu``: all entrants must compute the same; then they are timed in turn, by the device's clock."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from longlag_lab.benchmarks.agreement import compare
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.gpu_cases import DTYPE, TOLERANCE, Entrant, GpuCase
from longlag_lab.benchmarks.gpu_runner import (
    GpuRunner,
    arithmetic,
    milliseconds_of,
    our_runner,
    rounded,
    runner_of,
    wait,
)
from longlag_lab.benchmarks.problem import draw
from longlag_lab.harness.timer import Effort, interleaved

__all__ = ["FULL", "QUICK", "EntrantTiming", "SweepTiming", "measure", "sweep"]

FULL = Effort(least=10, most=100, seconds=1.0)
QUICK = Effort(least=5, most=20, seconds=0.2)
SETS = 3
"""Sets of inputs in rotation."""


@dataclass(frozen=True)
class EntrantTiming:
    """What was measured of one entrant in a case.

    Parameters
    ----------
    name : str
    engine : str
        The engine of ours that ran, or "".
    error : float, optional
        The largest difference from the definition, see TOLERANCE; None if it is not known or not finite.
    milliseconds : float, optional
        The median time of a call; None: ``note`` says why there is none.
    first : float, optional
        Seconds of the first call, in which kernels are compiled.
    repeats : int
    wrong : bool
        The error is too large.
    note : str
    """

    name: Entrant
    engine: str = ""
    error: float | None = None
    milliseconds: float | None = None
    first: float | None = None
    repeats: int = 0
    wrong: bool = False
    note: str = ""


@dataclass(frozen=True)
class SweepTiming:
    """Milliseconds of the same work on both devices."""

    case: Case
    gpu: float
    cpu: float


def measure(gpu_case: GpuCase, effort: Effort, device: str = "cuda") -> list[EntrantTiming]:
    """Measure every entrant of a case. One that does not compute what the definition says in float64 is not timed."""
    case, dtype = gpu_case.case, DTYPE[gpu_case.numbers]
    problems = [rounded(draw(replace(case, seed=case.seed + n)), dtype) for n in range(SETS)]
    case_definition = our_runner(problems, torch.float64, device, "reference")[0].answers()
    timings: list[EntrantTiming] = []
    runs: list[Callable[[], object]] = []
    with arithmetic(gpu_case.numbers):
        for name in gpu_case.entrants:
            definition = case_definition
            if name == "our plain cell":
                plain = rounded(draw(case.of_default_cell()), dtype)
                definition = our_runner([plain], torch.float64, device, "reference")[0].answers()
            wait(device)
            runner, engine = runner_of(name, problems, dtype, device)
            began = time.perf_counter()
            try:
                answers = runner.answers()
            except Exception as failure:
                if name != "torch.compile":  # other people's compilers may fail in any way
                    raise
                timings.append(EntrantTiming(name, note=f"does not run here: {type(failure).__name__}"))
                continue
            first = time.perf_counter() - began
            error, wrong = compare(answers, definition, TOLERANCE[gpu_case.numbers])
            timings.append(EntrantTiming(name, engine, error, first=first, wrong=bool(wrong), note=wrong))
            if not wrong:
                runs.append(runner.run)
        times = iter(_time_in_turn(runs, effort, device))
    return [timing if timing.note else _with_times(timing, next(times)) for timing in timings]


def _with_times(timing: EntrantTiming, times: Sequence[float]) -> EntrantTiming:
    return replace(timing, milliseconds=median(times), repeats=len(times))


def _time_in_turn(runs: Sequence[Callable[[], object]], effort: Effort, device: str) -> list[list[float]]:
    """Return the milliseconds of each, repeat by repeat, after each has had every set of inputs once."""
    for run in runs:
        for _ in range(SETS):
            run()
    wait(device)
    repeats = [functools.partial(milliseconds_of, run, device) for run in runs]
    return interleaved(repeats, replace(effort, seconds=effort.seconds * len(runs)))


def sweep(case: Case, effort: Effort, device: str = "cuda") -> SweepTiming:
    """Time the engine that "auto" takes, on the GPU and on the CPU, by the host's clock: what a user waits for."""
    problems = [draw(replace(case, seed=case.seed + n)) for n in range(SETS)]
    times = []
    for place in (device, "cpu"):
        runner, _ = our_runner(problems, case.dtype, place, "auto")

        def run(runner: GpuRunner = runner, place: str = place) -> None:
            runner.run()
            wait(place)

        times.append(median(_time_in_turn([run], effort, "cpu")[0]))
    return SweepTiming(case, *times)
