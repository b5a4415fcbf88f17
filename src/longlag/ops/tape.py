"""The forward pass that remembers: the same function as the reference, writing down what a backward pass needs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.layer import State, Weights, by_cell, by_gate
from longlag.ops.squash import SQUASH

__all__ = ["Tape", "record"]


class Tape(NamedTuple):
    """What is kept of every step t. Outputs are not: who keeps what leaves an autograd function keeps itself alive."""

    units: Tensor  # (T, B, rows): activations of all units, in the order of CellSpec.rows
    cells: Tensor  # (T + 1, B, H): cells[t] = s_{t-1}
    squashed: Tensor  # (T, B, H): h(s_t)
    source: Tensor  # (T, B, R): r_{t-1}

    @classmethod
    def blank(cls, spec: CellSpec, weights: Weights, inputs: Tensor, state: State, steps: int) -> Tape:
        """Return a tape for ``steps`` steps of these shapes; only the initial state is on it."""
        samples, hidden = inputs.shape[1], state.cells.shape[-1]
        cells = inputs.new_empty((steps + 1, samples, hidden))
        cells[0] = state.cells
        return cls(
            inputs.new_empty((steps, samples, spec.row_count(hidden))),
            cells,
            inputs.new_empty((steps, samples, hidden)),
            inputs.new_empty((steps, samples, weights.recurrent.shape[1])),
        )


def record(
    spec: CellSpec, weights: Weights, inputs: Tensor, state: State, lengths: Tensor | None, *, keep: bool = True
) -> tuple[Tensor, State, Tape]:
    """Return outputs (T, B, O), the state after each sequence's last step, and the tape.

    Without ``keep`` the tape has room for one step, which each step writes anew.
    """
    tape = Tape.blank(spec, weights, inputs, state, inputs.shape[0] if keep else 1)
    outputs = inputs.new_empty((inputs.shape[0], *state.output.shape))
    net = inputs @ weights.input.T
    if weights.bias is not None:
        net += weights.bias
    for t in range(inputs.shape[0]):
        place = t if keep else 0
        new = _step(spec, weights, net[t], state, tape, place)
        if lengths is None:
            state, outputs[t] = new, new.output
        else:
            running = (t < lengths)[:, None]
            state = State(*(torch.where(running, after, before) for after, before in zip(new, state, strict=True)))
            outputs[t] = torch.where(running, new.output, 0.0)
        tape.cells[place + 1] = state.cells
    return outputs, state, tape


def _step(spec: CellSpec, weights: Weights, net: Tensor, state: State, tape: Tape, place: int) -> State:
    """``reference.step``, written at ``place`` of the tape. ``net`` (B, rows) holds W x_t + b and is overwritten."""
    rows, units = spec.rows(state.cells.shape[-1]), tape.units[place]
    if spec.recurrence:
        # In memory of its own, kept or not: where a matrix stands decides the last bit of a product.
        source = torch.cat([state.output, state.gates], dim=-1)  # gates have width 0 without gate recurrence
        net.addmm_(source, weights.recurrent.T)
        tape.source[place] = source

    # i and f see s_{t-1} and stand side by side in the rows: one sigmoid for both
    _gates(spec, weights, net, units, "if", state.cells)
    added = SQUASH[spec.input_squash](net[:, rows["g"]])
    units[:, rows["g"]] = added
    opened = by_cell(units[:, rows["i"]], spec) if spec.input_gate else None
    cells = added if opened is None else opened * added
    if "f" in rows:
        cells = torch.addcmul(cells, by_cell(units[:, rows["f"]], spec), state.cells)
    elif spec.coupled_gates and opened is not None:
        cells = torch.addcmul(cells, 1.0 - opened, state.cells)
    else:
        cells = cells + state.cells

    _gates(spec, weights, net, units, "o", cells)
    squashed = SQUASH[spec.output_squash](cells)
    tape.squashed[place] = squashed
    output = by_cell(units[:, rows["o"]], spec) * squashed if spec.output_gate else squashed
    if weights.projection is not None:
        output = output @ weights.projection.T
    if spec.conventional_units:
        units[:, rows["u"]] = SQUASH[spec.unit_squash](net[:, rows["u"]])
        output = torch.cat([output, units[:, rows["u"]]], dim=-1)
    gates = state.gates
    if spec.gate_recurrence:
        gates = torch.cat([units[:, rows[name]] for name in spec.gates], dim=-1)
    return State(output, cells, gates)


def _gates(spec: CellSpec, weights: Weights, net: Tensor, units: Tensor, names: str, seen: Tensor) -> None:
    """Write activations of those gates in ``names`` that the cell has into ``units``; peepholes see ``seen``."""
    rows = spec.rows(seen.shape[-1])
    present = [name for name in names if name in rows]
    if not present:
        return
    if weights.peephole is not None:
        for name in present:
            net[:, rows[name]] += by_gate(weights.peephole[spec.gates.index(name)] * seen, spec)
    span = slice(rows[present[0]].start, rows[present[-1]].stop)
    if spec.sharpness != 1.0:
        net[:, span] *= spec.sharpness
    torch.sigmoid(net[:, span], out=units[:, span])
