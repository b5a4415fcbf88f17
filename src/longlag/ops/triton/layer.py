"""The engine "triton" under autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.higher import differentiable_gradient
from longlag.ops.layer import State, Weights, check, dense
from longlag.ops.paths import ErrorPaths
from longlag.ops.triton import run
from longlag.ops.triton.crossover import DTYPES
from longlag.ops.triton.launch import INTERPRETED
from longlag.ops.triton.reduce import weight_gradients
from longlag.ops.triton.tiles import chip_of, fits

__all__ = ["can_run", "check_device", "layer"]


def can_run(tensor: Tensor) -> bool:
    """Whether the kernels take this tensor's device and type."""
    return (tensor.is_cuda or (INTERPRETED and tensor.device.type == "cpu")) and tensor.dtype in DTYPES


def check_device(inputs: Tensor) -> None:
    """Refuse what the kernels cannot take. Raises InputError."""
    if not can_run(inputs):
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        raise InputError(f"backend 'triton' runs {names} on CUDA; the input is {inputs.dtype} on {inputs.device}")


@torch.compiler.disable  # a tracer would follow Triton's launching; now its graph ends before a layer
def layer(
    spec: CellSpec,
    weights: Weights,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    paths: ErrorPaths,
    *,
    resident: bool | None = None,
) -> tuple[Tensor, State]:
    """See ``ops.layer.Layer``. Second derivatives are taken through the reference.

    ``resident`` None: one launch for all steps where the recurrent weights stay on an SM, else one for each step.
    Raises InputError for a device or type that the kernels do not take, and for tensors that do not belong together.
    """
    check_device(inputs)
    check(spec, inputs, state, weights)
    if resident is None:
        projection = 0 if weights.projection is None else weights.projection.shape[0]
        resident = fits(spec, state.cells.shape[1], inputs.dtype, projection, chip_of(inputs.device))
    call = run.Call(spec, paths, resident)
    outputs, *final = _Layer.apply(call, lengths, inputs, *state, *weights)  # type: ignore[no-untyped-call]
    return outputs, State(*final)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: run.Call, lengths: Tensor | None, inputs: Tensor, *others: Tensor | None) -> Any:
        others = dense(others)
        state, weights = State(*others[:3]), Weights(*others[3:])  # type: ignore[arg-type]
        keep = any(ctx.needs_input_grad)
        outputs, final, kept = run.forward(call, keep, inputs, state, weights, lengths)
        if keep:
            ctx.call, ctx.lengths = call, lengths
            ctx.save_for_backward(inputs, *others, outputs, *kept)
        return outputs, *final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        *tensors, outputs, units, cells = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: somebody wants to differentiate this gradient
            call = ctx.call
            return None, None, *differentiable_gradient(call.spec, ctx.lengths, call.paths, tensors, grads)
        inputs, state, weights = tensors[0], State(*tensors[1:4]), Weights(*tensors[4:])
        kept = run.Kept(units, cells)
        errors = run.backward(ctx.call, inputs, state, weights, ctx.lengths, kept, grads)
        # x = W' delta, for all steps at once
        d_inputs = errors.delta @ weights.input if ctx.needs_input_grad[2] else None
        found = weight_gradients(ctx.call.spec, errors, inputs, state, weights, outputs, kept)
        return None, None, d_inputs, *errors.state, *found
