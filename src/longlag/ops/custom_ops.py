"""The CPU kernels as PyTorch operators, ``torch.ops.longlag.*``: what torch.compile and torch.export can see.

An operator's arguments are tensors and plain values, so a cell travels as text. Both operators pass
``torch.library.opcheck``. Outside of tracing ``native_layer.layer`` calls the kernels directly, at half the overhead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops import native
from longlag.ops.crossover import Lanes
from longlag.ops.double_backward import differentiable_gradient, is_followed
from longlag.ops.paths import GradientPaths
from longlag.ops.plain_tensors import check_lengths, check_shapes, dense, plain

__all__ = ["layer"]


def _checked(
    plan: native.Plan, inputs: Tensor, others: Sequence[Tensor | None], lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor | None, ...], Tensor | None]:
    """Return inputs, state (3), weights (5) and lengths as kernels read them. Anybody may call an operator.

    Raises InputError for what does not fit.
    """
    if inputs.dim() != 3 or not native.can_run(inputs):
        raise InputError(
            f"inputs is a {inputs.dim()}-D {inputs.dtype} tensor on {inputs.device}; "
            "expected (steps, samples, features) in float32 or float64 on the CPU"
        )
    if plan.lanes not in get_args(Lanes) or plan.every < 0:
        raise InputError(
            f"lanes is {plan.lanes!r} and every {plan.every}; expected 'samples' or 'units', and 0 or more"
        )
    tensors: Any = plain((inputs, *others))
    inputs, others = tensors[0], dense(tensors[1:])
    check_shapes(plan.spec, inputs, others[:3], others[3:])  # type: ignore[arg-type]
    if lengths is not None:
        check_lengths(lengths, inputs)
        (lengths,) = plain((lengths.contiguous(),))
    return inputs, others[:3], others[3:], lengths  # type: ignore[return-value]


def _plan(cell: str, recurrent: bool, peepholes: bool, lanes: str, every: int) -> native.Plan:
    return native.Plan(CellSpec.from_text(cell), GradientPaths(recurrent=recurrent, peepholes=peepholes), lanes, every)  # type: ignore[arg-type]


def _tape_size(
    plan: native.Plan, inputs: Tensor, weight_input: Tensor, output: Tensor, cells: Tensor, gates: Tensor
) -> int:
    """Return the length of a tape that is enough for the kernels of every instruction set.

    A graph is traced on one machine and may run on another, so its tape must not depend on the instruction set:
    ``native.tape_size`` is never more. Numbers of steps and samples may be a tracer's symbols.
    """
    steps, samples, features = inputs.shape
    rows, hidden = weight_input.shape[0], cells.shape[1]
    # csrc/layer.hpp: tape_steps, sources; csrc/lanes.hpp: width, tape_lanes
    tape_steps = torch.sym_max(steps - 1, 0) // plan.every if plan.every else steps
    if plan.lanes == "units":
        return tape_steps * samples * (rows + hidden) + _TAPE_END
    # Tiles of 64 samples, or of 32 that take the room of 64: AVX-512's in float32, which are the widest.
    padded = torch.sym_min((samples + 31) // 32 * 64, (samples + 63) // 64 * 64 + 128)
    sources = features + 1 + output.shape[1] + gates.shape[1]
    return tape_steps * padded * (rows + 2 * hidden + sources) + _TAPE_END  # type: ignore[no-any-return]


_TAPE_END = 64  # elements: loads may reach a vector too far
_LENGTHS = 9  # stand behind inputs, state and weights


@torch.library.custom_op("longlag::layer", mutates_args=())
def _forward(
    inputs: Tensor,
    output: Tensor,
    cells: Tensor,
    gates: Tensor,
    weight_input: Tensor,
    weight_recurrent: Tensor,
    bias: Tensor | None,
    peephole: Tensor | None,
    projection: Tensor | None,
    lengths: Tensor | None,
    cell: str,
    recurrent: bool,
    peepholes: bool,
    lanes: str,
    every: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    plan = _plan(cell, recurrent, peepholes, lanes, every)
    others = (output, cells, gates, weight_input, weight_recurrent, bias, peephole, projection)
    inputs, state, weights, lengths = _checked(plan, inputs, others, lengths)
    tape = inputs.new_empty(_tape_size(plan, inputs, weight_input, *state))
    # An operator's results are the same for the same arguments, to the last unused place. Filling a tape takes time, so
    # where the kernels write all but the end of it, only the end is filled.
    whole = plan.lanes == "units" and lengths is None and not plan.every
    (tape[-_TAPE_END:] if whole else tape).zero_()
    return (*native.forward(plan, inputs, state, weights, lengths, tape), tape)


@_forward.register_fake
def _(
    inputs: Tensor,
    output: Tensor,
    cells: Tensor,
    gates: Tensor,
    weight_input: Tensor,
    weight_recurrent: Tensor,
    bias: Tensor | None,
    peephole: Tensor | None,
    projection: Tensor | None,
    lengths: Tensor | None,
    cell: str,
    recurrent: bool,
    peepholes: bool,
    lanes: str,
    every: int,
) -> tuple[Tensor, ...]:
    state = [part.new_empty(part.shape) for part in (output, cells, gates)]
    outputs = inputs.new_empty((inputs.shape[0], *output.shape))
    plan = _plan(cell, recurrent, peepholes, lanes, every)
    tape = inputs.new_empty(_tape_size(plan, inputs, weight_input, output, cells, gates))
    return outputs, state[0], state[1], state[2], tape


@torch.library.custom_op("longlag::layer_backward", mutates_args=())
def _backward(
    grads: Sequence[Tensor | None],
    wanted: Sequence[bool],
    inputs: Tensor,
    output: Tensor,
    cells: Tensor,
    gates: Tensor,
    weight_input: Tensor,
    weight_recurrent: Tensor,
    bias: Tensor | None,
    peephole: Tensor | None,
    projection: Tensor | None,
    lengths: Tensor | None,
    outputs: Tensor,
    tape: Tensor,
    cell: str,
    recurrent: bool,
    peepholes: bool,
    lanes: str,
    every: int,
) -> list[Tensor]:
    plan = _plan(cell, recurrent, peepholes, lanes, every)
    others = (output, cells, gates, weight_input, weight_recurrent, bias, peephole, projection)
    inputs, state, weights, lengths = _checked(plan, inputs, others, lengths)
    size = native.tape_size(plan, inputs, cells, projection)
    if outputs.shape != (inputs.shape[0], *output.shape) or tape.numel() < size or not outputs.is_contiguous():
        raise InputError(
            "outputs and tape do not belong to these inputs; expected what longlag::layer returned for them"
        )
    errors = plain(grads)
    for grad, like in zip(errors, (outputs, output, cells, gates), strict=True):
        if grad is not None and (grad.shape != like.shape or grad.dtype != inputs.dtype):
            raise InputError(
                f"a gradient is {tuple(grad.shape)} {grad.dtype}; expected {tuple(like.shape)} {inputs.dtype}"
            )
    outputs, tape = plain((outputs, tape))
    gradients = native.backward(plan, tuple(wanted), errors, inputs, state, weights, lengths, outputs, tape)
    return [inputs.new_empty(0) if gradient is None else gradient for gradient in gradients]


@_backward.register_fake
def _(grads: Sequence[Tensor | None], wanted: Sequence[bool], inputs: Tensor, *others: Any) -> list[Tensor]:
    tensors = (inputs, *others[: _LENGTHS - 1])
    needed = (*wanted, *(True for _ in range(5)))
    return [
        inputs.new_empty(0) if tensor is None or not need else tensor.new_empty(tensor.shape)
        for tensor, need in zip(tensors, needed, strict=True)
    ]


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.settings = inputs[_LENGTHS + 1 :]
    ctx.save_for_backward(*inputs[: _LENGTHS + 1], output[0], output[4])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, *grads: Tensor | None) -> Any:
    *tensors, lengths, outputs, tape = ctx.saved_tensors
    cell, recurrent, peepholes, lanes, every = ctx.settings
    errors = list(grads[:4])  # the tape is no function of anything that is learned
    if not torch.compiler.is_compiling() and is_followed(errors):
        paths = GradientPaths(recurrent=recurrent, peepholes=peepholes)
        gradients = differentiable_gradient(CellSpec.from_text(cell), lengths, paths, tensors, errors)
    else:
        wanted = list(ctx.needs_input_grad[:4])
        computed = _backward(errors, wanted, *tensors, lengths, outputs, tape, cell, recurrent, peepholes, lanes, every)
        present = [*wanted, *(tensor is not None for tensor in tensors[4:])]
        gradients = [gradient if exists else None for gradient, exists in zip(computed, present, strict=True)]
    return *gradients, None, *(None for _ in ctx.settings)


_forward.register_autograd(_differentiate, setup_context=_remember)


def layer(plan: native.Plan, lengths: Tensor | None, *tensors: Tensor | None) -> tuple[Tensor, ...]:
    """Return outputs and final state (3), from inputs, initial state (3) and weights (5)."""
    settings = (plan.spec.text, plan.paths.recurrent, plan.paths.peepholes, plan.lanes, plan.every)
    results: tuple[Tensor, ...] = _forward(*tensors, lengths, *settings)
    return results[:4]
