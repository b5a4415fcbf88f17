"""Speed on a GPU: first everyone must compute the same there, then they are timed in turn, by the device's clock."""

from __future__ import annotations

import importlib.metadata
import itertools
import math
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from longlag.errors import InputError
from longlag.io.json import JSON
from longlag.ops.triton.timing import milliseconds
from longlag_lab.benchmarks import peers
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.gpu_cases import DTYPE, TOLERANCE, Entrant, GpuCase, Numbers
from longlag_lab.benchmarks.peers import Answers, Problem
from longlag_lab.benchmarks.run import Effort, largest_error

__all__ = ["FULL", "QUICK", "Found", "Swept", "check_device", "describe", "measure", "sweep"]

FULL = Effort(least=10, most=100, seconds=1.0, sample=0.0)
QUICK = Effort(least=5, most=20, seconds=0.2, sample=0.0)
T = TypeVar("T")
SETS = 3
"""Sets of inputs in rotation, so that none is still in a cache because it was just used."""


@dataclass(frozen=True)
class Found:
    """One entrant of a case: milliseconds of a call (median), or None and a ``note`` that says why.

    engine : ours that ran, or "". error : the largest difference from the definition, see TOLERANCE; ``wrong`` if too
    large. first : seconds of the first call, in which kernels are compiled.
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
class Swept:
    """Milliseconds of the same work on both devices."""

    case: Case
    gpu: float
    cpu: float


def check_device() -> None:
    """Raises InputError where there is no GPU to measure."""
    if not torch.cuda.is_available():
        raise InputError(
            "there is no GPU to measure: PyTorch sees no CUDA device; expected one, and a PyTorch built for it"
        )


@contextmanager
def arithmetic(numbers: Numbers) -> Iterator[None]:
    """Products of float32 in tf32 or not, by our kernels and by cuDNN, both at their measured best; then as before."""
    cudnn = torch.backends.cudnn
    # Each setting exists twice. The older one cannot be read where a caller used the newer one (PyTorch 2.9).
    products = _readable(torch.get_float32_matmul_precision, "highest")
    tf32, benchmark = _readable(lambda: cudnn.allow_tf32, True), cudnn.benchmark
    newer = [(room, room.fp32_precision) for room in _newer_settings()]
    torch.set_float32_matmul_precision("medium" if numbers == "tf32" else "highest")
    cudnn.allow_tf32, cudnn.benchmark = numbers == "tf32", True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        cudnn.allow_tf32, cudnn.benchmark = tf32, benchmark
        for room, setting in newer:
            room.fp32_precision = setting


def _readable(setting: Callable[[], T], default: T) -> T:
    try:
        return setting()
    except RuntimeError:
        return default


def _newer_settings() -> tuple[Any, ...]:
    """Where PyTorch 2.9 and later keep the precision of float32, for products, convolutions and recurrent layers."""
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        return ()
    return attrgetter("cuda.matmul", "mkldnn.matmul", "cudnn.conv", "cudnn.rnn")(torch.backends)


# ---- who takes part -------------------------------------------------------------------------------------------------


class Runner:
    """A layer on a device, with sets of inputs in rotation; ``leaves``: the parameters it reads, by our names."""

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        leaves: Mapping[str, Tensor],
        problems: Sequence[Problem],
        dtype: torch.dtype,
        device: str,
    ) -> None:
        self._forward, self._leaves = forward, dict(leaves)
        self._trains = problems[0].case.work == "training"
        self._inputs = [problem.input.to(device, dtype).requires_grad_(self._trains) for problem in problems]
        self._errors = problems[0].errors.to(device, dtype)
        self._turn = itertools.cycle(self._inputs)

    def run(self) -> None:
        """What is timed, with the next inputs."""
        self._once(next(self._turn))

    def _once(self, values: Tensor) -> Tensor:
        with torch.set_grad_enabled(self._trains):
            output = self._forward(values)
        if self._trains:
            for leaf in (values, *self._leaves.values()):
                leaf.grad = None
            output.backward(self._errors)
        return output

    def answers(self) -> Answers:
        """Of the first inputs."""
        values = self._inputs[0]
        found = {"output": self._once(values).detach().cpu()}
        if self._trains:
            named = {**self._leaves, "input": values}
            found |= {name: leaf.grad.cpu() for name, leaf in named.items() if leaf.grad is not None}
        return found


def _rounded(problem: Problem, dtype: torch.dtype) -> Problem:
    """The same numbers as the type has them: what rounding them does is nobody's fault."""

    def exact(tensor: Tensor) -> Tensor:
        return tensor.to(dtype).to(tensor.dtype)

    weights = {name: exact(weight) for name, weight in problem.weights.items()}
    return replace(problem, input=exact(problem.input), errors=exact(problem.errors), weights=weights)


def _of_ours(problems: Sequence[Problem], dtype: torch.dtype, device: str, backend: str) -> tuple[Runner, str]:
    lstm = peers.loaded(problems[0], dtype, backend).to(device)
    engine = lstm.backend_for(problems[0].input.to(device, dtype))
    return Runner(lambda values: lstm(values)[0], dict(lstm.named_parameters()), problems, dtype, device), engine


def _runner(name: Entrant, problems: Sequence[Problem], dtype: torch.dtype, device: str) -> tuple[Runner, str]:
    """And the engine of ours that runs."""
    case = problems[0].case
    match name:
        case "longlag" | "auto":
            return _of_ours(problems, dtype, device, "triton" if name == "longlag" else "auto")
        case "our plain cell":
            plain = [_rounded(peers.draw(problem.case.of_default_cell()), dtype) for problem in problems]
            return _of_ours(plain, dtype, device, "triton")
        case "nn.LSTM":
            lstm = nn.LSTM(case.inputs, case.hidden, dtype=dtype, device=device)
            lstm.load_state_dict(problems[0].weights)
            lstm.flatten_parameters()
            return Runner(lambda values: lstm(values)[0], dict(lstm.named_parameters()), problems, dtype, device), ""
        case "eager PyTorch" | "torch.compile":
            module, leaves = peers.peephole_module(problems[0], dtype, device, compiled=name == "torch.compile")
            return Runner(module, leaves, problems, dtype, device), ""


# ---- measuring ------------------------------------------------------------------------------------------------------


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _milliseconds(run: Callable[[], object], device: str) -> float:
    """Of one call, by the clock of the device that runs it."""
    if device == "cpu":
        began = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - began)
    return milliseconds(run)


def _interleaved(runs: Sequence[Callable[[], object]], effort: Effort, device: str) -> list[list[float]]:
    for run in runs:
        for _ in range(SETS):
            run()
    _wait(device)
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + effort.seconds * len(runs)
    while len(times[0]) < effort.least or (len(times[0]) < effort.most and time.perf_counter() < end):
        for run, mine in zip(runs, times, strict=True):
            mine.append(_milliseconds(run, device))
    return times


def measure(asked: GpuCase, effort: Effort, device: str = "cuda") -> list[Found]:
    """Every entrant of a case. Whoever computes something else than the definition in float64 is not timed."""
    dtype = DTYPE[asked.numbers]
    problems = [_rounded(peers.draw(replace(asked.case, seed=asked.case.seed + n)), dtype) for n in range(SETS)]
    truth = _of_ours(problems, torch.float64, device, "reference")[0].answers()
    found: list[Found] = []
    runs: list[Callable[[], object]] = []
    with arithmetic(asked.numbers):
        for name in asked.entrants:
            definition = truth
            if name == "our plain cell":
                plain = _rounded(peers.draw(asked.case.of_default_cell()), dtype)
                definition = _of_ours([plain], torch.float64, device, "reference")[0].answers()
            _wait(device)
            runner, engine = _runner(name, problems, dtype, device)
            began = time.perf_counter()
            try:
                answers = runner.answers()
            except Exception as error:
                if name != "torch.compile":  # a compiler that we do not know may fail in any way
                    raise
                found.append(Found(name, note=f"does not run here: {type(error).__name__}"))
                continue
            first = time.perf_counter() - began
            found.append(_checked(name, engine, answers, definition, asked.numbers, first))
            if not found[-1].note:
                runs.append(runner.run)
        times = iter(_interleaved(runs, effort, device) if runs else [])
    return [one if one.note else _with_times(one, next(times)) for one in found]


def _checked(
    name: Entrant, engine: str, answers: Answers, definition: Answers, numbers: Numbers, first: float
) -> Found:
    error, where = largest_error(answers, definition)
    allowed = TOLERANCE[numbers]
    wrong = not error <= allowed
    note = f"wrong {where}: {error:.1e} from the definition, at most {allowed:.0e} allowed" if wrong else ""
    return Found(name, engine, error if math.isfinite(error) else None, first=first, wrong=wrong, note=note)


def _with_times(found: Found, times: Sequence[float]) -> Found:
    return replace(found, milliseconds=median(times), repeats=len(times))


def sweep(case: Case, effort: Effort, device: str = "cuda") -> Swept:
    """The engine that "auto" takes, on the GPU and on the CPU, by the host's clock: what somebody waits for."""
    problems = [peers.draw(replace(case, seed=case.seed + n)) for n in range(SETS)]
    found = []
    for place in (device, "cpu"):
        runner, _ = _of_ours(problems, case.dtype, place, "auto")

        def run(runner: Runner = runner, place: str = place) -> None:
            runner.run()
            _wait(place)

        found.append(median(_interleaved([run], effort, "cpu")[0]))
    return Swept(case, *found)


# ---- the device -----------------------------------------------------------------------------------------------------

PRODUCT = 4096
COPIED = 2**30


def describe(device: str = "cuda") -> dict[str, JSON]:
    """Name, driver, versions, and what results are held against: rates of products and copies, the smallest step."""
    rates: dict[str, JSON] = {}
    for numbers, dtype in DTYPE.items():
        with arithmetic(numbers):
            rates[numbers] = _product_rate(dtype, device)
    return {
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "driver": _driver() if device != "cpu" else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device != "cpu" else None,
        "triton": importlib.metadata.version("triton"),
        "copy_gbytes": _copy_rate(device),
        "product_gflops": rates,
        "step_microseconds": _smallest_step(device),
    }


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def _fastest(run: Callable[[], object], device: str) -> float:
    run()
    return min(_milliseconds(run, device) for _ in range(10))


def _product_rate(dtype: torch.dtype, device: str) -> float:
    """GFLOP/s of torch.mm."""
    size = PRODUCT if device != "cpu" else 64
    left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    return 2 * size**3 / _fastest(lambda: left @ right, device) / 1e6


def _copy_rate(device: str) -> float:
    """GB/s read and written."""
    count = (COPIED if device != "cpu" else 2**16) // 4
    source = torch.ones(count, device=device)
    target = torch.empty_like(source)
    return 8 * count / _fastest(lambda: target.copy_(source), device) / 1e6


def _smallest_step(device: str) -> float:
    """Microseconds of a step of one cell and one sample: what one step waits for the step before, and little else."""
    steps = 4096 if device != "cpu" else 2
    case = Case(name="", steps=steps, samples=1, inputs=1, hidden=1, dtype=torch.float32, work="inference")
    runner, _ = _of_ours([peers.draw(case)], torch.float32, device, "triton")
    return 1000 * _fastest(runner.run, device) / steps
