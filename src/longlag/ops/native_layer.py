"""The engines "native-samples" and "native-units": the CPU kernels under autograd, backwards and in forward mode.

While somebody records operators (compiling, exporting, tracing, dispatch modes, fake tensors) a call goes through the
custom operators of ``custom_ops.py``, which run the same kernels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops import custom_ops, native
from longlag.ops.crossover import Lanes, checkpoint_interval, choose_lanes
from longlag.ops.double_backward import differentiable_gradient, is_followed
from longlag.ops.engine import COMMON_FIELDS, CallOptions, Engine, ForwardCache, LayerCall
from longlag.ops.layer import State
from longlag.ops.paths import FULL
from longlag.ops.plain_tensors import check_shapes, dense, is_recorded, plain

__all__ = ["NativeEngine", "lanes_for", "layer"]

_saving_hooks = torch._C._autograd._top_saved_tensors_default_hooks


class NativeEngine(Engine):
    """``layer`` as an engine, with samples or with units in the lanes of a vector."""

    fields = COMMON_FIELDS
    devices, dtypes, numbers = native.DEVICES, native.DTYPES, "float32 and float64 on the CPU"
    wishes = frozenset({"checkpoints", "forward_cache", "per_sample", "truncated"})

    def __init__(self, lanes: Lanes) -> None:
        self.name, self.lanes = f"native-{lanes}", lanes

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        return layer(call, self.lanes)


def lanes_for(spec: CellSpec, inputs: Tensor, hidden_size: int) -> Lanes:
    """Return what fills vectors fastest for these sizes."""
    samples, features = inputs.shape[1:]
    if type(samples) is not int:  # a tracer's symbol: units in lanes suit any number of samples
        return "units"
    # torch.compile traces what a cache remembers, and says so
    choose = choose_lanes.__wrapped__ if torch.compiler.is_compiling() else choose_lanes
    lanes: Lanes = choose(spec, features, hidden_size, samples, inputs.dtype == torch.float64)
    return lanes


def layer(call: LayerCall, lanes: Lanes = "units") -> tuple[Tensor, State]:
    """See ``Engine.run``. Second derivatives are taken through the reference.

    Raises InputError for tensors that no kernel can read, or that do not fit each other.
    """
    spec, weights, inputs, state, lengths, paths, options, _ = call
    every = options.checkpoint_every or checkpoint_interval(spec, lanes, inputs, state.cells.shape[1])
    plan = native.Plan(spec, paths, lanes, every)
    tensors: Any = (inputs, *state, *weights)
    if is_recorded(tensors):
        outputs, *final = _recorded(plan, options, lengths, tensors)
        return outputs, State(*final)
    if lengths is not None:
        (lengths,) = plain((lengths.contiguous(),))
    inputs, *others = plain(tensors)
    check_shapes(spec, inputs, others[:3], others[3:])
    # Under no_grad a parameter needs its gradient all the same, and nobody will ask for it.
    forward_mode = forward_ad._current_level >= 0
    keep = forward_mode or torch.is_grad_enabled()
    results: tuple[Tensor, ...]
    if not keep and options.forward_cache is None and not torch._C._are_functorch_transforms_active():
        arrays: Any = dense(others)
        results = native.forward(plan, inputs, arrays[:3], arrays[3:], lengths, None)
    else:
        way = _Way(plan, keep, forward_mode, options.per_sample, options.forward_cache)
        results = _Layer.apply(way, lengths, inputs, *others)  # type: ignore[no-untyped-call]
    outputs, output, cells, gates = results
    return outputs, State(output, cells, gates)


def _recorded(
    plan: native.Plan, options: CallOptions, lengths: Tensor | None, tensors: tuple[Tensor | None, ...]
) -> tuple[Tensor, ...]:
    if options.per_sample is not None or options.forward_cache is not None:
        raise InputError("an operator gives no gradients sample by sample, and no forward pass again; expected a call")
    results: tuple[Tensor, ...] = custom_ops.layer(plan, lengths, *tensors)
    return results


class _Way(NamedTuple):
    """How a call is to be made, beside its tensors.

    keep : whether somebody may want a derivative; forward_mode : whether along a direction, while the call is made.
    """

    plan: native.Plan
    keep: bool
    forward_mode: bool
    per_sample: list[tuple[Tensor, Tensor]] | None
    forward_cache: ForwardCache | None


def _computed(
    plan: native.Plan, keep: bool, inputs: Tensor, state: Any, weights: Any, lengths: Tensor | None
) -> tuple[Tensor, ...]:
    """Return outputs, final state (3) and the tape, which is empty unless steps are to be kept."""
    tape = inputs.new_empty(native.tape_size(plan, inputs, state[1], weights[4]) if keep else 0)
    return *native.forward(plan, inputs, state, weights, lengths, tape if keep else None), tape


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, way: _Way, lengths: Tensor | None, inputs: Tensor, *others: Tensor | None) -> Any:
        others = dense(others)
        keep = way.keep and any(ctx.needs_input_grad)
        arguments = way.plan, keep, inputs, others[:3], others[3:], lengths
        cache = way.forward_cache
        results = _computed(*arguments) if cache is None else cache.next(lambda: _computed(*arguments))
        outputs, output, cells, gates, tape = results
        if keep:
            # Somebody's hooks may see to what autograd saves (torch.autograd.graph.saved_tensors_hooks).
            ctx.way, ctx.hooked = way, _saving_hooks(True) is not None
            ctx.set_materialize_grads(False)
            # The lengths too: whoever changes them in place before the way back is told so by autograd.
            ctx.save_for_backward(inputs, *others, lengths, outputs, tape)
            if way.forward_mode:
                ctx.save_for_forward(inputs, *others, lengths, outputs, tape)
        return outputs, output, cells, gates

    @staticmethod
    def jvp(ctx: Any, *directions: Tensor | None) -> Any:
        if not hasattr(ctx, "way"):
            raise InputError("forward mode runs on a tape; expected an input, state or weight that requires a gradient")
        plan = ctx.way.plan
        if plan.paths != FULL:
            raise InputError("the kernels' forward mode follows every path; expected gradient='full'")
        inputs, state, weights, lengths, outputs, tape = _saved(ctx)
        directions = plain(directions[2:])
        moved = native.tangent(plan, directions, inputs, state, weights, lengths, outputs, tape)
        return _Once.apply(weights[0], *moved)  # type: ignore[no-untyped-call]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        way, plan = ctx.way, ctx.way.plan
        inputs, state, weights, lengths, outputs, tape = _saved(ctx)
        if is_followed(grads):
            tensors = (inputs, *state, *weights)
            return None, None, *differentiable_gradient(plan.spec, lengths, plan.paths, tensors, grads)
        wanted, each = ctx.needs_input_grad[2:6], way.per_sample is not None
        errors = plain(grads)
        gradients = native.backward(plan, wanted, errors, inputs, state, weights, lengths, outputs, tape, each=each)
        if way.per_sample is not None:
            pairs = zip(weights, gradients[4:], strict=True)
            way.per_sample.extend((weight, gradient) for weight, gradient in pairs if gradient is not None)
            gradients[4:] = [None] * len(weights)
        return None, None, *gradients


def _saved(ctx: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return inputs, state (3), weights (5), lengths, outputs and tape, as ``_Layer.forward`` has kept them."""
    tensors = ctx.saved_tensors
    if ctx.hooked:  # they may have come back to another place in memory
        inputs, *rest = plain(tensors)
        tensors = (inputs, *dense(rest))
    inputs, *others, lengths, outputs, tape = tensors
    return inputs, tuple(others[:3]), tuple(others[3:]), lengths, outputs, tape


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
