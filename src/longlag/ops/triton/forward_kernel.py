"""The forward kernel: all time steps of a batch tile in one launch, or one step where R does not fit on an SM."""

from __future__ import annotations

import triton
import triton.language as tl

from longlag.ops.triton.device_tile import (
    gate,
    multiply,
    nothing,
    peephole_of,
    products_of,
    put,
    slots_of,
    sums_of,
    take,
    weights_from,
)
from longlag.ops.triton.squash import squash

__all__ = ["forward_kernel"]


@triton.jit
def _add_source(
    nets: tl.tensor, part: tl.tensor, weights: tl.tensor, geo: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr
) -> tl.tensor:
    """net + R r, for one part of r."""
    i, f, g, o, u = nets
    if DOT:
        if geo.row_i >= 0:
            i = multiply(part, weights[0], i, DOT, PRECISION)
        if geo.row_f >= 0:
            f = multiply(part, weights[1], f, DOT, PRECISION)
        g = multiply(part, weights[2], g, DOT, PRECISION)
        if geo.row_o >= 0:
            o = multiply(part, weights[3], o, DOT, PRECISION)
    else:
        sums = sums_of(products_of(part, part, part, part, weights, g.dtype, geo), geo)
        if geo.row_i >= 0:
            i += sums[0]
        if geo.row_f >= 0:
            f += sums[1]
        g += sums[2]
        if geo.row_o >= 0:
            o += sums[3]
    if geo.row_u >= 0:
        u = multiply(part, weights[4], u, DOT, PRECISION)
    return i, f, g, o, u


@triton.jit
def _nets_of(
    net: tl.tensor,
    row: tl.tensor,
    block: tl.tensor,
    cell: tl.tensor,
    unit: tl.tensor,
    at_cells: tl.tensor,
    at_units: tl.tensor,
    geo: tl.constexpr,
) -> tl.tensor:
    """W x_t + b of the rows i, f, g, o, u; a single zero for rows that there are not."""
    none = nothing(net.dtype.element_ty)
    i, f, o, u = none, none, none, none
    if geo.row_i >= 0:
        i = take(net, row, geo.rows, geo.row_i + block, at_cells)
    if geo.row_f >= 0:
        f = take(net, row, geo.rows, geo.row_f + block, at_cells)
    if geo.row_o >= 0:
        o = take(net, row, geo.rows, geo.row_o + block, at_cells)
    if geo.row_u >= 0:
        u = take(net, row, geo.rows, geo.row_u + unit, at_units)
    return i, f, take(net, row, geo.rows, geo.row_g + cell, at_cells), o, u


# What changes from call to call compiles nothing anew: numbers are not looked at, nor are addresses of tensors that a
# user hands in or that are a row of a larger one.
@triton.jit(
    do_not_specialize=["first", "last", "samples"],
    do_not_specialize_on_alignment=["recurrent", "peephole", "projection", "lengths", "source", "before", "after"],
)
def forward_kernel(
    net: tl.tensor,  # (T, B, rows) W x_t + b; where not RESIDENT, R r_{t-1} is in it
    recurrent: tl.tensor,  # R (rows, source)
    peephole: tl.tensor,  # (gates, H) or None
    projection: tl.tensor,  # (P, H) or None
    sharpness: tl.tensor,  # one number: a scalar argument would be rounded to float32
    lengths: tl.tensor,  # (B,)
    source: tl.tensor,  # (B, width): outputs and gate activations before step `first`; read where RESIDENT
    last_source: tl.tensor,  # (B, width): the same after each sequence's last step
    before: tl.tensor,  # (B, H): states before step `first`
    after: tl.tensor,  # (B, H): states after each last step
    outputs: tl.tensor,  # (T, B, O); steps beyond a length are left as they are, here and below
    units: tl.tensor,  # (T, B, rows) activations, where KEEP
    tape: tl.tensor,  # (T + 1, B, H) states, where KEEP; row t + 1 is written in step t
    product: tl.tensor,  # (B, H): o h(s), which somebody else projects, where not RESIDENT
    first: tl.tensor,
    last: tl.tensor,
    samples: tl.tensor,
    geo: tl.constexpr,
    RESIDENT: tl.constexpr,
    KEEP: tl.constexpr,
    TILE: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """Steps first ... last - 1 of ``TILE`` samples. Equations: ops/README.md, "Forward"."""
    WIDE: tl.constexpr = after.dtype.element_ty  # states and sums
    NARROW: tl.constexpr = outputs.dtype.element_ty  # what is multiplied and kept
    OUTPUT: tl.constexpr = geo.columns + geo.conventional
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

    at_cells = inside[:, None] & there[None, :]
    one = tl.full((TILE, geo.slots), 1.0, WIDE)
    state = take(before, batch, geo.hidden, cell, at_cells)
    output = tl.full((TILE, geo.column_slots), 0.0, NARROW)
    conventional = tl.full((TILE, geo.unit_slots), 0.0, NARROW)
    last_i = tl.full((TILE, geo.slots), 0.0, NARROW)
    last_f = tl.full((TILE, geo.slots), 0.0, NARROW)
    last_o = tl.full((TILE, geo.slots), 0.0, NARROW)
    if RESIDENT:
        output = take(source, batch, geo.width, column, inside[:, None] & is_column[None, :])
        if geo.recurrence:
            from_output = weights_from(recurrent, column, is_column, geo)
        if geo.conventional > 0:
            conventional = take(source, batch, geo.width, geo.columns + unit, inside[:, None] & is_unit[None, :])
            if geo.recurrence:
                from_units = weights_from(recurrent, geo.columns + unit, is_unit, geo)
        if geo.col_i >= 0:
            last_i = take(source, batch, geo.width, geo.col_i + block, at_cells)
            from_i = weights_from(recurrent, geo.col_i + block, lead, geo)
        if geo.col_f >= 0:
            last_f = take(source, batch, geo.width, geo.col_f + block, at_cells)
            from_f = weights_from(recurrent, geo.col_f + block, lead, geo)
        if geo.col_o >= 0:
            last_o = take(source, batch, geo.width, geo.col_o + block, at_cells)
            from_o = weights_from(recurrent, geo.col_o + block, lead, geo)
        if geo.projected:
            at = cell[:, None] + column[None, :] * geo.hidden
            project = tl.load(projection + at, mask=there[:, None] & is_column[None, :], other=0.0)

    row = batch + tl.cast(first, tl.int64) * samples  # of (T, B, .): 64 bits wide
    running = (first < tl.minimum(length, last))[:, None]
    coming = _nets_of(net, row, block, cell, unit, running & there[None, :], running & is_unit[None, :], geo)
    for t in range(first, stop):
        running = (t < length)[:, None]
        at_cells = running & there[None, :]
        at_gates = running & lead[None, :]
        at_units = running & is_unit[None, :]

        # net = W x_t + b + R r. What comes in the next step is asked for now: memory takes as long as a step does.
        nets = coming[0].to(WIDE), coming[1].to(WIDE), coming[2].to(WIDE), coming[3].to(WIDE), coming[4].to(WIDE)
        going_on = (t + 1 < tl.minimum(length, last))[:, None]
        coming = _nets_of(
            net, row + samples, block, cell, unit, going_on & there[None, :], going_on & is_unit[None, :], geo
        )
        if RESIDENT and geo.recurrence:
            nets = _add_source(nets, output, from_output, geo, DOT, PRECISION)
            if geo.conventional > 0:
                nets = _add_source(nets, conventional, from_units, geo, DOT, PRECISION)
            if geo.col_i >= 0:
                nets = _add_source(nets, last_i, from_i, geo, DOT, PRECISION)
            if geo.col_f >= 0:
                nets = _add_source(nets, last_f, from_f, geo, DOT, PRECISION)
            if geo.col_o >= 0:
                nets = _add_source(nets, last_o, from_o, geo, DOT, PRECISION)

        # s_t = f s_{t-1} + i g
        opened, kept, leaving = one, state, one
        if geo.row_i >= 0:
            opened = gate(nets[0], p_i, state, alpha, geo)
            if geo.coupled:
                kept = (1.0 - opened) * state
        if geo.row_f >= 0:
            forget = gate(nets[1], p_f, state, alpha, geo)
            kept = forget * state
        added = squash(nets[2], INPUT_SQUASH)
        new = kept + opened * added

        # y_t = [P (o h(s_t)), squash_u(net_u)]
        if geo.row_o >= 0:
            leaving = gate(nets[3], p_o, new, alpha, geo)
        passed = leaving * squash(new, OUTPUT_SQUASH)
        state = tl.where(at_cells, new, state)
        if geo.row_u >= 0:
            unit_value = squash(nets[4], UNIT_SQUASH)

        if KEEP:
            if geo.row_i >= 0:
                put(units, row, geo.rows, geo.row_i + block, opened, at_gates)
            if geo.row_f >= 0:
                put(units, row, geo.rows, geo.row_f + block, forget, at_gates)
            put(units, row, geo.rows, geo.row_g + cell, added, at_cells)
            if geo.row_o >= 0:
                put(units, row, geo.rows, geo.row_o + block, leaving, at_gates)
            if geo.row_u >= 0:
                put(units, row, geo.rows, geo.row_u + unit, unit_value, at_units)
            put(tape, row + samples, geo.hidden, cell, new, at_cells)
        if geo.projected:
            if RESIDENT:
                no_sum = tl.full((TILE, geo.column_slots), 0.0, WIDE)
                projected = multiply(passed, project, no_sum, DOT, PRECISION).to(NARROW)
                output = tl.where(running, projected, output)
                put(outputs, row, OUTPUT, column, projected, running & is_column[None, :])
            else:
                put(product, batch, geo.hidden, cell, passed, at_cells)
        else:
            output = tl.where(running, passed.to(NARROW), output)
            put(outputs, row, OUTPUT, column, passed, at_cells)
        if geo.conventional > 0:
            conventional = tl.where(running, unit_value.to(NARROW), conventional)
            put(outputs, row, OUTPUT, geo.columns + unit, unit_value, at_units)
        if geo.col_i >= 0:
            last_i = tl.where(running, opened.to(NARROW), last_i)
        if geo.col_f >= 0:
            last_f = tl.where(running, forget.to(NARROW), last_f)
        if geo.col_o >= 0:
            last_o = tl.where(running, leaving.to(NARROW), last_o)
        row += samples

    put(after, batch, geo.hidden, cell, state, inside[:, None] & there[None, :])
    # A single step leaves the source of a sequence that has ended as it is: it has not read it.
    ours = inside if RESIDENT else first < length
    if RESIDENT or not geo.projected:
        put(last_source, batch, geo.width, column, output, ours[:, None] & is_column[None, :])
    if geo.conventional > 0:
        put(last_source, batch, geo.width, geo.columns + unit, conventional, ours[:, None] & is_unit[None, :])
    if geo.col_i >= 0:
        put(last_source, batch, geo.width, geo.col_i + block, last_i, ours[:, None] & lead[None, :])
    if geo.col_f >= 0:
        put(last_source, batch, geo.width, geo.col_f + block, last_f, ours[:, None] & lead[None, :])
    if geo.col_o >= 0:
        put(last_source, batch, geo.width, geo.col_o + block, last_o, ours[:, None] & lead[None, :])
