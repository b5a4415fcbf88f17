"""Who takes part: our layer, and what others have for the same numbers. Each can be timed and asked for answers."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longlag.nn.lstm import LSTM
from longlag_lab.benchmarks.cases import Case, Other

__all__ = [
    "Answers",
    "Problem",
    "Runner",
    "Unavailable",
    "draw",
    "engine",
    "loaded",
    "other",
    "ours",
    "peephole_module",
    "peer",
    "truth",
]

Answers = dict[str, Tensor]
"""What a run computed: "output", and after training the gradients of "input" and of parameters by our names."""


class Unavailable(Exception):
    """This one cannot take part here; the reason is for the report."""


class Runner(Protocol):
    """Someone who takes part."""

    name: str
    threads: int
    case: Case

    @property
    def run(self) -> Callable[[], object]:
        """Does once what is timed; called without gradients unless the case is training."""
        ...

    def answers(self) -> Answers:
        """Do it and tell what came out."""
        ...


@dataclass(frozen=True)
class Problem:
    """The numbers of a case: every one exact in float32, so that both types work on the same.

    input : (T, B, I); errors : (T, B, O), what arrives from above; weights : a state_dict of our layer.
    """

    case: Case
    input: Tensor
    errors: Tensor
    weights: Mapping[str, Tensor]

    @property
    def lengths(self) -> Tensor | None:
        """(B,), or None when all are full."""
        return torch.tensor(self.case.lengths()) if self.case.ragged else None


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers of our own; the caller's generator is afterwards as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def draw(case: Case) -> Problem:
    """Numbers for a case; the same case gives the same numbers."""
    with _seeded(case.seed):
        lstm = _layer(case, torch.float32, "auto")
        values = torch.randn(case.steps, case.samples, case.inputs)
        errors = torch.randn(case.steps, case.samples, lstm.output_size)
        return Problem(case, values, errors, {name: weight.detach() for name, weight in lstm.state_dict().items()})


def _layer(case: Case, dtype: torch.dtype, backend: str) -> LSTM:
    return LSTM(case.inputs, case.hidden, proj_size=case.projection, cell=case.cell, dtype=dtype, backend=backend)


def loaded(problem: Problem, dtype: torch.dtype, backend: str) -> LSTM:
    """Our layer with the problem's weights."""
    with _seeded(0):
        lstm = _layer(problem.case, dtype, backend)
    lstm.load_state_dict(problem.weights)
    return lstm


# ---- PyTorch --------------------------------------------------------------------------------------------------------


class TorchRunner:
    """A function of the input, differentiated by PyTorch; ``leaves``: the parameters it reads, by our names."""

    def __init__(
        self,
        name: str,
        problem: Problem,
        dtype: torch.dtype,
        threads: int,
        forward: Callable[[Tensor], Tensor],
        leaves: Mapping[str, Tensor],
    ) -> None:
        self.name, self.case, self.threads = name, problem.case, threads
        self._forward, self._leaves = forward, dict(leaves)
        self._trains = problem.case.work == "training"
        self._input = problem.input.to(dtype, copy=True)
        self._errors = problem.errors.to(dtype)
        if self._trains:
            self._input.requires_grad_()
            self._leaves["input"] = self._input
        self._cleared = list(self._leaves.values())
        self.run: Callable[[], Tensor] = self._train if self._trains else partial(forward, self._input)

    def _train(self) -> Tensor:
        for leaf in self._cleared:
            leaf.grad = None
        output = self._forward(self._input)
        output.backward(self._errors)
        return output

    def answers(self) -> Answers:
        with torch.set_grad_enabled(self._trains):
            found = {"output": self.run().detach()}
        if self._trains:
            found |= {name: leaf.grad for name, leaf in self._leaves.items() if leaf.grad is not None}
        return found


class StreamRunner:
    """One step after the other, without gradients."""

    def __init__(
        self,
        name: str,
        problem: Problem,
        dtype: torch.dtype,
        threads: int,
        step: Callable[[Tensor, Any], tuple[Tensor, Any]],
        start: Any,
    ) -> None:
        self.name, self.case, self.threads = name, problem.case, threads
        self.run: Callable[[], list[Tensor]] = partial(_stream, step, start, list(problem.input.to(dtype)))

    def answers(self) -> Answers:
        with torch.no_grad():
            return {"output": torch.stack(self.run())}


def _stream(step: Callable[[Tensor, Any], tuple[Tensor, Any]], start: Any, steps: Iterable[Tensor]) -> list[Tensor]:
    """The outputs of one step after the other."""
    state, outputs = start, []
    for values in steps:
        output, state = step(values, state)
        outputs.append(output)
    return outputs


def engine(problem: Problem, dtype: torch.dtype) -> str:
    """The engine of ours that "auto" takes."""
    return loaded(problem, dtype, "auto").backend_for(problem.input.to(dtype))


def ours(problem: Problem, dtype: torch.dtype, threads: int, *, name: str = "longlag", backend: str = "auto") -> Runner:
    """Our layer."""
    lstm, lengths = loaded(problem, dtype, backend), problem.lengths

    def forward(values: Tensor) -> Tensor:
        return lstm(values, lengths=lengths)[0]  # type: ignore[no-any-return]

    if problem.case.work == "step":
        return StreamRunner(name, problem, dtype, threads, lstm.step, lstm.initial_state(problem.case.samples))
    return TorchRunner(name, problem, dtype, threads, forward, dict(lstm.named_parameters()))


def truth(problem: Problem) -> Answers:
    """What every one has to compute: the definition, in float64."""
    case = problem.case
    if case.work == "step":
        problem = replace(problem, case=replace(case, work="inference"))
    return ours(problem, torch.float64, case.threads, backend="reference").answers()


def peer(problem: Problem, dtype: torch.dtype) -> Runner:
    """The one that the case names."""
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
    """Someone beside the peer. Unavailable: not installed, or not able to run here."""
    if name == "JAX lax.scan":
        return JaxRunner(problem, dtype)
    return _peephole_runner(name, problem, dtype, compiled=True)


def _torch_lstm(problem: Problem, dtype: torch.dtype) -> Runner:
    case, lengths = problem.case, problem.lengths
    with _seeded(0):
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
    with _seeded(0):
        cell = nn.LSTMCell(case.inputs, case.hidden, dtype=dtype)
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in problem.weights.items()})

    def step(values: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        after = cell(values, state)
        return after[0], after

    zeros = torch.zeros(case.samples, case.hidden, dtype=dtype)
    return StreamRunner(case.peer, problem, dtype, case.threads, step, (zeros, zeros))


class PeepholeLSTM(nn.Module):
    """What a PyTorch user writes for want of peepholes in torch.nn.LSTM, with care: the input's share of all net inputs
    in one product, ``unbind`` instead of an index for each step (whose gradients would each fill the whole tensor)."""

    def __init__(self, inputs: int, hidden: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, inputs, dtype=dtype))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(4 * hidden, dtype=dtype))
        self.peephole = nn.Parameter(torch.empty(3, hidden, dtype=dtype))

    def step(self, from_input: Tensor, output: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """One step, from the input's share of the net inputs."""
        net = torch.addmm(from_input, output, self.weight_hh.t())
        entering, forgetting, added, leaving = net.chunk(4, dim=1)
        entering = torch.sigmoid(entering + self.peephole[0] * cells)
        forgetting = torch.sigmoid(forgetting + self.peephole[1] * cells)
        cells = forgetting * cells + entering * torch.tanh(added)
        leaving = torch.sigmoid(leaving + self.peephole[2] * cells)
        return leaving * torch.tanh(cells), cells

    def forward(self, values: Tensor) -> Tensor:
        steps, samples, _ = values.shape
        from_inputs = torch.addmm(self.bias, values.flatten(0, 1), self.weight_ih.t()).view(steps, samples, -1)
        output = cells = values.new_zeros(samples, self.weight_hh.shape[1])
        outputs = []
        for from_input in from_inputs.unbind(0):
            output, cells = self.step(from_input, output, cells)
            outputs.append(output)
        return torch.stack(outputs)


def peephole_module(
    problem: Problem, dtype: torch.dtype, device: str = "cpu", *, compiled: bool
) -> tuple[PeepholeLSTM, dict[str, Tensor]]:
    """The hand-written cell with the problem's weights, and its parameters by our names."""
    case, given = problem.case, problem.weights
    module = PeepholeLSTM(case.inputs, case.hidden, dtype)
    bias = given["bias_ih_l0"].double() + given["bias_hh_l0"].double()
    module.load_state_dict(
        {
            "weight_ih": given["weight_ih_l0"],
            "weight_hh": given["weight_hh_l0"],
            "bias": bias,
            "peephole": given["weight_peephole_l0"],
        }
    )
    module.to(device)
    if compiled:  # a step, not the loop: PyTorch unrolls loops, and compiles for minutes
        torch.compiler.reset()  # what it saw of other shapes would make it compile for any shape
        module.step = torch.compile(module.step, dynamic=False)  # type: ignore[method-assign]
    return module, {
        "weight_ih_l0": module.weight_ih,
        "weight_hh_l0": module.weight_hh,
        "bias_ih_l0": module.bias,
        "bias_hh_l0": module.bias,
        "weight_peephole_l0": module.peephole,
    }


def _peephole_runner(name: str, problem: Problem, dtype: torch.dtype, *, compiled: bool) -> Runner:
    case = problem.case
    module, leaves = peephole_module(problem, dtype, compiled=compiled)
    return TorchRunner(name, problem, dtype, case.threads, module, leaves)


# ---- JAX ------------------------------------------------------------------------------------------------------------


def _load_jax(threads: int) -> Any:
    """JAX on ``threads`` threads, which it reads once, when it starts."""
    asked = {"NPROC": str(threads), "PJRT_NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        asked["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    before = {name: os.environ.get(name) for name in asked}
    os.environ.update(asked)
    try:
        jax = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)
        jax.devices()  # starts it
    except ImportError as error:
        raise Unavailable("not installed") from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return jax


class JaxRunner:
    """The default cell as a scan, its forward and backward pass compiled together."""

    name = "JAX lax.scan"

    def __init__(self, problem: Problem, dtype: torch.dtype) -> None:
        self.case, self.threads = problem.case, problem.case.threads
        jax = _load_jax(self.threads)
        self._jax, np = jax, jax.numpy
        samples, hidden = self.case.samples, self.case.hidden

        def forward(weights: dict[str, Any], values: Any) -> Any:
            def step(state: tuple[Any, Any], from_input: Any) -> tuple[tuple[Any, Any], Any]:
                output, cells = state
                net = from_input + output @ weights["weight_hh_l0"].T
                entering, forgetting, added, leaving = np.split(net, 4, axis=-1)
                gate = jax.nn.sigmoid
                cells = gate(forgetting) * cells + gate(entering) * np.tanh(added)
                output = gate(leaving) * np.tanh(cells)
                return (output, cells), output

            bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
            start = np.zeros((samples, hidden), values.dtype)
            return jax.lax.scan(step, (start, start), values @ weights["weight_ih_l0"].T + bias)[1]

        def both(weights: dict[str, Any], values: Any, errors: Any) -> Any:
            outputs, backward = jax.vjp(forward, weights, values)
            return outputs, *backward(errors)

        def given(tensor: Tensor) -> Any:
            return np.asarray(tensor.to(dtype).numpy())

        weights = {name: given(weight) for name, weight in problem.weights.items()}
        self._given = weights, given(problem.input), given(problem.errors)
        self._both = jax.jit(both)

    def run(self) -> Any:
        """Forward and backward; returns when the numbers are there."""
        return self._jax.block_until_ready(self._both(*self._given))

    def answers(self) -> Answers:
        output, weights, values = self.run()
        found = {"output": output, "input": values, **weights}
        return {name: torch.from_numpy(numpy.array(value)) for name, value in found.items()}
