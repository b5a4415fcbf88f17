"""Gradients of the weights, from the errors of all net inputs: one product each over all samples and steps."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.layer import State, Weights, by_cell
from longlag.ops.squash import SQUASH
from longlag.ops.triton.run import Errors, Kept

__all__ = ["weight_gradients"]


def weight_gradients(
    spec: CellSpec, errors: Errors, inputs: Tensor, state: State, weights: Weights, outputs: Tensor, kept: Kept
) -> Weights:
    """Of W, R, b, p and P. Where a sequence has ended every error is zero, and so is what it meets."""
    flat = errors.delta.flatten(0, 1)
    return Weights(
        flat.T @ inputs.flatten(0, 1),
        _recurrent(spec, errors.delta, state, weights, outputs, kept),
        None if weights.bias is None else flat.sum(0),
        _peepholes(spec, errors, weights.peephole, kept),
        None if errors.columns is None else _projection(spec, errors.columns, kept),
    )


def _recurrent(spec: CellSpec, delta: Tensor, state: State, weights: Weights, outputs: Tensor, kept: Kept) -> Tensor:
    """Sum of delta_t r_{t-1}': r is the initial state, then outputs and activations that exist already: no copy."""
    found = torch.zeros_like(weights.recurrent)
    if not spec.recurrence or not len(delta):
        return found
    first, later = delta[0], delta[1:].flatten(0, 1)
    width = state.output.shape[1]
    found[:, :width] = torch.addmm(later.T @ outputs[:-1].flatten(0, 1), first.T, state.output)
    if spec.gate_recurrence:
        rows, blocks = spec.rows(state.cells.shape[1]), spec.blocks(state.cells.shape[1])
        activations = kept.units[:-1].flatten(0, 1)
        for number, name in enumerate(spec.gates):
            place = slice(number * blocks, (number + 1) * blocks)
            before = later.T @ activations[:, rows[name]]
            found[:, width + place.start : width + place.stop] = torch.addmm(before, first.T, state.gates[:, place])
    return found


def _peepholes(spec: CellSpec, errors: Errors, peephole: Tensor | None, kept: Kept) -> Tensor | None:
    """Sum of delta s over samples and steps, cell by cell: i and f see s_{t-1}, o sees s_t."""
    if peephole is None or errors.peephole is not None:
        return errors.peephole
    delta = errors.delta
    rows, found = spec.rows(kept.cells.shape[2]), torch.empty_like(peephole)
    for number, name in enumerate(spec.gates):
        seen = (kept.cells[1:] if name == "o" else kept.cells[:-1]).unflatten(-1, (-1, spec.cells_per_block))
        at_gate = delta[:, :, rows[name]].to(seen.dtype)
        found[number] = (at_gate[..., None] * seen).sum((0, 1)).flatten()
    return found


def _projection(spec: CellSpec, columns: Tensor, kept: Kept) -> Tensor:
    """Sum of dE/dy q', with q = o h(s) computed again."""
    passed = SQUASH[spec.output_squash](kept.cells[1:])
    if spec.output_gate:
        rows = spec.rows(passed.shape[2])["o"]
        passed = by_cell(kept.units[:, :, rows], spec).to(passed.dtype) * passed
    passed = passed.to(columns.dtype)
    return columns.flatten(0, 1).T @ passed.flatten(0, 1)
