"""Implementations on a GPU, as the benchmark runs them, and the arithmetic they run in."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from longlag.errors import InputError
from longlag.ops.triton.timing import milliseconds
from longlag_lab.benchmarks.gpu_cases import Entrant, Numbers
from longlag_lab.benchmarks.peephole_lstm import peephole_module
from longlag_lab.benchmarks.problem import Answers, Problem, draw, loaded

__all__ = ["GpuRunner", "arithmetic", "check_device", "milliseconds_of", "our_runner", "rounded", "runner_of", "wait"]

T = TypeVar("T")


def check_device() -> None:
    """Raise InputError if there is no GPU to measure."""
    if not torch.cuda.is_available():
        raise InputError(
            "there is no GPU to measure: PyTorch sees no CUDA device; expected one, and a PyTorch built for it"
        )


@contextmanager
def arithmetic(numbers: Numbers) -> Iterator[None]:
    """Let our kernels and cuDNN, both at their measured best, multiply float32 in tf32 or not; afterwards as before."""
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
    """Return where PyTorch 2.9 and later keep the precision of float32 products, convolutions and recurrent layers."""
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        return ()
    return attrgetter("cuda.matmul", "mkldnn.matmul", "cudnn.conv", "cudnn.rnn")(torch.backends)


def wait(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def milliseconds_of(run: Callable[[], object], device: str) -> float:
    """Return the time of one call, by the clock of the device that runs it."""
    if device == "cpu":
        began = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - began)
    return milliseconds(run)


class GpuRunner:
    """A layer on a device, with sets of inputs in rotation, so that none is in a cache because it was just used.

    ``leaves`` are its parameters, by our names.
    """

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
        """Run what is timed, with the next inputs."""
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
        """Return what is computed from the first inputs."""
        values = self._inputs[0]
        answers = {"output": self._once(values).detach().cpu()}
        if self._trains:
            named = {**self._leaves, "input": values}
            answers |= {name: leaf.grad.cpu() for name, leaf in named.items() if leaf.grad is not None}
        return answers


def rounded(problem: Problem, dtype: torch.dtype) -> Problem:
    """Return the problem with its numbers rounded to the type: rounding is then no error of an implementation."""

    def exact(tensor: Tensor) -> Tensor:
        return tensor.to(dtype).to(tensor.dtype)

    weights = {name: exact(weight) for name, weight in problem.weights.items()}
    return replace(problem, input=exact(problem.input), errors=exact(problem.errors), weights=weights)


def our_runner(problems: Sequence[Problem], dtype: torch.dtype, device: str, backend: str) -> tuple[GpuRunner, str]:
    """Return the runner of our layer with an engine, and the engine's name."""
    lstm = loaded(problems[0], dtype, backend).to(device)
    engine = lstm.backend_for(problems[0].input.to(device, dtype))
    return GpuRunner(lambda values: lstm(values)[0], dict(lstm.named_parameters()), problems, dtype, device), engine


def runner_of(name: Entrant, problems: Sequence[Problem], dtype: torch.dtype, device: str) -> tuple[GpuRunner, str]:
    """Return the runner of an entrant, and the engine of ours that it runs, or ""."""
    case = problems[0].case
    match name:
        case "longlag" | "auto":
            return our_runner(problems, dtype, device, "triton" if name == "longlag" else "auto")
        case "our plain cell":
            plain = [rounded(draw(problem.case.of_default_cell()), dtype) for problem in problems]
            return our_runner(plain, dtype, device, "triton")
        case "nn.LSTM":
            lstm = nn.LSTM(case.inputs, case.hidden, dtype=dtype, device=device)
            lstm.load_state_dict(problems[0].weights)
            lstm.flatten_parameters()
            return GpuRunner(lambda values: lstm(values)[0], dict(lstm.named_parameters()), problems, dtype, device), ""
        case "eager PyTorch" | "torch.compile":
            module, leaves = peephole_module(problems[0], dtype, device, compiled=name == "torch.compile")
            return GpuRunner(module, leaves, problems, dtype, device), ""
