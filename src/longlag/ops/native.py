"""The CPU kernels of csrc/: any cell, float32 and float64, a whole sequence in one call.

``forward`` and ``backward`` are plain functions over tensors. ``layer`` puts them under autograd; while PyTorch traces
(compiling, exporting, fake tensors) it goes through the custom operators of ``operators.py``, which call the same two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor

from longlag import _native
from longlag.cell import CellSpec, Squash
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
    "dense",
    "forward",
    "kernel",
    "layer",
    "tangent",
    "tape_size",
]

_FORGET = {(False, False): 0, (True, False): 1, (True, True): 2}
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
def kernel(spec: CellSpec, paths: ErrorPaths, inputs: int, hidden: int, projection: int) -> _native.Layer:
    """The compiled kernels for one layer; one object serves all batches and both types."""
    number = get_args(Squash).index
    return _native.Layer(
        spec.cells_per_block,
        spec.input_gate,
        _FORGET[spec.forget_gate, spec.coupled_gates],
        spec.output_gate,
        spec.peepholes,
        spec.gate_recurrence,
        spec.recurrence,
        number(spec.input_squash),
        number(spec.output_squash),
        number(spec.unit_squash),
        float(spec.sharpness),
        spec.conventional_units,
        inputs,
        hidden,
        projection,
        paths.recurrent,
        paths.peepholes,
    )


def _kernel_for(call: Call, inputs: Tensor, cells: Tensor, projection: Tensor | None) -> _native.Layer:
    columns = 0 if projection is None else projection.shape[0]
    return kernel(call.spec, call.paths, inputs.shape[2], cells.shape[1], columns)


def tape_size(call: Call, inputs: Tensor, cells: Tensor, projection: Tensor | None) -> int:
    """Elements of the tape that ``forward`` keeps for these."""
    wide = inputs.dtype == torch.float64
    steps, samples, _ = inputs.shape
    return _kernel_for(call, inputs, cells, projection).tape_size(wide, call.lanes, steps, samples, call.every)


def _addresses(tensors: Iterable[Tensor | None]) -> tuple[int, ...]:
    return tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


def _strided(tensor: Tensor | None) -> tuple[int, ...]:
    return _NOWHERE if tensor is None else (tensor.data_ptr(), *tensor.stride())


_Shared = tuple[str, int, int, int, int, int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _begin(
    call: Call, inputs: Tensor, state: tuple[Tensor, ...], weights: tuple[Tensor | None, ...], lengths: Tensor | None
) -> tuple[_native.Layer, bool, _Shared]:
    """The kernels, whether float64's are meant, and the arguments that all of them take first."""
    steps, samples, _ = inputs.shape
    shared = (
        call.lanes,
        torch.get_num_threads(),
        steps,
        samples,
        call.every,
        0 if lengths is None else lengths.data_ptr(),
        _strided(inputs),
        _addresses(weights),
        _addresses(state),
    )
    return _kernel_for(call, inputs, state[1], weights[4]), inputs.dtype == torch.float64, shared


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
    compiled, wide, shared = _begin(call, inputs, state, weights, lengths)
    make = torch.empty if lengths is None else torch.zeros  # beyond a length outputs are zero
    outputs = make((*inputs.shape[:2], state[0].shape[1]), dtype=inputs.dtype)
    output, cells, gates = map(torch.empty_like, state)
    size = tape_size(call, inputs, state[1], weights[4]) if keep else 0
    tape = blank(size, dtype=inputs.dtype)
    (compiled.forward64 if wide else compiled.forward32)(
        *shared,
        outputs.data_ptr(),
        (output.data_ptr(), cells.data_ptr(), gates.data_ptr()),
        tape.data_ptr() if keep else 0,
    )
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
    compiled, wide, shared = _begin(call, inputs, state, weights, lengths)
    d_outputs, *rest = grads
    d_final = dense(tuple(rest))
    make = torch.empty if lengths is None else torch.zeros
    d_inputs = make(inputs.shape, dtype=inputs.dtype) if wanted[0] else None
    d_state = [torch.empty_like(part) if want else None for part, want in zip(state, wanted[1:4], strict=True)]
    rows = (inputs.shape[1],) if each else ()
    d_weights = [None if weight is None else weight.new_empty((*rows, *weight.shape)) for weight in weights]
    (compiled.backward64 if wide else compiled.backward32)(
        *shared,
        outputs.data_ptr(),
        tape.data_ptr(),
        _strided(d_outputs),
        _addresses(d_final),
        0 if d_inputs is None else d_inputs.data_ptr(),
        _addresses(d_state),
        _addresses(d_weights),
        each,
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
    compiled, wide, shared = _begin(call, inputs, state, weights, lengths)
    d_inputs, *d_others = directions
    d_state = dense(tuple(d_others[:3]))
    d_weights = [  # a weight that stands still moves by zero
        None if weight is None else torch.zeros_like(weight) if moved is None else moved.contiguous()
        for weight, moved in zip(weights, d_others[3:], strict=True)
    ]
    make = torch.empty if lengths is None else torch.zeros
    d_outputs = make(outputs.shape, dtype=inputs.dtype)
    d_final = [torch.empty_like(part) for part in state]
    (compiled.tangent64 if wide else compiled.tangent32)(
        *shared,
        outputs.data_ptr(),
        tape.data_ptr(),
        _addresses(d_weights),
        _strided(d_inputs),
        _addresses(d_state),
        d_outputs.data_ptr(),
        _addresses(d_final),
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
