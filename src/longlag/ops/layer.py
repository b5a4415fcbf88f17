"""What every engine of a layer takes and gives: its weights, its state, and the layout both follow."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.paths import ErrorPaths

__all__ = ["Layer", "State", "Weights", "by_cell", "by_gate", "check", "dense", "unit_bias"]


class Weights(NamedTuple):
    """Weights of one layer and direction. Rows stand in the order of ``CellSpec.rows``.

    input : (rows, I); recurrent : (rows, R); bias : (rows,) or None;
    peephole : (gates, H) or None, gates in the order i, f, o; projection : (P, H) or None.
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor | None = None
    peephole: Tensor | None = None
    projection: Tensor | None = None


class State(NamedTuple):
    """What a layer carries from step to step.

    output : (B, O) cell outputs (projected if there is a projection), then conventional units;
    cells : (B, H) internal states s; gates : (B, gate units) activations i, f, o, or width 0 without gate recurrence.
    """

    output: Tensor
    cells: Tensor
    gates: Tensor


class Layer(Protocol):
    """An engine: one layer in one direction over whole sequences."""

    def __call__(
        self,
        spec: CellSpec,
        weights: Weights,
        inputs: Tensor,
        state: State,
        lengths: Tensor | None,
        paths: ErrorPaths,
    ) -> tuple[Tensor, State]:
        """inputs (T, B, I), state before step 0, lengths (B,) or None -> outputs (T, B, O), state after each last step.

        Beyond a sequence's length its outputs are zero and its state stands still.
        """
        ...


def by_cell(gate: Tensor, spec: CellSpec) -> Tensor:
    """(B, blocks) -> (B, cells): a block's gate, once for each of its cells."""
    return gate if spec.cells_per_block == 1 else gate.repeat_interleave(spec.cells_per_block, dim=-1)


def by_gate(cells: Tensor, spec: CellSpec) -> Tensor:
    """(B, cells) -> (B, blocks): the sum over the cells of each block. The adjoint of ``by_cell``."""
    return cells if spec.cells_per_block == 1 else cells.unflatten(-1, (-1, spec.cells_per_block)).sum(-1)


def unit_bias(spec: CellSpec, bias: Tensor | None, hidden_size: int) -> Tensor | None:
    """A bias for every row: with ``biases="gates"`` the stored vector holds gate units only; the others get zero."""
    if bias is None or spec.biases != "gates":
        return bias
    blocks, before = spec.blocks(hidden_size), len([gate for gate in spec.gates if gate in "if"])
    return torch.cat(
        [
            bias[: before * blocks],
            bias.new_zeros(hidden_size),
            bias[before * blocks :],
            bias.new_zeros(spec.conventional_units),
        ]
    )


# ---------------------------------------------------------------- for kernels, which see addresses alone


@functools.lru_cache(maxsize=256)
def _shapes(spec: CellSpec, samples: int, inputs: int, hidden: int, projection: int) -> dict[str, tuple[int, ...]]:
    rows = spec.row_count(hidden)
    return {
        "output": (samples, spec.output_size(hidden, projection)),
        "cells": (samples, hidden),
        "gates": (samples, spec.gate_size(hidden) if spec.gate_recurrence else 0),
        "weight_input": (rows, inputs),
        "weight_recurrent": (rows, spec.source_size(hidden, projection)),
        "bias": (rows,),
        "peephole": (len(spec.gates), hidden),
        "projection": (projection, hidden),
    }


def check(spec: CellSpec, inputs: Tensor, state: Iterable[Tensor], weights: Iterable[Tensor | None]) -> None:
    """Refuse what a kernel, which sees addresses alone, would read past its end. Raises InputError."""
    state, weights = tuple(state), tuple(weights)
    projection = 0 if weights[4] is None else weights[4].shape[0]
    shapes = _shapes(spec, inputs.shape[1], inputs.shape[2], state[1].shape[-1], projection)
    dtype, device = inputs.dtype, inputs.device
    for (name, shape), tensor in zip(shapes.items(), (*state, *weights), strict=True):
        if tensor is None:
            if name == "peephole" and spec.peepholes:
                raise InputError("peephole is missing; the cell has peepholes")
        elif tensor.shape != shape or tensor.dtype is not dtype or tensor.device != device:
            raise InputError(
                f"{name} is {tuple(tensor.shape)} {tensor.dtype} on {tensor.device}; "
                f"expected {shape} {dtype} on {device}"
            )


def dense(tensors: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Each one contiguous; kernels read weights and states so."""
    return tuple([None if tensor is None else tensor.contiguous() for tensor in tensors])
