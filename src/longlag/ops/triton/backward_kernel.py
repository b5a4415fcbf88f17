"""The backward kernel: errors go back through all time steps of a batch tile in one launch, or through one step."""

from __future__ import annotations

import triton
import triton.language as tl

from longlag.ops.triton.device_tile import (
    absent,
    add_product,
    block_sum,
    load_peephole,
    load_rows,
    row_products,
    row_sums,
    slots_of,
    store_rows,
    weights_onto,
    zeros_shaped_like,
)
from longlag.ops.triton.squash import slope, squash

__all__ = ["backward_kernel"]

ONE_SUM = tl.constexpr(2**13)
"""Weights of one kind up to which the products of all kinds are added before they are summed: one sum then, and fused
multiply-adds. With more weights, a thread's registers do not hold the products besides them."""


@triton.jit
def _through_recurrence(
    deltas: tl.tensor,
    weights: tl.tensor,
    like: tl.tensor,
    geo: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tl.tensor:
    """Return R' delta for the columns of one part of r, where r is outputs, conventional units and gate activations."""
    total = zeros_shaped_like(like)
    if DOT:
        if geo.row_i >= 0:
            total = add_product(deltas[0], weights[0], total, DOT, PRECISION)
        if geo.row_f >= 0:
            total = add_product(deltas[1], weights[1], total, DOT, PRECISION)
        total = add_product(deltas[2], weights[2], total, DOT, PRECISION)
        if geo.row_o >= 0:
            total = add_product(deltas[3], weights[3], total, DOT, PRECISION)
    else:
        i, f, g, o = row_products(deltas[0], deltas[1], deltas[2], deltas[3], weights, like.dtype, geo)
        if geo.slots * geo.column_slots <= ONE_SUM:
            total = tl.sum(_added_up(i, f, g, o, geo), axis=1)
        else:
            i, f, g, o = row_sums((i, f, g, o), geo)
            total = _added_up(i, f, g, o, geo)
    if geo.row_u >= 0:
        total = add_product(deltas[4], weights[4], total, DOT, PRECISION)
    return total


@triton.jit
def _added_up(i: tl.tensor, f: tl.tensor, g: tl.tensor, o: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    total = g
    if geo.row_i >= 0:
        total += i
    if geo.row_f >= 0:
        total += f
    if geo.row_o >= 0:
        total += o
    return total


@triton.jit
def _gate_delta(error: tl.tensor, value: tl.tensor, alpha: tl.tensor, running: tl.tensor) -> tl.tensor:
    """Return the error of a gate's net input, alpha y (1 - y) dE/dy; it is zero where the sequence has ended."""
    return tl.where(running, error * value * (1.0 - value) * alpha, 0.0)


@triton.jit
def _load_values(
    d_outputs: tl.tensor,
    activations: tl.tensor,
    states: tl.tensor,
    row: tl.tensor,
    samples: tl.tensor,
    block: tl.tensor,
    cell: tl.tensor,
    column: tl.tensor,
    unit: tl.tensor,
    at_cells: tl.tensor,
    at_columns: tl.tensor,
    at_units: tl.tensor,
    geo: tl.constexpr,
) -> tl.tensor:
    """Load what a step needs: activations i, f, g, o, u, states s_{t-1} and s_t, and the errors of y and u from above.

    A single zero stands for what the cell does not have.
    """
    OUTPUT: tl.constexpr = geo.columns + geo.conventional
    none = absent(activations.dtype.element_ty)
    i, f, o, u, d_above_u = none, none, none, none, none
    if geo.row_i >= 0:
        i = load_rows(activations, row, geo.rows, geo.row_i + block, at_cells)
    if geo.row_f >= 0:
        f = load_rows(activations, row, geo.rows, geo.row_f + block, at_cells)
    g = load_rows(activations, row, geo.rows, geo.row_g + cell, at_cells)
    if geo.row_o >= 0:
        o = load_rows(activations, row, geo.rows, geo.row_o + block, at_cells)
    if geo.row_u >= 0:
        u = load_rows(activations, row, geo.rows, geo.row_u + unit, at_units)
        d_above_u = load_rows(d_outputs, row, OUTPUT, geo.columns + unit, at_units)
    previous = load_rows(states, row, geo.hidden, cell, at_cells)
    state = load_rows(states, row + samples, geo.hidden, cell, at_cells)
    return i, f, g, o, u, previous, state, load_rows(d_outputs, row, OUTPUT, column, at_columns), d_above_u


@triton.jit(
    do_not_specialize=["first", "last", "samples"],
    do_not_specialize_on_alignment=["d_outputs", "recurrent", "peephole", "projection", "lengths", "d_after"],
)
def backward_kernel(
    d_outputs: tl.tensor,  # (T, B, O)
    activations: tl.tensor,  # (T, B, rows) activations
    states: tl.tensor,  # (T + 1, B, H) states; row t holds s_{t-1}
    recurrent: tl.tensor,  # R (rows, source)
    peephole: tl.tensor,  # (gates, H) or None
    projection: tl.tensor,  # (P, H) or None
    sharpness: tl.tensor,  # one number
    lengths: tl.tensor,  # (B,)
    d_source: tl.tensor,  # (B, width): errors of outputs and gate activations after step `last - 1`
    d_before: tl.tensor,  # (B, width): the same before step `first`; where not RESIDENT, R' delta is to be added
    d_after: tl.tensor,  # (B, H): errors of the states after step `last - 1`
    d_state: tl.tensor,  # (B, H): errors of the states before step `first`
    delta: tl.tensor,  # (T, B, rows): errors of net inputs; steps beyond a length are left as they are
    d_columns: tl.tensor,  # (T, B, P): errors of the projection, where RESIDENT
    d_product: tl.tensor,  # (B, H): errors of what was projected, where not RESIDENT
    d_peephole: tl.tensor,  # (programs, gates, H): dE/dp by the samples of each program, where RESIDENT; or None
    first: tl.tensor,
    last: tl.tensor,
    samples: tl.tensor,
    geo: tl.constexpr,
    RESIDENT: tl.constexpr,
    THROUGH_RECURRENCE: tl.constexpr,
    THROUGH_PEEPHOLES: tl.constexpr,
    TILE: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """Steps last - 1 ... first of ``TILE`` samples. Equations: ops/README.md, "Backward"."""
    WIDE: tl.constexpr = d_state.dtype.element_ty
    CARRIES: tl.constexpr = RESIDENT and geo.recurrence and THROUGH_RECURRENCE
    INPUT_SQUASH: tl.constexpr = geo.input_squash  # only a constexpr can be handed on
    OUTPUT_SQUASH: tl.constexpr = geo.output_squash
    UNIT_SQUASH: tl.constexpr = geo.unit_squash
    batch = tl.cast(tl.program_id(0), tl.int64) * TILE + tl.arange(0, TILE)
    inside = batch < samples
    length = tl.load(lengths + batch, mask=inside, other=0)
    stop = tl.minimum(last, tl.max(length, axis=0).to(tl.int32))

    chunk = tl.program_id(1)
    block, cell, is_cell, is_first = slots_of(chunk, geo)
    unit = chunk * geo.unit_slots + tl.arange(0, geo.unit_slots)
    is_unit = unit < geo.conventional
    if geo.projected:
        column = tl.arange(0, geo.column_slots)
        is_column = column < geo.columns
    else:
        column = cell
        is_column = is_cell
    alpha = tl.load(sharpness)
    p_i = load_peephole(peephole, geo.peephole_i, cell, is_cell, geo)
    p_f = load_peephole(peephole, geo.peephole_f, cell, is_cell, geo)
    p_o = load_peephole(peephole, geo.peephole_o, cell, is_cell, geo)

    # The errors that arrive from step t + 1.
    at_cells = inside[:, None] & is_cell[None, :]
    one = tl.full((TILE, geo.slots), 1.0, WIDE)
    d_carried = load_rows(d_after, batch, geo.hidden, cell, at_cells)
    d_output = tl.full((TILE, geo.column_slots), 0.0, WIDE)
    if RESIDENT or not geo.projected:
        d_output = load_rows(d_source, batch, geo.width, column, inside[:, None] & is_column[None, :]).to(WIDE)
    d_conventional = tl.full((TILE, geo.unit_slots), 0.0, WIDE)
    d_i = tl.full((TILE, geo.slots), 0.0, WIDE)
    d_f = tl.full((TILE, geo.slots), 0.0, WIDE)
    d_o = tl.full((TILE, geo.slots), 0.0, WIDE)
    d_p_i, d_p_f, d_p_o = zeros_shaped_like(one), zeros_shaped_like(one), zeros_shaped_like(one)
    if CARRIES:
        onto_output = weights_onto(recurrent, column, is_column, geo)
    if geo.conventional > 0:
        at_units = inside[:, None] & is_unit[None, :]
        d_conventional = load_rows(d_source, batch, geo.width, geo.columns + unit, at_units).to(WIDE)
        if CARRIES:
            onto_units = weights_onto(recurrent, geo.columns + unit, is_unit, geo)
    if geo.col_i >= 0:
        d_i = load_rows(d_source, batch, geo.width, geo.col_i + block, at_cells).to(WIDE)
        if CARRIES:
            onto_i = weights_onto(recurrent, geo.col_i + block, is_cell, geo)
    if geo.col_f >= 0:
        d_f = load_rows(d_source, batch, geo.width, geo.col_f + block, at_cells).to(WIDE)
        if CARRIES:
            onto_f = weights_onto(recurrent, geo.col_f + block, is_cell, geo)
    if geo.col_o >= 0:
        d_o = load_rows(d_source, batch, geo.width, geo.col_o + block, at_cells).to(WIDE)
        if CARRIES:
            onto_o = weights_onto(recurrent, geo.col_o + block, is_cell, geo)
    if geo.projected and RESIDENT:
        at = column[:, None] * geo.hidden + cell[None, :]
        unproject = tl.load(projection + at, mask=is_column[:, None] & is_cell[None, :], other=0.0)

    row = batch + (tl.cast(stop, tl.int64) - 1) * samples  # of (T, B, .): 64 bits wide
    end = batch + tl.cast(first, tl.int64) * samples
    running = ((stop - 1 < length) & (row >= end))[:, None]
    at_cells, at_columns = running & is_cell[None, :], running & is_column[None, :]
    at_units = running & is_unit[None, :]
    next_values = _load_values(
        d_outputs, activations, states, row, samples, block, cell, column, unit, at_cells, at_columns, at_units, geo
    )
    for back in range(stop - first):
        running = (stop - 1 - back < length)[:, None]
        at_cells = running & is_cell[None, :]
        at_columns = running & is_column[None, :]
        at_gates = running & is_first[None, :]
        at_units = running & is_unit[None, :]

        # What the step before needs is asked for now: memory takes as long as a step does.
        i, f, value_g, o, u, previous, state, d_above, d_above_u = next_values
        next_running = ((stop - 2 - back < length) & (row - samples >= end))[:, None]
        next_values = _load_values(
            d_outputs,
            activations,
            states,
            row - samples,
            samples,
            block,
            cell,
            column,
            unit,
            next_running & is_cell[None, :],
            next_running & is_column[None, :],
            next_running & is_unit[None, :],
            geo,
        )

        # y = [P q, u] with q = o h(s_t): errors of y come from above and from step t + 1.
        if geo.projected and not RESIDENT:
            d_gated = load_rows(d_product, batch, geo.hidden, cell, at_cells).to(WIDE)
        else:
            error = tl.where(at_columns, d_above.to(WIDE) + d_output, 0.0)
            d_gated = error
            if geo.projected:
                store_rows(d_columns, row, geo.columns, column, error, at_columns)
                d_gated = add_product(error, unproject, tl.full((TILE, geo.slots), 0.0, WIDE), DOT, PRECISION)
        delta_u = tl.full((TILE, geo.unit_slots), 0.0, WIDE)
        if geo.conventional > 0:
            error_u = (d_above_u.to(WIDE) + d_conventional) * slope(u.to(WIDE), UNIT_SQUASH)
            delta_u = tl.where(at_units, error_u, 0.0)
            store_rows(delta, row, geo.rows, geo.row_u + unit, delta_u, at_units)

        # Errors of s_t come from y_t, from s_{t+1} and from the output gate's peephole.
        squashed = squash(state, OUTPUT_SQUASH)
        value_o, delta_o = one, zeros_shaped_like(one)
        if geo.row_o >= 0:
            value_o = o.to(WIDE)
            delta_o = _gate_delta(block_sum(d_gated * squashed, geo) + d_o, value_o, alpha, at_cells)
            store_rows(delta, row, geo.rows, geo.row_o + block, delta_o, at_gates)
        error_s = d_carried + d_gated * value_o * slope(squashed, OUTPUT_SQUASH)
        if THROUGH_PEEPHOLES and geo.peepholes:
            error_s += p_o * delta_o

        # They go on to g, i and f; what remains goes to s_{t-1}.
        value_g = value_g.to(WIDE)
        value_i, d_previous = one, error_s
        delta_i, delta_f = zeros_shaped_like(one), zeros_shaped_like(one)
        if geo.row_f >= 0:
            value_f = f.to(WIDE)
            d_previous = error_s * value_f
            delta_f = _gate_delta(block_sum(error_s * previous, geo) + d_f, value_f, alpha, at_cells)
            store_rows(delta, row, geo.rows, geo.row_f + block, delta_f, at_gates)
            if THROUGH_PEEPHOLES and geo.peepholes:
                d_previous += p_f * delta_f
        if geo.row_i >= 0:
            value_i = i.to(WIDE)
            scale = value_g
            if geo.coupled:
                scale = value_g - previous
                d_previous = error_s * (1.0 - value_i)
            delta_i = _gate_delta(block_sum(error_s * scale, geo) + d_i, value_i, alpha, at_cells)
            store_rows(delta, row, geo.rows, geo.row_i + block, delta_i, at_gates)
            if THROUGH_PEEPHOLES and geo.peepholes:
                d_previous += p_i * delta_i
        delta_g = tl.where(at_cells, error_s * value_i * slope(value_g, INPUT_SQUASH), 0.0)
        store_rows(delta, row, geo.rows, geo.row_g + cell, delta_g, at_cells)
        d_carried = tl.where(at_cells, d_previous, d_carried)

        # dE/dp is the sum of delta s: i and f see s_{t-1}, o sees s_t.
        if RESIDENT and geo.peepholes:
            d_p_i += delta_i * previous
            d_p_f += delta_f * previous
            d_p_o += delta_o * state

        # Errors of r_{t-1} are R' delta.
        deltas = (delta_i, delta_f, delta_g, delta_o, delta_u)
        to_output, to_units = zeros_shaped_like(d_output), zeros_shaped_like(d_conventional)
        to_i, to_f, to_o = zeros_shaped_like(d_i), zeros_shaped_like(d_f), zeros_shaped_like(d_o)
        if CARRIES:
            to_output = _through_recurrence(deltas, onto_output, d_output, geo, DOT, PRECISION)
            if geo.conventional > 0:
                to_units = _through_recurrence(deltas, onto_units, d_conventional, geo, DOT, PRECISION)
            if geo.col_i >= 0:
                to_i = _through_recurrence(deltas, onto_i, d_i, geo, DOT, PRECISION)
            if geo.col_f >= 0:
                to_f = _through_recurrence(deltas, onto_f, d_f, geo, DOT, PRECISION)
            if geo.col_o >= 0:
                to_o = _through_recurrence(deltas, onto_o, d_o, geo, DOT, PRECISION)
        d_output = tl.where(running, to_output, d_output)
        d_conventional = tl.where(running, to_units, d_conventional)
        d_i = tl.where(running, to_i, d_i)
        d_f = tl.where(running, to_f, d_f)
        d_o = tl.where(running, to_o, d_o)
        row -= samples

    store_rows(d_state, batch, geo.hidden, cell, d_carried, inside[:, None] & is_cell[None, :])
    if RESIDENT and geo.peepholes:
        GATES: tl.constexpr = (geo.row_i >= 0) + (geo.row_f >= 0) + (geo.row_o >= 0)
        sums = d_peephole + tl.cast(tl.program_id(0), tl.int64) * GATES * geo.hidden + cell
        if geo.row_i >= 0:
            tl.store(sums + geo.peephole_i * geo.hidden, tl.sum(d_p_i, axis=0), mask=is_cell)
        if geo.row_f >= 0:
            tl.store(sums + geo.peephole_f * geo.hidden, tl.sum(d_p_f, axis=0), mask=is_cell)
        if geo.row_o >= 0:
            tl.store(sums + geo.peephole_o * geo.hidden, tl.sum(d_p_o, axis=0), mask=is_cell)
    if RESIDENT or not geo.projected:
        store_rows(d_before, batch, geo.width, column, d_output, inside[:, None] & is_column[None, :])
    if geo.conventional > 0:
        store_rows(d_before, batch, geo.width, geo.columns + unit, d_conventional, inside[:, None] & is_unit[None, :])
    if geo.col_i >= 0:
        store_rows(d_before, batch, geo.width, geo.col_i + block, d_i, inside[:, None] & is_first[None, :])
    if geo.col_f >= 0:
        store_rows(d_before, batch, geo.width, geo.col_f + block, d_f, inside[:, None] & is_first[None, :])
    if geo.col_o >= 0:
        store_rows(d_before, batch, geo.width, geo.col_o + block, d_o, inside[:, None] & is_first[None, :])
