"""Full BPTT by hand (batch paper, eqs 13-18), extended to forget gates, peepholes, blocks and the rest of CellSpec.

The same function as ``ops.reference.layer``; the backward pass is written out instead of recorded: samples lie in
matrix rows, one product per weight matrix serves all steps (eq. 18). Derivation and names: ops/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops import reference
from longlag.ops.layer import State, Weights, by_cell, by_gate
from longlag.ops.paths import ErrorPaths
from longlag.ops.squash import SLOPE, SQUASH

__all__ = ["layer"]


def layer(
    spec: CellSpec,
    weights: Weights,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    paths: ErrorPaths,
) -> tuple[Tensor, State]:
    """See ``ops.layer.Layer``. Second derivatives are taken through the reference."""
    outputs, *final = _Layer.apply(spec, lengths, paths, inputs, *state, *weights)  # type: ignore[no-untyped-call]
    return outputs, State(*final)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spec: CellSpec, lengths: Tensor | None, paths: ErrorPaths, *tensors: Tensor | None) -> Any:
        inputs, state, weights = _named(tensors)
        tape = _Tape.blank(spec, weights, inputs, state)
        outputs = inputs.new_empty((inputs.shape[0], *state.output.shape))
        net = inputs @ weights.input.T
        if weights.bias is not None:
            net += weights.bias
        for t in range(inputs.shape[0]):
            running = None if lengths is None else (t < lengths)[:, None]
            new = _step(spec, weights, net[t], state, tape, t)
            if running is None:
                state, outputs[t] = new, new.output
            else:
                state = State(*(torch.where(running, after, before) for after, before in zip(new, state, strict=True)))
                outputs[t] = torch.where(running, new.output, 0.0)
            tape.cells[t + 1] = state.cells
        ctx.spec, ctx.paths, ctx.lengths = spec, paths, lengths
        ctx.save_for_backward(*tensors, *tape)  # autograd lets go of it after the backward pass
        # A final state may be the state that came in (T = 0) or part of the tape: hand out its own copy.
        return outputs, *(part.clone() for part in state)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        kept = len(_Tape._fields)
        tensors, tape = ctx.saved_tensors[:-kept], _Tape(*ctx.saved_tensors[-kept:])
        found: Sequence[Tensor | None]
        if torch.is_grad_enabled():  # create_graph=True: somebody wants to differentiate this gradient
            found = _through_reference(ctx, tensors, grads)
        else:
            inputs, state, weights = _named(tensors)
            found = _backward(ctx.spec, weights, inputs, state, ctx.lengths, ctx.paths, tape, *grads)
        return None, None, None, *found


class _Tape(NamedTuple):
    """What the forward pass keeps for every step.

    Outputs are not on it: a tensor that leaves the function and is also kept by it would keep itself alive.
    """

    units: Tensor  # (T, B, rows): i, f, g, o, u after squashing
    cells: Tensor  # (T + 1, B, H): cells[t] = s_{t-1}
    squashed: Tensor  # (T, B, H): h(s_t)
    source: Tensor  # (T, B, R): r_{t-1}

    @classmethod
    def blank(cls, spec: CellSpec, weights: Weights, inputs: Tensor, state: State) -> _Tape:
        steps, samples, hidden = inputs.shape[0], inputs.shape[1], state.cells.shape[-1]
        cells = inputs.new_empty((steps + 1, samples, hidden))
        cells[0] = state.cells
        return cls(
            inputs.new_empty((steps, samples, spec.row_count(hidden))),
            cells,
            inputs.new_empty((steps, samples, hidden)),
            inputs.new_empty((steps, samples, weights.recurrent.shape[1])),
        )


def _named(tensors: tuple[Tensor | None, ...]) -> tuple[Tensor, State, Weights]:
    inputs, output, cells, gates, *weights = tensors
    assert inputs is not None and output is not None and cells is not None and gates is not None
    return inputs, State(output, cells, gates), Weights(*weights)  # type: ignore[arg-type]


def _step(spec: CellSpec, weights: Weights, net: Tensor, state: State, tape: _Tape, t: int) -> State:
    """``reference.step``, writing what the backward pass needs onto the tape. ``net`` is overwritten."""
    rows = spec.rows(state.cells.shape[-1])
    if spec.recurrence:
        source = (
            torch.cat([state.output, state.gates], dim=-1, out=tape.source[t])
            if spec.gate_recurrence
            else (tape.source[t].copy_(state.output))
        )
        net.addmm_(source, weights.recurrent.T)
    units = tape.units[t]

    def gates(names: str, seen: Tensor) -> None:
        present = [name for name in names if name in rows]
        if not present:
            return
        span = slice(rows[present[0]].start, rows[present[-1]].stop)  # i and f stand side by side: one sigmoid
        if weights.peephole is not None:
            for name in present:
                net[:, rows[name]] += by_gate(weights.peephole[spec.gates.index(name)] * seen, spec)
        if spec.sharpness != 1.0:
            net[:, span] *= spec.sharpness
        torch.sigmoid(net[:, span], out=units[:, span])

    gates("if", state.cells)
    units[:, rows["g"]] = SQUASH[spec.input_squash](net[:, rows["g"]])
    opened = by_cell(units[:, rows["i"]], spec) if spec.input_gate else None
    cells = units[:, rows["g"]] if opened is None else opened * units[:, rows["g"]]
    if "f" in rows:
        cells = torch.addcmul(cells, by_cell(units[:, rows["f"]], spec), state.cells)
    elif spec.coupled_gates and opened is not None:
        cells = torch.addcmul(cells, 1.0 - opened, state.cells)
    else:
        cells = cells + state.cells
    gates("o", cells)
    squashed = SQUASH[spec.output_squash](cells)
    tape.squashed[t] = squashed
    output = by_cell(units[:, rows["o"]], spec) * squashed if spec.output_gate else squashed
    if weights.projection is not None:
        output = output @ weights.projection.T
    if spec.conventional_units:
        units[:, rows["u"]] = SQUASH[spec.unit_squash](net[:, rows["u"]])
        output = torch.cat([output, units[:, rows["u"]]], dim=-1)
    activations = (
        torch.cat([units[:, rows[name]] for name in spec.gates], dim=-1) if spec.gate_recurrence else state.gates
    )
    return State(output, cells, activations)


def _backward(
    spec: CellSpec,
    weights: Weights,
    inputs: Tensor,
    initial: State,
    lengths: Tensor | None,
    paths: ErrorPaths,
    tape: _Tape,
    d_outputs: Tensor,
    d_output: Tensor,
    d_cells: Tensor,
    d_gates: Tensor,
) -> tuple[Tensor | None, ...]:
    """Errors run from the last step to the first; ``delta[t]`` are those of the net inputs (eqs 13-17), before alpha."""
    rows = spec.rows(tape.squashed.shape[-1])
    cell_columns = weights.projection.shape[0] if weights.projection is not None else tape.squashed.shape[-1]
    delta = torch.empty_like(tape.units)
    d_peephole = torch.zeros_like(weights.peephole) if weights.peephole is not None else None
    d_projection = torch.zeros_like(weights.projection) if weights.projection is not None else None
    carried = State(d_output, d_cells, d_gates)

    for t in reversed(range(inputs.shape[0])):
        units, before, after, squashed = tape.units[t], tape.cells[t], tape.cells[t + 1], tape.squashed[t]
        errors = delta[t]
        at_output = d_outputs[t] + carried.output  # eq. 13: from above, and from t+1 through the recurrent weights
        at_gates = (
            dict(zip(spec.gates, carried.gates.split(units[:, rows[spec.gates[0]]].shape[-1], dim=-1), strict=True))
            if spec.gate_recurrence
            else {}
        )
        running = None if lengths is None else (t < lengths)[:, None]
        if running is not None:
            at_output = torch.where(running, at_output, 0.0)

        def to_gate(name: str, d_gate: Tensor, seen: Tensor, d_seen: Tensor | None) -> Tensor | None:
            """A gate's net-input error (eqs 14, 17) into ``errors``; returns the state error with its peephole's share."""
            if name in at_gates:
                d_gate = d_gate + at_gates[name]
            value = units[:, rows[name]]
            error = d_gate * value * (1.0 - value) * spec.sharpness
            if running is not None:
                error = torch.where(running, error, 0.0)
            errors[:, rows[name]] = error
            if weights.peephole is None or d_peephole is None:
                return d_seen
            row, at_cells = spec.gates.index(name), by_cell(error, spec)
            d_peephole[row] += (at_cells * seen).sum(0)
            if not paths.peepholes:
                return d_seen
            share = weights.peephole[row] * at_cells
            return share if d_seen is None else d_seen + share

        # y = P (o * h(s)), conventional units beside it
        d_product = at_output[:, :cell_columns]
        if weights.projection is not None and d_projection is not None:
            product = by_cell(units[:, rows["o"]], spec) * squashed if spec.output_gate else squashed
            d_projection += d_product.T @ product
            d_product = d_product @ weights.projection
        if spec.conventional_units:
            value = units[:, rows["u"]]
            errors[:, rows["u"]] = at_output[:, cell_columns:] * SLOPE[spec.unit_squash](value)

        # eq. 15: the state's error, from the output, from s_{t+1}, and from the output gate's peephole
        slope = SLOPE[spec.output_squash](squashed)
        if spec.output_gate:
            d_state = torch.addcmul(carried.cells, d_product * by_cell(units[:, rows["o"]], spec), slope)
            d_state = to_gate("o", by_gate(d_product * squashed, spec), after, d_state)  # type: ignore[assignment]
        else:
            d_state = torch.addcmul(carried.cells, d_product, slope)

        # eqs 16, 17: into g and the input and forget gates; on to s_{t-1}
        added = units[:, rows["g"]]
        d_added, d_before = d_state, d_state
        seen_share: Tensor | None = None
        if spec.input_gate:
            opened = by_cell(units[:, rows["i"]], spec)
            d_added = d_state * opened
            d_opened = d_state * (added - before if spec.coupled_gates else added)
            if spec.coupled_gates:
                d_before = d_state * (1.0 - opened)
            seen_share = to_gate("i", by_gate(d_opened, spec), before, seen_share)
        if "f" in rows:
            seen_share = to_gate("f", by_gate(d_state * before, spec), before, seen_share)
            d_before = d_state * by_cell(units[:, rows["f"]], spec)
        errors_g = d_added * SLOPE[spec.input_squash](added)
        errors[:, rows["g"]] = errors_g if running is None else torch.where(running, errors_g, 0.0)
        if seen_share is not None:
            d_before = d_before + seen_share

        # through r_{t-1} to the outputs and gate activations of t-1
        if spec.recurrence and paths.recurrent:
            d_source = errors @ weights.recurrent
            width = carried.output.shape[-1]
            new = State(d_source[:, :width], d_before, d_source[:, width:] if spec.gate_recurrence else carried.gates)
        else:
            new = State(torch.zeros_like(carried.output), d_before, torch.zeros_like(carried.gates))
        carried = (
            new if running is None else State(*(torch.where(running, a, b) for a, b in zip(new, carried, strict=True)))
        )

    # eq. 18: one product over all samples and steps
    flat = delta.flatten(0, 1)
    return (
        delta @ weights.input,
        *carried,
        flat.T @ inputs.flatten(0, 1),
        flat.T @ tape.source.flatten(0, 1),
        flat.sum(0) if weights.bias is not None else None,
        d_peephole,
        d_projection,
    )


def _through_reference(
    ctx: Any, tensors: tuple[Tensor | None, ...], grads: tuple[Tensor, ...]
) -> list[Tensor | None]:
    """The same gradient with its own graph, so that it can be differentiated again."""
    with torch.enable_grad():
        # Aliases: an input may have been computed from another one, and each must get its own share only.
        own = [None if tensor is None else tensor.view_as(tensor) for tensor in tensors]
        inputs, state, weights = _named(tuple(own))
        outputs, final = reference.layer(ctx.spec, weights, inputs, state, ctx.lengths, ctx.paths)
        asked = [tensor for tensor in own if tensor is not None and tensor.requires_grad]
        given = [(value, grad) for value, grad in zip((outputs, *final), grads, strict=True) if value.requires_grad]
        found = iter(
            torch.autograd.grad(
                [value for value, _ in given], asked, [grad for _, grad in given], create_graph=True, allow_unused=True
            )
        )
    return [next(found) if tensor is not None and tensor.requires_grad else None for tensor in own]
