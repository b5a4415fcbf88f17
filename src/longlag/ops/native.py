"""The CPU kernels of csrc/ as functions over tensors: any cell, float32 and float64, a whole sequence in one call.

Autograd knows nothing of them, and they take what they are given at its word: ``native_layer.py`` puts them under
autograd, ``custom_ops.py`` makes operators of them, and both let nothing but plain, fitting tensors through.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from longlag import _native
from longlag.cell import CellSpec
from longlag.ops.compiled_cells import compiled_cell
from longlag.ops.crossover import Lanes
from longlag.ops.paths import GradientPaths
from longlag.ops.plain_tensors import dense

__all__ = [
    "DEVICES",
    "DTYPES",
    "Plan",
    "backward",
    "can_run",
    "compiled_cell",
    "forward",
    "kernel",
    "tangent",
    "tape_size",
]

DTYPES = frozenset({torch.float32, torch.float64})
DEVICES = frozenset({"cpu"})
_NOWHERE = (0, 0, 0, 0)


class Plan(NamedTuple):
    """How the kernels are to run a layer: all of a call that is not a tensor.

    every : checkpoints every so many steps; between them the way back runs forward again. 0: the tape keeps each step.
    """

    spec: CellSpec
    paths: GradientPaths
    lanes: Lanes
    every: int = 0


def can_run(tensor: Tensor) -> bool:
    """Return whether the kernels take this tensor's device and type."""
    return tensor.device.type in DEVICES and tensor.dtype in DTYPES


# ---------------------------------------------------------------- calls


@functools.lru_cache(maxsize=256)
def kernel(spec: CellSpec, paths: GradientPaths, inputs: int, hidden: int, projection: int) -> _native.Layer:
    """Return the compiled kernels for one layer; one object serves all batches and both types."""
    return _native.Layer(
        cell=compiled_cell(spec),
        input_size=inputs,
        hidden_size=hidden,
        projection_size=projection,
        recurrent_paths=paths.recurrent,
        peephole_paths=paths.peepholes,
    )


def _kernel_for(plan: Plan, inputs: Tensor, cells: Tensor, projection: Tensor | None) -> _native.Layer:
    columns = 0 if projection is None else projection.shape[0]
    return kernel(plan.spec, plan.paths, inputs.shape[2], cells.shape[1], columns)


def tape_size(plan: Plan, inputs: Tensor, cells: Tensor, projection: Tensor | None) -> int:
    """Return the length of the tape that ``forward`` keeps for these."""
    steps, samples, _ = inputs.shape
    return _kernel_for(plan, inputs, cells, projection).tape_size(
        wide=inputs.dtype == torch.float64,
        lanes=plan.lanes,
        steps=steps,
        samples=samples,
        checkpoint_every=plan.every,
    )


def _addresses(tensors: Iterable[Tensor | None]) -> tuple[int, ...]:
    return tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


def _strided(tensor: Tensor | None) -> tuple[int, ...]:
    return _NOWHERE if tensor is None else (tensor.data_ptr(), *tensor.stride())


def _batch_call(
    plan: Plan,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    outputs: Tensor,
    tape: Tensor | None,
) -> _native.BatchCall:
    """Return the arguments that every pass takes. Addresses do not keep tensors alive: the caller does."""
    steps, samples, _ = inputs.shape
    return _native.BatchCall(
        lanes=plan.lanes,
        threads=torch.get_num_threads(),
        steps=steps,
        samples=samples,
        checkpoint_every=plan.every,
        lengths=0 if lengths is None else lengths.data_ptr(),
        inputs=_strided(inputs),
        weights=_addresses(weights),
        initial_state=_addresses(state),
        outputs=outputs.data_ptr(),
        tape=0 if tape is None else tape.data_ptr(),
    )


def forward(
    plan: Plan,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    tape: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return outputs and final state (3). States and weights are contiguous.

    The steps are written onto ``tape``, of ``tape_size`` elements or more, some of which stay as they are; None keeps
    no step.
    """
    compiled = _kernel_for(plan, inputs, state[1], weights[4])
    make = inputs.new_empty if lengths is None else inputs.new_zeros  # beyond a length outputs are zero
    steps, samples, _ = inputs.shape
    outputs = make(steps, samples, state[0].shape[1])
    output, cells, gates = map(torch.empty_like, state)
    batch_call = _batch_call(plan, inputs, state, weights, lengths, outputs, tape)
    run = compiled.forward64 if inputs.dtype == torch.float64 else compiled.forward32
    run(batch_call, final_state=(output.data_ptr(), cells.data_ptr(), gates.data_ptr()))
    return outputs, output, cells, gates


def backward(
    plan: Plan,
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
    """Return gradients by inputs, initial state (3) and weights (5); ``wanted``: which of the first four are needed.

    ``grads`` are those by outputs and final state, None where nothing arrives. ``each``: weights have one for each
    sample, (B, ...).
    """
    compiled = _kernel_for(plan, inputs, state[1], weights[4])
    d_outputs, *rest = grads
    d_final = dense(tuple(rest))
    make = inputs.new_empty if lengths is None else inputs.new_zeros
    d_inputs = make(inputs.shape) if wanted[0] else None
    d_state = [torch.empty_like(part) if want else None for part, want in zip(state, wanted[1:4], strict=True)]
    if each:
        samples = inputs.shape[1]
        d_weights = [None if weight is None else weight.new_empty((samples, *weight.shape)) for weight in weights]
    else:
        d_weights = [None if weight is None else torch.empty_like(weight) for weight in weights]
    run = compiled.backward64 if inputs.dtype == torch.float64 else compiled.backward32
    run(
        _batch_call(plan, inputs, state, weights, lengths, outputs, tape),
        d_outputs=_strided(d_outputs),
        d_final_state=_addresses(d_final),
        d_inputs=0 if d_inputs is None else d_inputs.data_ptr(),
        d_initial_state=_addresses(d_state),
        d_weights=_addresses(d_weights),
        per_sample=each,
    )
    return [d_inputs, *d_state, *d_weights]


def tangent(
    plan: Plan,
    directions: tuple[Tensor | None, ...],
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    outputs: Tensor,
    tape: Tensor,
) -> list[Tensor]:
    """Return how outputs and final state (3) move as inputs, initial state (3) and weights (5) do in ``directions``.

    None: stands still. Along every path, whatever the gradient paths are.
    """
    compiled = _kernel_for(plan, inputs, state[1], weights[4])
    d_inputs, *d_others = directions
    d_state = dense(tuple(d_others[:3]))
    d_weights = [  # a weight that stands still moves by zero
        None if weight is None else torch.zeros_like(weight) if moved is None else moved.contiguous()
        for weight, moved in zip(weights, d_others[3:], strict=True)
    ]
    d_outputs = torch.empty_like(outputs) if lengths is None else torch.zeros_like(outputs)
    d_final = [torch.empty_like(part) for part in state]
    run = compiled.tangent64 if inputs.dtype == torch.float64 else compiled.tangent32
    run(
        _batch_call(plan, inputs, state, weights, lengths, outputs, tape),
        inputs=_strided(d_inputs),
        initial_state=_addresses(d_state),
        weights=_addresses(d_weights),
        outputs=d_outputs.data_ptr(),
        final_state=_addresses(d_final),
    )
    return [d_outputs, *d_final]
