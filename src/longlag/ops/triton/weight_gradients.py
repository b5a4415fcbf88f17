"""Gradients of the weights, from the errors of all net inputs: one product each over all samples and steps."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.layer import State, Weights, by_cell
from longlag.ops.squash import SQUASH
from longlag.ops.triton.backward_pass import Errors
from longlag.ops.triton.launch import KernelTape

__all__ = ["weight_gradients"]


def weight_gradients(
    spec: CellSpec, errors: Errors, inputs: Tensor, state: State, weights: Weights, outputs: Tensor, tape: KernelTape
) -> Weights:
    """Return dE/dW, dE/dR, dE/db, dE/dp and dE/dP. After a sequence's end errors are zero, and so is what they meet."""
    flat = errors.delta.flatten(0, 1)
    return Weights(
        flat.T @ inputs.flatten(0, 1),
        _recurrent(spec, errors.delta, state, weights, outputs, tape),
        None if weights.bias is None else flat.sum(0),
        _peephole(spec, errors, weights.peephole, tape),
        None if errors.columns is None else _projection(spec, errors.columns, tape),
    )


def _recurrent(
    spec: CellSpec, delta: Tensor, state: State, weights: Weights, outputs: Tensor, tape: KernelTape
) -> Tensor:
    """Sum of delta_t r_{t-1}'. The r are not copied: they are the initial state, then outputs and activations."""
    gradient = torch.zeros_like(weights.recurrent)
    if not spec.recurrence or not len(delta):
        return gradient
    first, later = delta[0], delta[1:].flatten(0, 1)
    width = state.output.shape[1]
    gradient[:, :width] = torch.addmm(later.T @ outputs[:-1].flatten(0, 1), first.T, state.output)
    if spec.gate_recurrence:
        rows, blocks = spec.rows(state.cells.shape[1]), spec.blocks(state.cells.shape[1])
        activations = tape.activations[:-1].flatten(0, 1)
        for number, name in enumerate(spec.gates):
            place = slice(number * blocks, (number + 1) * blocks)
            before = later.T @ activations[:, rows[name]]
            gradient[:, width + place.start : width + place.stop] = torch.addmm(before, first.T, state.gates[:, place])
    return gradient


def _peephole(spec: CellSpec, errors: Errors, peephole: Tensor | None, tape: KernelTape) -> Tensor | None:
    """Sum of delta s over samples and steps, cell by cell: i and f see s_{t-1}, o sees s_t."""
    if peephole is None or errors.peephole is not None:
        return errors.peephole
    delta = errors.delta
    rows, gradient = spec.rows(tape.states.shape[2]), torch.empty_like(peephole)
    for number, name in enumerate(spec.gates):
        seen = (tape.states[1:] if name == "o" else tape.states[:-1]).unflatten(-1, (-1, spec.cells_per_block))
        at_gate = delta[:, :, rows[name]].to(seen.dtype)
        gradient[number] = (at_gate[..., None] * seen).sum((0, 1)).flatten()
    return gradient


def _projection(spec: CellSpec, columns: Tensor, tape: KernelTape) -> Tensor:
    """Sum of dE/dy q', with q = o h(s) computed again."""
    product = SQUASH[spec.output_squash](tape.states[1:])
    if spec.output_gate:
        rows = spec.rows(product.shape[2])["o"]
        product = by_cell(tape.activations[:, :, rows], spec).to(product.dtype) * product
    product = product.to(columns.dtype)
    return columns.flatten(0, 1).T @ product.flatten(0, 1)
