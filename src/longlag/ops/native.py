"""The CPU kernels of csrc/: any cell, float32 and float64, a whole sequence in one call.

``forward`` and ``backward`` are plain functions over tensors. ``layer`` puts them under autograd; while PyTorch traces
(compiling, exporting, fake tensors) it goes through the custom operators of ``operators.py``, which call the same two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longlag import _native
from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.crossover import Lanes, choose_lanes, spacing
from longlag.ops.higher import differentiable_gradient
from longlag.ops.layer import State, Weights, check, dense
from longlag.ops.passes import FORWARDS, NOTED
from longlag.ops.paths import FULL, ErrorPaths

__all__ = [
    "Call",
    "Lanes",
    "backward",
    "can_run",
    "check",
    "choose_lanes",
    "compiled_cell",
    "dense",
    "forward",
    "kernel",
    "layer",
    "tangent",
    "tape_size",
]

_NOWHERE = (0, 0, 0, 0)


class Call(NamedTuple):
    """What of a call is not a tensor.

    every : checkpoints every so many steps; between them the way back runs forward again. 0: the tape keeps each step.
    """

    spec: CellSpec
    paths: ErrorPaths
    lanes: Lanes
    every: int = 0


def can_run(tensor: Tensor) -> bool:
    """Whether the kernels take this tensor's device and type."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)


# ---------------------------------------------------------------- calls


@functools.lru_cache(maxsize=256)
def compiled_cell(spec: CellSpec) -> _native.Cell:
    """The kernels' part of a cell: ``biases`` is how PyTorch stores what they read as one bias."""
    return _native.Cell(
        cells_per_block=spec.cells_per_block,
        input_gate=spec.input_gate,
        forget_gate=spec.forget_gate,
        output_gate=spec.output_gate,
        coupled_gates=spec.coupled_gates,
        peepholes=spec.peepholes,
        gate_recurrence=spec.gate_recurrence,
        input_squash=spec.input_squash,
        output_squash=spec.output_squash,
        sharpness=float(spec.sharpness),
        recurrence=spec.recurrence,
        conventional_units=spec.conventional_units,
        unit_squash=spec.unit_squash,
    )


@functools.lru_cache(maxsize=256)
def kernel(spec: CellSpec, paths: ErrorPaths, inputs: int, hidden: int, projection: int) -> _native.Layer:
    """The compiled kernels for one layer; one object serves all batches and both types."""
    return _native.Layer(
        cell=compiled_cell(spec),
        input_size=inputs,
        hidden_size=hidden,
        projection_size=projection,
        recurrent_paths=paths.recurrent,
        peephole_paths=paths.peepholes,
    )


def _kernel_for(call: Call, inputs: Tensor, cells: Tensor, projection: Tensor | None) -> _native.Layer:
    columns = 0 if projection is None else projection.shape[0]
    return kernel(call.spec, call.paths, inputs.shape[2], cells.shape[1], columns)


def tape_size(call: Call, inputs: Tensor, cells: Tensor, projection: Tensor | None) -> int:
    """Elements of the tape that ``forward`` keeps for these."""
    wide = inputs.dtype == torch.float64
    steps, samples, _ = inputs.shape
    return _kernel_for(call, inputs, cells, projection).tape_size(
        wide=wide, lanes=call.lanes, steps=steps, samples=samples, checkpoint_every=call.every
    )


def _addresses(tensors: Iterable[Tensor | None]) -> tuple[int, ...]:
    return tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


def _strided(tensor: Tensor | None) -> tuple[int, ...]:
    return _NOWHERE if tensor is None else (tensor.data_ptr(), *tensor.stride())


def _batch_call(
    call: Call,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    outputs: Tensor,
    tape: Tensor | None,
) -> _native.BatchCall:
    """The arguments that every pass takes. Addresses do not keep tensors alive: the caller does."""
    steps, samples, _ = inputs.shape
    return _native.BatchCall(
        lanes=call.lanes,
        threads=torch.get_num_threads(),
        steps=steps,
        samples=samples,
        checkpoint_every=call.every,
        lengths=0 if lengths is None else lengths.data_ptr(),
        inputs=_strided(inputs),
        weights=_addresses(weights),
        initial_state=_addresses(state),
        outputs=outputs.data_ptr(),
        tape=0 if tape is None else tape.data_ptr(),
    )


def forward(
    call: Call,
    keep: bool,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    *,
    blank: Callable[..., Tensor] = torch.empty,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Outputs, final state (3) and the tape, which is empty unless ``keep``. States and weights are contiguous.

    ``blank`` makes the tape, of which the kernels leave some places as they are.
    """
    compiled = _kernel_for(call, inputs, state[1], weights[4])
    make = torch.empty if lengths is None else torch.zeros  # beyond a length outputs are zero
    outputs = make((*inputs.shape[:2], state[0].shape[1]), dtype=inputs.dtype)
    output, cells, gates = map(torch.empty_like, state)
    size = tape_size(call, inputs, state[1], weights[4]) if keep else 0
    tape = blank(size, dtype=inputs.dtype)
    batch_call = _batch_call(call, inputs, state, weights, lengths, outputs, tape if keep else None)
    run = compiled.forward64 if inputs.dtype == torch.float64 else compiled.forward32
    run(batch_call, final_state=(output.data_ptr(), cells.data_ptr(), gates.data_ptr()))
    return outputs, output, cells, gates, tape


def backward(
    call: Call,
    wanted: tuple[bool, ...],
    grads: tuple[Tensor | None, ...],
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    outputs: Tensor,
    tape: Tensor,
    *,
    each: bool = False,
) -> list[Tensor | None]:
    """Gradients by inputs, initial state (3) and weights (5); ``wanted`` says which of the first four are needed.

    ``grads`` are those by outputs and final state, None where nothing arrives. ``each``: weights have one for each
    sample, (B, ...).
    """
    compiled = _kernel_for(call, inputs, state[1], weights[4])
    d_outputs, *rest = grads
    d_final = dense(tuple(rest))
    make = torch.empty if lengths is None else torch.zeros
    d_inputs = make(inputs.shape, dtype=inputs.dtype) if wanted[0] else None
    d_state = [torch.empty_like(part) if want else None for part, want in zip(state, wanted[1:4], strict=True)]
    rows = (inputs.shape[1],) if each else ()
    d_weights = [None if weight is None else weight.new_empty((*rows, *weight.shape)) for weight in weights]
    run = compiled.backward64 if inputs.dtype == torch.float64 else compiled.backward32
    run(
        _batch_call(call, inputs, state, weights, lengths, outputs, tape),
        d_outputs=_strided(d_outputs),
        d_final_state=_addresses(d_final),
        d_inputs=0 if d_inputs is None else d_inputs.data_ptr(),
        d_initial_state=_addresses(d_state),
        d_weights=_addresses(d_weights),
        per_sample=each,
    )
    return [d_inputs, *d_state, *d_weights]


def tangent(
    call: Call,
    directions: tuple[Tensor | None, ...],
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    outputs: Tensor,
    tape: Tensor,
) -> list[Tensor]:
    """How outputs and final state (3) move when inputs, initial state (3) and weights (5) move in ``directions``.

    None: stands still. Along every path, whatever the error paths are.
    """
    compiled = _kernel_for(call, inputs, state[1], weights[4])
    d_inputs, *d_others = directions
    d_state = dense(tuple(d_others[:3]))
    d_weights = [  # a weight that stands still moves by zero
        None if weight is None else torch.zeros_like(weight) if moved is None else moved.contiguous()
        for weight, moved in zip(weights, d_others[3:], strict=True)
    ]
    make = torch.empty if lengths is None else torch.zeros
    d_outputs = make(outputs.shape, dtype=inputs.dtype)
    d_final = [torch.empty_like(part) for part in state]
    run = compiled.tangent64 if inputs.dtype == torch.float64 else compiled.tangent32
    run(
        _batch_call(call, inputs, state, weights, lengths, outputs, tape),
        inputs=_strided(d_inputs),
        initial_state=_addresses(d_state),
        weights=_addresses(d_weights),
        outputs=d_outputs.data_ptr(),
        final_state=_addresses(d_final),
    )
    return [d_outputs, *d_final]


# ---------------------------------------------------------------- under autograd


def layer(
    spec: CellSpec,
    weights: Weights,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    paths: ErrorPaths,
    *,
    lanes: Lanes = "units",
    every: int = 0,
) -> tuple[Tensor, State]:
    """See ``ops.layer.Layer``. Second derivatives are taken through the reference."""
    call = Call(spec, paths, lanes, every or spacing(spec, lanes, inputs, state.cells.shape[1]))
    if lengths is not None:
        lengths = lengths.contiguous()
    if _is_traced(inputs):
        from longlag.ops import operators  # registering operators takes time that few need

        outputs, *final = operators.layer(call, lengths, inputs, *state, *weights)
    else:
        check(spec, inputs, state, weights)
        outputs, *final = _Layer.apply(call, lengths, inputs, *state, *weights)  # type: ignore[no-untyped-call]
    return outputs, State(*final)


def _is_traced(tensor: Tensor) -> bool:
    """Whether somebody records operators, so that there is no memory to hand to a kernel."""
    return torch.compiler.is_compiling() or type(tensor) not in (Tensor, torch.nn.Parameter)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, lengths: Tensor | None, inputs: Tensor, *others: Tensor | None) -> Any:
        others = dense(others)
        state, weights = others[:3], others[3:]
        keep = any(ctx.needs_input_grad)

        def compute() -> tuple[Tensor, ...]:
            return forward(call, keep, inputs, state, weights, lengths)  # type: ignore[arg-type]

        before = FORWARDS.get()
        outputs, output, cells, gates, tape = compute() if before is None else before.next(compute)
        if keep:
            ctx.call, ctx.lengths = call, lengths
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(inputs, *others, outputs, tape)
            ctx.save_for_forward(inputs, *others, outputs, tape)
        return outputs, output, cells, gates

    @staticmethod
    def jvp(ctx: Any, *directions: Tensor | None) -> Any:
        if not hasattr(ctx, "call"):
            raise InputError("forward mode runs on a tape; expected an input, state or weight that requires a gradient")
        if ctx.call.paths != FULL:
            raise InputError("the kernels' forward mode follows every path; expected gradient='full'")
        *tensors, outputs, tape = ctx.saved_tensors
        inputs, state, weights = tensors[0], tuple(tensors[1:4]), tuple(tensors[4:])
        moved = tangent(ctx.call, directions[2:], inputs, state, weights, ctx.lengths, outputs, tape)
        return _Once.apply(weights[0], *moved)  # type: ignore[no-untyped-call]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        *tensors, outputs, tape = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: somebody wants to differentiate this gradient
            found = differentiable_gradient(ctx.call.spec, ctx.lengths, ctx.call.paths, tensors, grads)
        else:
            inputs, state, weights = tensors[0], tuple(tensors[1:4]), tuple(tensors[4:])
            wanted, noted = ctx.needs_input_grad[2:6], NOTED.get()
            each = noted is not None
            found = backward(ctx.call, wanted, grads, inputs, state, weights, ctx.lengths, outputs, tape, each=each)
            if noted is not None:
                pairs = zip(weights, found[4:], strict=True)
                noted.extend((weight, gradient) for weight, gradient in pairs if gradient is not None)
                found[4:] = [None] * 5
        return None, None, *found


class _Once(torch.autograd.Function):
    """Directional derivatives, which the kernels compute and autograd has not followed."""

    @staticmethod
    def forward(ctx: Any, _: Tensor, *moved: Tensor) -> Any:
        return tuple(part.view_as(part) for part in moved)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        raise InputError(
            "the kernels' forward mode has no derivatives of its own; expected backend='reference' for them"
        )
