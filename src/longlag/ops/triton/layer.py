"""The engine "triton" under autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longlag.errors import InputError
from longlag.ops.double_backward import differentiable_gradient, is_followed
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State, Weights
from longlag.ops.plain_tensors import check_shapes, dense, is_recorded, plain
from longlag.ops.triton import verification
from longlag.ops.triton.backward_pass import backward
from longlag.ops.triton.crossover import DTYPES
from longlag.ops.triton.forward_pass import forward
from longlag.ops.triton.launch import INTERPRETED, KernelTape, Plan
from longlag.ops.triton.launch_config import chip_of, fits_on_one_sm
from longlag.ops.triton.weight_gradients import weight_gradients

__all__ = ["can_run", "check_device", "layer", "obstacle"]


def can_run(tensor: Tensor) -> bool:
    """Return whether the kernels take this tensor's device and type."""
    return (tensor.is_cuda or (INTERPRETED and tensor.device.type == "cpu")) and tensor.dtype in DTYPES


def check_device(inputs: Tensor) -> None:
    """Refuse what the kernels cannot take. Raises InputError."""
    if not can_run(inputs):
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        raise InputError(f"backend 'triton' runs {names} on CUDA; the input is {inputs.dtype} on {inputs.device}")
    reason = obstacle(inputs)
    if reason:
        raise InputError(f"backend 'triton' {reason}")


def obstacle(inputs: Tensor) -> str:
    """Return what keeps the kernels from this tensor's device, as words after the engine's name, or ""."""
    reason = verification.obstacle(inputs.device) if inputs.is_cuda and not INTERPRETED else ""
    return f"cannot run here: {reason}" if reason else ""


@torch.compiler.disable  # a tracer would follow Triton's launching; now its graph ends before a layer
def layer(call: LayerCall, *, resident: bool | None = None) -> tuple[Tensor, State]:
    """See ``Engine.run``. Second derivatives are taken through the reference.

    ``resident`` None: one launch for all steps where the recurrent weights stay on an SM, else one for each step.
    Raises InputError for a device or type that the kernels do not take, for tensors that do not belong together, and
    while operators are recorded.
    """
    check_device(call.inputs)
    tensors: Any = (call.inputs, *call.state, *call.weights)
    if is_recorded(tensors):
        raise InputError("backend 'triton' has no operator to record; expected 'auto' or 'reference' while tracing")
    inputs, *others = plain(tensors)
    lengths = None if call.lengths is None else plain((call.lengths,))[0]
    check_shapes(call.spec, inputs, others[:3], others[3:])
    if resident is None:
        projection = 0 if others[7] is None else others[7].shape[0]
        hidden = call.state.cells.shape[1]
        resident = fits_on_one_sm(call.spec, hidden, call.inputs.dtype, projection, chip_of(call.inputs.device))
    plan = Plan(call.spec, call.paths, resident)
    outputs, *final = _Layer.apply(  # type: ignore[no-untyped-call]
        plan, torch.is_grad_enabled(), lengths, inputs, *others
    )
    return outputs, State(*final)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: Plan, keep: bool, lengths: Tensor | None, inputs: Tensor, *others: Tensor | None
    ) -> Any:
        others = dense(others)
        state, weights = State(*others[:3]), Weights(*others[3:])  # type: ignore[arg-type]
        keep = keep and any(ctx.needs_input_grad)  # which is True for a parameter under no_grad, too
        outputs, final, tape = forward(plan, keep, inputs, state, weights, lengths)
        if keep:
            ctx.plan = plan
            # The lengths too: if they are changed in place before the way back, autograd says so.
            ctx.save_for_backward(inputs, *others, lengths, outputs, *tape)
        return outputs, *final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        *tensors, lengths, outputs, activations, states = ctx.saved_tensors
        plan, tape = ctx.plan, KernelTape(activations, states)
        if is_followed(grads):
            return None, None, None, *differentiable_gradient(plan.spec, lengths, plan.paths, tensors, grads)
        inputs, *rest = plain(tensors)
        others: Any = dense(rest)
        state, weights = State(*others[:3]), Weights(*others[3:])
        errors = backward(plan, inputs, state, weights, lengths, tape, plain(grads))
        # The error of x is W' delta, for all steps at once.
        d_inputs = errors.delta @ weights.input if ctx.needs_input_grad[3] else None
        gradients = weight_gradients(plan.spec, errors, inputs, state, weights, outputs, tape)
        return None, None, None, d_inputs, *errors.state, *gradients
