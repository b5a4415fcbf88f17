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
from longlag.ops.triton import verification
from longlag.ops.triton.backward_pass import backward
from longlag.ops.triton.crossover import DTYPES
from longlag.ops.triton.forward_pass import forward
from longlag.ops.triton.launch import INTERPRETED, KernelTape, Plan
from longlag.ops.triton.launch_config import chip_of, fits_on_one_sm
from longlag.ops.triton.weight_gradients import weight_gradients

__all__ = ["can_run", "check_device", "layer"]


def can_run(tensor: Tensor) -> bool:
    """Whether the kernels take this tensor's device and type."""
    return (tensor.is_cuda or (INTERPRETED and tensor.device.type == "cpu")) and tensor.dtype in DTYPES


def check_device(inputs: Tensor) -> None:
    """Refuse what the kernels cannot take. Raises InputError."""
    if not can_run(inputs):
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        raise InputError(f"backend 'triton' runs {names} on CUDA; the input is {inputs.dtype} on {inputs.device}")
    obstacle = verification.obstacle(inputs.device) if inputs.is_cuda and not INTERPRETED else ""
    if obstacle:
        raise InputError(f"backend 'triton' cannot run here: {obstacle}")


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
        resident = fits_on_one_sm(spec, state.cells.shape[1], inputs.dtype, projection, chip_of(inputs.device))
    plan = Plan(spec, paths, resident)
    outputs, *final = _Layer.apply(plan, lengths, inputs, *state, *weights)  # type: ignore[no-untyped-call]
    return outputs, State(*final)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, lengths: Tensor | None, inputs: Tensor, *others: Tensor | None) -> Any:
        others = dense(others)
        state, weights = State(*others[:3]), Weights(*others[3:])  # type: ignore[arg-type]
        keep = any(ctx.needs_input_grad)
        outputs, final, tape = forward(plan, keep, inputs, state, weights, lengths)
        if keep:
            ctx.plan, ctx.lengths = plan, lengths
            ctx.save_for_backward(inputs, *others, outputs, *tape)
        return outputs, *final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        *tensors, outputs, activations, states = ctx.saved_tensors
        plan, tape = ctx.plan, KernelTape(activations, states)
        if torch.is_grad_enabled():  # create_graph=True: somebody wants to differentiate this gradient
            return None, None, *differentiable_gradient(plan.spec, ctx.lengths, plan.paths, tensors, grads)
        inputs, state, weights = tensors[0], State(*tensors[1:4]), Weights(*tensors[4:])
        errors = backward(plan, inputs, state, weights, ctx.lengths, tape, grads)
        # x = W' delta, for all steps at once
        d_inputs = errors.delta @ weights.input if ctx.needs_input_grad[2] else None
        gradients = weight_gradients(plan.spec, errors, inputs, state, weights, outputs, tape)
        return None, None, d_inputs, *errors.state, *gradients
