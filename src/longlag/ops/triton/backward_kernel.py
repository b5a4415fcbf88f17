"""The backward kernel: the error's way back through all time steps of a batch tile, or through one."""

from __future__ import annotations

import triton
import triton.language as tl

from longlag.ops.triton.device_tile import (
    by_block,
    multiply,
    nothing,
    nothing_like,
    peephole_of,
    products_of,
    put,
    slots_of,
    sums_of,
    take,
    weights_onto,
)
from longlag.ops.triton.squash import slope, squash

__all__ = ["backward_kernel"]

AT_ONCE = tl.constexpr(2**13)
"""Weights of one kind up to which the products of all kinds are added before they are summed: one sum, and fused
multiply-adds. With more of them, a thread's registers do not hold what is added besides the weights."""


@triton.jit
def _through(
    deltas: tl.tensor,
    weights: tl.tensor,
    like: tl.tensor,
    geo: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
) -> tl.tensor:
    """R' delta, for the columns of one part of r."""
    total = nothing_like(like)
    if DOT:
        if geo.row_i >= 0:
            total = multiply(deltas[0], weights[0], total, DOT, PRECISION)
        if geo.row_f >= 0:
            total = multiply(deltas[1], weights[1], total, DOT, PRECISION)
        total = multiply(deltas[2], weights[2], total, DOT, PRECISION)
        if geo.row_o >= 0:
            total = multiply(deltas[3], weights[3], total, DOT, PRECISION)
    else:
        i, f, g, o = products_of(deltas[0], deltas[1], deltas[2], deltas[3], weights, like.dtype, geo)
        if geo.slots * geo.column_slots <= AT_ONCE:
            total = tl.sum(_added(i, f, g, o, geo), axis=1)
        else:
            i, f, g, o = sums_of((i, f, g, o), geo)
            total = _added(i, f, g, o, geo)
    if geo.row_u >= 0:
        total = multiply(deltas[4], weights[4], total, DOT, PRECISION)
    return total


@triton.jit
def _added(i: tl.tensor, f: tl.tensor, g: tl.tensor, o: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    total = g
    if geo.row_i >= 0:
        total += i
    if geo.row_f >= 0:
        total += f
    if geo.row_o >= 0:
        total += o
    return total


@triton.jit
def _at_net(error: tl.tensor, value: tl.tensor, alpha: tl.tensor, running: tl.tensor) -> tl.tensor:
    """A gate's delta = alpha y (1 - y) dE/dy; zero where the sequence has ended."""
    return tl.where(running, error * value * (1.0 - value) * alpha, 0.0)


@triton.jit
def _kept_of(
    d_outputs: tl.tensor,
    units: tl.tensor,
    tape: tl.tensor,
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
    """Of one step: activations i, f, g, o, u; s_{t-1}, s_t; errors of y, u from above. A zero where there is none."""
    OUTPUT: tl.constexpr = geo.columns + geo.conventional
    none = nothing(units.dtype.element_ty)
    i, f, o, u, above_u = none, none, none, none, none
    if geo.row_i >= 0:
        i = take(units, row, geo.rows, geo.row_i + block, at_cells)
    if geo.row_f >= 0:
        f = take(units, row, geo.rows, geo.row_f + block, at_cells)
    g = take(units, row, geo.rows, geo.row_g + cell, at_cells)
    if geo.row_o >= 0:
        o = take(units, row, geo.rows, geo.row_o + block, at_cells)
    if geo.row_u >= 0:
        u = take(units, row, geo.rows, geo.row_u + unit, at_units)
        above_u = take(d_outputs, row, OUTPUT, geo.columns + unit, at_units)
    seen = take(tape, row, geo.hidden, cell, at_cells)
    state = take(tape, row + samples, geo.hidden, cell, at_cells)
    return i, f, g, o, u, seen, state, take(d_outputs, row, OUTPUT, column, at_columns), above_u


@triton.jit(
    do_not_specialize=["first", "last", "samples"],
    do_not_specialize_on_alignment=["d_outputs", "recurrent", "peephole", "projection", "lengths", "d_after"],
)
def backward_kernel(
    d_outputs: tl.tensor,  # (T, B, O)
    units: tl.tensor,  # (T, B, rows) activations
    tape: tl.tensor,  # (T + 1, B, H) states; row t holds s_{t-1}
    recurrent: tl.tensor,  # R (rows, source)
    peephole: tl.tensor,  # (gates, H) or None
    projection: tl.tensor,  # (P, H) or None
    sharpness: tl.tensor,  # one number
    lengths: tl.tensor,  # (B,)
    d_source: tl.tensor,  # (B, width): errors of outputs and gate activations that arrive after step `last - 1`
    d_before: tl.tensor,  # (B, width): those of the step before `first`; where not RESIDENT, R' delta is to be added
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
    INPUT_SQUASH: tl.constexpr = geo.input_squash  # a name has to be a constexpr to be handed on
    OUTPUT_SQUASH: tl.constexpr = geo.output_squash
    UNIT_SQUASH: tl.constexpr = geo.unit_squash
    batch = tl.cast(tl.program_id(0), tl.int64) * TILE + tl.arange(0, TILE)
    inside = batch < samples
    length = tl.load(lengths + batch, mask=inside, other=0)
    stop = tl.minimum(last, tl.max(length, axis=0).to(tl.int32))

    chunk = tl.program_id(1)
    block, cell, there, lead = slots_of(chunk, geo)
    unit = chunk * geo.unit_slots + tl.arange(0, geo.unit_slots)
    is_unit = unit < geo.conventional
    if geo.projected:
        column = tl.arange(0, geo.column_slots)
        is_column = column < geo.columns
    else:
        column = cell
        is_column = there
    alpha = tl.load(sharpness)
    p_i = peephole_of(peephole, geo.peephole_i, cell, there, geo)
    p_f = peephole_of(peephole, geo.peephole_f, cell, there, geo)
    p_o = peephole_of(peephole, geo.peephole_o, cell, there, geo)

    # what arrives from step t+1
    at_cells = inside[:, None] & there[None, :]
    one = tl.full((TILE, geo.slots), 1.0, WIDE)
    d_kept = take(d_after, batch, geo.hidden, cell, at_cells)
    d_output = tl.full((TILE, geo.column_slots), 0.0, WIDE)
    if RESIDENT or not geo.projected:
        d_output = take(d_source, batch, geo.width, column, inside[:, None] & is_column[None, :]).to(WIDE)
    d_conventional = tl.full((TILE, geo.unit_slots), 0.0, WIDE)
    d_i = tl.full((TILE, geo.slots), 0.0, WIDE)
    d_f = tl.full((TILE, geo.slots), 0.0, WIDE)
    d_o = tl.full((TILE, geo.slots), 0.0, WIDE)
    d_p_i, d_p_f, d_p_o = nothing_like(one), nothing_like(one), nothing_like(one)
    if CARRIES:
        onto_output = weights_onto(recurrent, column, is_column, geo)
    if geo.conventional > 0:
        at_units = inside[:, None] & is_unit[None, :]
        d_conventional = take(d_source, batch, geo.width, geo.columns + unit, at_units).to(WIDE)
        if CARRIES:
            onto_units = weights_onto(recurrent, geo.columns + unit, is_unit, geo)
    if geo.col_i >= 0:
        d_i = take(d_source, batch, geo.width, geo.col_i + block, at_cells).to(WIDE)
        if CARRIES:
            onto_i = weights_onto(recurrent, geo.col_i + block, there, geo)
    if geo.col_f >= 0:
        d_f = take(d_source, batch, geo.width, geo.col_f + block, at_cells).to(WIDE)
        if CARRIES:
            onto_f = weights_onto(recurrent, geo.col_f + block, there, geo)
    if geo.col_o >= 0:
        d_o = take(d_source, batch, geo.width, geo.col_o + block, at_cells).to(WIDE)
        if CARRIES:
            onto_o = weights_onto(recurrent, geo.col_o + block, there, geo)
    if geo.projected and RESIDENT:
        at = column[:, None] * geo.hidden + cell[None, :]
        unproject = tl.load(projection + at, mask=is_column[:, None] & there[None, :], other=0.0)

    row = batch + (tl.cast(stop, tl.int64) - 1) * samples  # of (T, B, .): 64 bits wide
    end = batch + tl.cast(first, tl.int64) * samples
    running = ((stop - 1 < length) & (row >= end))[:, None]
    at_cells, at_columns, at_units = running & there[None, :], running & is_column[None, :], running & is_unit[None, :]
    coming = _kept_of(
        d_outputs, units, tape, row, samples, block, cell, column, unit, at_cells, at_columns, at_units, geo
    )
    for back in range(stop - first):
        running = (stop - 1 - back < length)[:, None]
        at_cells = running & there[None, :]
        at_columns = running & is_column[None, :]
        at_gates = running & lead[None, :]
        at_units = running & is_unit[None, :]

        # What the step before needs is asked for now: memory takes as long as a step does.
        i, f, added, o, u, seen, state, above, above_u = coming
        before = ((stop - 2 - back < length) & (row - samples >= end))[:, None]
        coming = _kept_of(
            d_outputs,
            units,
            tape,
            row - samples,
            samples,
            block,
            cell,
            column,
            unit,
            before & there[None, :],
            before & is_column[None, :],
            before & is_unit[None, :],
            geo,
        )

        # y = [P q, u], q = o h(s_t): their errors come from above and from t+1
        if geo.projected and not RESIDENT:
            d_passed = take(d_product, batch, geo.hidden, cell, at_cells).to(WIDE)
        else:
            error = tl.where(at_columns, above.to(WIDE) + d_output, 0.0)
            d_passed = error
            if geo.projected:
                put(d_columns, row, geo.columns, column, error, at_columns)
                d_passed = multiply(error, unproject, tl.full((TILE, geo.slots), 0.0, WIDE), DOT, PRECISION)
        delta_u = tl.full((TILE, geo.unit_slots), 0.0, WIDE)
        if geo.conventional > 0:
            error_u = (above_u.to(WIDE) + d_conventional) * slope(u.to(WIDE), UNIT_SQUASH)
            delta_u = tl.where(at_units, error_u, 0.0)
            put(delta, row, geo.rows, geo.row_u + unit, delta_u, at_units)

        # s_t: from y_t, from s_{t+1} and from the output gate's peephole
        squashed = squash(state, OUTPUT_SQUASH)
        leaving, delta_o = one, nothing_like(one)
        if geo.row_o >= 0:
            leaving = o.to(WIDE)
            delta_o = _at_net(by_block(d_passed * squashed, geo) + d_o, leaving, alpha, at_cells)
            put(delta, row, geo.rows, geo.row_o + block, delta_o, at_gates)
        error_s = d_kept + d_passed * leaving * slope(squashed, OUTPUT_SQUASH)
        if THROUGH_PEEPHOLES and geo.peepholes:
            error_s += p_o * delta_o

        # g, i, f; what remains goes on to s_{t-1}
        added = added.to(WIDE)
        opened, onward = one, error_s
        delta_i, delta_f = nothing_like(one), nothing_like(one)
        if geo.row_f >= 0:
            forget = f.to(WIDE)
            onward = error_s * forget
            delta_f = _at_net(by_block(error_s * seen, geo) + d_f, forget, alpha, at_cells)
            put(delta, row, geo.rows, geo.row_f + block, delta_f, at_gates)
            if THROUGH_PEEPHOLES and geo.peepholes:
                onward += p_f * delta_f
        if geo.row_i >= 0:
            opened = i.to(WIDE)
            scale = added
            if geo.coupled:
                scale = added - seen
                onward = error_s * (1.0 - opened)
            delta_i = _at_net(by_block(error_s * scale, geo) + d_i, opened, alpha, at_cells)
            put(delta, row, geo.rows, geo.row_i + block, delta_i, at_gates)
            if THROUGH_PEEPHOLES and geo.peepholes:
                onward += p_i * delta_i
        delta_g = tl.where(at_cells, error_s * opened * slope(added, INPUT_SQUASH), 0.0)
        put(delta, row, geo.rows, geo.row_g + cell, delta_g, at_cells)
        d_kept = tl.where(at_cells, onward, d_kept)

        # dE/dp = sum of delta s: i and f see s_{t-1}, o sees s_t
        if RESIDENT and geo.peepholes:
            d_p_i += delta_i * seen
            d_p_f += delta_f * seen
            d_p_o += delta_o * state

        # through r_{t-1}
        deltas = (delta_i, delta_f, delta_g, delta_o, delta_u)
        to_output, to_units = nothing_like(d_output), nothing_like(d_conventional)
        to_i, to_f, to_o = nothing_like(d_i), nothing_like(d_f), nothing_like(d_o)
        if CARRIES:
            to_output = _through(deltas, onto_output, d_output, geo, DOT, PRECISION)
            if geo.conventional > 0:
                to_units = _through(deltas, onto_units, d_conventional, geo, DOT, PRECISION)
            if geo.col_i >= 0:
                to_i = _through(deltas, onto_i, d_i, geo, DOT, PRECISION)
            if geo.col_f >= 0:
                to_f = _through(deltas, onto_f, d_f, geo, DOT, PRECISION)
            if geo.col_o >= 0:
                to_o = _through(deltas, onto_o, d_o, geo, DOT, PRECISION)
        d_output = tl.where(running, to_output, d_output)
        d_conventional = tl.where(running, to_units, d_conventional)
        d_i = tl.where(running, to_i, d_i)
        d_f = tl.where(running, to_f, d_f)
        d_o = tl.where(running, to_o, d_o)
        row -= samples

    put(d_state, batch, geo.hidden, cell, d_kept, inside[:, None] & there[None, :])
    if RESIDENT and geo.peepholes:
        GATES: tl.constexpr = (geo.row_i >= 0) + (geo.row_f >= 0) + (geo.row_o >= 0)
        ours = d_peephole + tl.cast(tl.program_id(0), tl.int64) * GATES * geo.hidden + cell
        if geo.row_i >= 0:
            tl.store(ours + geo.peephole_i * geo.hidden, tl.sum(d_p_i, axis=0), mask=there)
        if geo.row_f >= 0:
            tl.store(ours + geo.peephole_f * geo.hidden, tl.sum(d_p_f, axis=0), mask=there)
        if geo.row_o >= 0:
            tl.store(ours + geo.peephole_o * geo.hidden, tl.sum(d_p_o, axis=0), mask=there)
    if RESIDENT or not geo.projected:
        put(d_before, batch, geo.width, column, d_output, inside[:, None] & is_column[None, :])
    if geo.conventional > 0:
        put(d_before, batch, geo.width, geo.columns + unit, d_conventional, inside[:, None] & is_unit[None, :])
    if geo.col_i >= 0:
        put(d_before, batch, geo.width, geo.col_i + block, d_i, inside[:, None] & lead[None, :])
    if geo.col_f >= 0:
        put(d_before, batch, geo.width, geo.col_f + block, d_f, inside[:, None] & lead[None, :])
    if geo.col_o >= 0:
        put(d_before, batch, geo.width, geo.col_o + block, d_o, inside[:, None] & lead[None, :])
