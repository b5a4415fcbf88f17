"""One layer as one PyTorch operator, ``longlag::any_layer``, for every cell, number type and device.

Who compiles or exports a layer that the CPU kernels cannot take gets one node in the graph, instead of the equations of
every step. The operator runs what "auto" takes for the tensors that it is called with. Its backward pass runs the layer
a second time, under autograd, because engines keep what they need in forms of their own: the price is one more forward
pass, and the gain is that inputs, state and weights are all that is kept in between.

``custom_ops.py`` has the operators of the CPU kernels, which keep a tape and compute nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.double_backward import arriving_errors, differentiable_gradient, is_followed
from longlag.ops.engine import COMMON_FIELDS, CallOptions, Engine, LayerCall, Request
from longlag.ops.layer import State, named_tensors
from longlag.ops.paths import GradientPaths
from longlag.ops.plain_tensors import check_lengths, check_shapes

__all__ = ["AnyLayerEngine"]

_TENSORS = 9  # inputs, state (3), weights (5): they stand first among the arguments, and lengths after them


class AnyLayerEngine(Engine):
    """The operator as an engine. Nobody names it: "auto" takes it while somebody compiles, exports or fakes tensors.

    ``choose`` is asked for the engine when the operator runs on real tensors. There is one operator in a process, so
    there is one such engine.
    """

    name = "any_layer"
    fields = COMMON_FIELDS  # an operator has no argument for parameters of other options
    wishes = frozenset({"checkpoints", "truncated"})

    def __init__(self, choose: Callable[[Request], Engine]) -> None:
        _Choice.engine = staticmethod(choose)

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        tensors = (call.inputs, *call.state, *call.weights)
        paths, every = call.paths, call.options.checkpoint_every
        outputs, *final = _forward(*tensors, call.lengths, call.spec.text, paths.recurrent, paths.peepholes, every)
        return outputs, State(*final)


class _Choice:
    """Which engine runs a request. ``ops/select.py`` knows the engines, and hands over its choice when it is loaded."""

    engine: Callable[[Request], Engine]


def _run(
    tensors: Sequence[Tensor | None], lengths: Tensor | None, cell: str, paths: GradientPaths, every: int
) -> tuple[Tensor, ...]:
    """Return outputs and final state (3), by the engine for these tensors. Raises InputError for what does not fit."""
    inputs, state, weights = named_tensors(tensors)
    if inputs.dim() != 3 or not inputs.is_floating_point() or every < 0:
        raise InputError(
            f"inputs is a {inputs.dim()}-D {inputs.dtype} tensor, and every {every}; "
            "expected floating-point numbers (steps, samples, features), and 0 or more"
        )
    spec = CellSpec.from_text(cell)
    check_shapes(spec, inputs, state, weights)
    if lengths is not None:
        check_lengths(lengths, inputs)
    options = CallOptions(checkpoint_every=every)
    call = LayerCall(spec, weights, inputs, state, lengths, paths, options)
    others = (tensor for tensor in tensors[1:] if tensor is not None)
    engine = _Choice.engine(Request(spec, paths, inputs, state.cells.shape[1], others, options))
    # The layer has brought everything to one type, and a backward pass may run where autocast is set otherwise.
    with torch.autocast(inputs.device.type, enabled=False):
        outputs, final = engine.run(call)
    return outputs, *final


def _apart(results: Sequence[Tensor], arguments: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """Return the results, contiguous, none in the memory of another one or of an argument: operators may not do so."""
    storages = {tensor.untyped_storage().data_ptr() for tensor in arguments if tensor is not None}
    apart = []
    for result in results:
        address = result.untyped_storage().data_ptr()
        shared = address in storages
        storages.add(address)
        apart.append(result.clone(memory_format=torch.contiguous_format) if shared else result.contiguous())
    return tuple(apart)


@torch.library.custom_op("longlag::any_layer", mutates_args=())
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
    every: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    tensors = (inputs, output, cells, gates, weight_input, weight_recurrent, bias, peephole, projection)
    with torch.no_grad():
        results = _run(tensors, lengths, cell, GradientPaths(recurrent=recurrent, peepholes=peepholes), every)
        return _apart(results, tensors)  # type: ignore[return-value]


@_forward.register_fake
def _(inputs: Tensor, output: Tensor, cells: Tensor, gates: Tensor, *_: Any) -> tuple[Tensor, ...]:
    outputs = inputs.new_empty((inputs.shape[0], *output.shape))
    return outputs, *(part.new_empty(part.shape) for part in (output, cells, gates))


@torch.library.custom_op("longlag::any_layer_backward", mutates_args=())
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
    cell: str,
    recurrent: bool,
    peepholes: bool,
    every: int,
) -> list[Tensor]:
    tensors = (inputs, output, cells, gates, weight_input, weight_recurrent, bias, peephole, projection)
    if len(grads) != 4 or len(wanted) != _TENSORS:
        raise InputError(f"there are {len(grads)} gradients and {len(wanted)} wishes; expected 4 and {_TENSORS}")
    with _autograd():
        leaves = [
            None if tensor is None else tensor.detach().requires_grad_(wish)
            for tensor, wish in zip(tensors, wanted, strict=True)
        ]
        results = _run(leaves, lengths, cell, GradientPaths(recurrent=recurrent, peepholes=peepholes), every)
        values, errors = arriving_errors(results, grads)
        wanted_leaves = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
        gradients: Iterator[Tensor] = iter(())
        if values and wanted_leaves:
            gradients = iter(
                torch.autograd.grad(values, wanted_leaves, errors, allow_unused=True, materialize_grads=True)
            )
        elif wanted_leaves:
            gradients = iter([torch.zeros_like(leaf) for leaf in wanted_leaves])
    all_gradients = [
        inputs.new_empty(0) if leaf is None or not leaf.requires_grad else next(gradients) for leaf in leaves
    ]
    return list(_apart(all_gradients, (*tensors, *grads)))


@_backward.register_fake
def _(grads: Sequence[Tensor | None], wanted: Sequence[bool], inputs: Tensor, *others: Any) -> list[Tensor]:
    tensors = (inputs, *others[: _TENSORS - 1])
    return [
        inputs.new_empty(0) if tensor is None or not wish else tensor.new_empty(tensor.shape)
        for tensor, wish in zip(tensors, wanted, strict=True)
    ]


@contextmanager
def _autograd() -> Iterator[None]:
    """Autograd follows what runs inside. An operator runs below it, where PyTorch has taken autograd's keys away."""
    keys = torch._C.DispatchKey
    with (
        torch._C._SetExcludeDispatchKeyGuard(keys.AutogradFunctionality, False),
        torch._C._SetExcludeDispatchKeyGuard(keys.AutogradOther, False),
        torch._C._SetExcludeDispatchKeyGuard(keys.ADInplaceOrView, False),
        torch.enable_grad(),
    ):
        yield


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.settings = inputs[_TENSORS + 1 :]
    ctx.save_for_backward(*inputs[: _TENSORS + 1])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, *grads: Tensor | None) -> Any:
    *tensors, lengths = ctx.saved_tensors
    cell, recurrent, peepholes, every = ctx.settings
    if not torch.compiler.is_compiling() and is_followed(grads):
        paths = GradientPaths(recurrent=recurrent, peepholes=peepholes)
        gradients = differentiable_gradient(CellSpec.from_text(cell), lengths, paths, tensors, grads)
    else:
        wanted = list(ctx.needs_input_grad[:_TENSORS])
        computed = _backward(list(grads), wanted, *tensors, lengths, cell, recurrent, peepholes, every)
        gradients = [gradient if wish else None for gradient, wish in zip(computed, wanted, strict=True)]
    return *gradients, None, *(None for _ in ctx.settings)


_forward.register_autograd(_differentiate, setup_context=_remember)
