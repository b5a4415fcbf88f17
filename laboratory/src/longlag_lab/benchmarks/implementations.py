"""The implementations in a case: our layer, and what other libraries have for the same numbers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longlag_lab.benchmarks.cases import Other
from longlag_lab.benchmarks.jax_scan import JaxRunner, Unavailable
from longlag_lab.benchmarks.peephole_lstm import peephole_module
from longlag_lab.benchmarks.problem import Answers, Problem, draw, loaded, seeded
from longlag_lab.benchmarks.runners import Runner, StreamRunner, TorchRunner

__all__ = ["Unavailable", "definition", "engine", "other", "ours", "peer"]


def engine(problem: Problem, dtype: torch.dtype) -> str:
    """Return the engine of ours that "auto" takes in the case."""
    return loaded(problem, dtype, "auto").backend_for(problem.input.to(dtype))


def ours(problem: Problem, dtype: torch.dtype, threads: int, *, name: str = "longlag", backend: str = "auto") -> Runner:
    """Return our layer as a runner, with the engine that ``backend`` names."""
    lstm, lengths = loaded(problem, dtype, backend), problem.lengths

    def forward(values: Tensor) -> Tensor:
        return lstm(values, lengths=lengths)[0]

    if problem.case.work == "step":
        return StreamRunner(name, problem, dtype, threads, lstm.step, lstm.initial_state(problem.case.samples))
    return TorchRunner(name, problem, dtype, threads, forward, dict(lstm.named_parameters()))


def definition(problem: Problem) -> Answers:
    """Return what every implementation has to compute: the answers of the reference engine in float64."""
    case = problem.case
    if case.work == "step":
        problem = replace(problem, case=replace(case, work="inference"))
    return ours(problem, torch.float64, case.threads, backend="reference").answers()


def peer(problem: Problem, dtype: torch.dtype) -> Runner:
    """Return the implementation that the case is compared with."""
    case = problem.case
    match case.peer:
        case "nn.LSTM" | "packed nn.LSTM":
            return _torch_lstm(problem, dtype)
        case "nn.LSTMCell":
            return _torch_cell(problem, dtype)
        case "eager PyTorch":
            return _peephole_runner("eager PyTorch", problem, dtype, compiled=False)
        case "default cell":
            return ours(draw(case.of_default_cell()), dtype, case.threads, name="default cell")
        case "1 thread":
            return ours(problem, dtype, 1, name="1 thread")


def other(name: Other, problem: Problem, dtype: torch.dtype) -> Runner:
    """Return an implementation beside the peer. Raises Unavailable if it is not installed."""
    if name == "JAX lax.scan":
        return JaxRunner(problem, dtype)
    return _peephole_runner(name, problem, dtype, compiled=True)


def _torch_lstm(problem: Problem, dtype: torch.dtype) -> Runner:
    case, lengths = problem.case, problem.lengths
    with seeded(0):
        lstm = nn.LSTM(case.inputs, case.hidden, dtype=dtype)
    lstm.load_state_dict(problem.weights)

    def forward(values: Tensor) -> Tensor:
        if lengths is None:
            return lstm(values)[0]  # type: ignore[no-any-return]
        packed = pack_padded_sequence(values, lengths, enforce_sorted=False)
        return pad_packed_sequence(lstm(packed)[0], total_length=case.steps)[0]

    return TorchRunner(case.peer, problem, dtype, case.threads, forward, dict(lstm.named_parameters()))


def _torch_cell(problem: Problem, dtype: torch.dtype) -> Runner:
    case = problem.case
    with seeded(0):
        cell = nn.LSTMCell(case.inputs, case.hidden, dtype=dtype)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in problem.weights.items()})

    def step(values: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        after = cell(values, state)
        return after[0], after

    zeros = torch.zeros(case.samples, case.hidden, dtype=dtype)
    return StreamRunner(case.peer, problem, dtype, case.threads, step, (zeros, zeros))


def _peephole_runner(name: str, problem: Problem, dtype: torch.dtype, *, compiled: bool) -> Runner:
    case = problem.case
    module, leaves = peephole_module(problem, dtype, compiled=compiled)
    return TorchRunner(name, problem, dtype, case.threads, module, leaves)
