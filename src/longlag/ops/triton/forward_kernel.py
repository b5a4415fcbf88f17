"""The forward kernel: all time steps of a batch tile in one launch, or one step where R does not fit on an SM."""

from __future__ import annotations

import triton
import triton.language as tl

from longlag.ops.triton.device_tile import (
    absent,
    add_product,
    gate_activation,
    load_peephole,
    load_rows,
    row_products,
    row_sums,
    slots_of,
    store_rows,
    weights_from,
)
from longlag.ops.triton.squash import squash

__all__ = ["forward_kernel"]


@triton.jit
def _add_source(
    nets: tl.tensor, part: tl.tensor, weights: tl.tensor, geo: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr
) -> tl.tensor:
    """Return net + R r for one part of r, where r is outputs, conventional units and gate activations."""
    i, f, g, o, u = nets
    if DOT:
        if geo.row_i >= 0:
            i = add_product(part, weights[0], i, DOT, PRECISION)
        if geo.row_f >= 0:
            f = add_product(part, weights[1], f, DOT, PRECISION)
        g = add_product(part, weights[2], g, DOT, PRECISION)
        if geo.row_o >= 0:
            o = add_product(part, weights[3], o, DOT, PRECISION)
    else:
        sums = row_sums(row_products(part, part, part, part, weights, g.dtype, geo), geo)
        if geo.row_i >= 0:
            i += sums[0]
        if geo.row_f >= 0:
            f += sums[1]
        g += sums[2]
        if geo.row_o >= 0:
            o += sums[3]
    if geo.row_u >= 0:
        u = add_product(part, weights[4], u, DOT, PRECISION)
    return i, f, g, o, u


@triton.jit
def _load_nets(
    net: tl.tensor,
    row: tl.tensor,
    block: tl.tensor,
    cell: tl.tensor,
    unit: tl.tensor,
    at_cells: tl.tensor,
    at_units: tl.tensor,
    geo: tl.constexpr,
) -> tl.tensor:
    """Load W x_t + b of the rows i, f, g, o, u of one step. A single zero stands for rows that the cell lacks."""
    none = absent(net.dtype.element_ty)
    i, f, o, u = none, none, none, none
    if geo.row_i >= 0:
        i = load_rows(net, row, geo.rows, geo.row_i + block, at_cells)
    if geo.row_f >= 0:
        f = load_rows(net, row, geo.rows, geo.row_f + block, at_cells)
    if geo.row_o >= 0:
        o = load_rows(net, row, geo.rows, geo.row_o + block, at_cells)
    if geo.row_u >= 0:
        u = load_rows(net, row, geo.rows, geo.row_u + unit, at_units)
    return i, f, load_rows(net, row, geo.rows, geo.row_g + cell, at_cells), o, u


# Triton compiles anew for numbers that divide by 16, and for addresses that do. So it may not look at what changes from
# call to call: numbers of steps and samples, addresses of a user's tensors, and of rows of larger tensors.
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
    activations: tl.tensor,  # (T, B, rows) activations, where KEEP
    states: tl.tensor,  # (T + 1, B, H) states, where KEEP; row t + 1 is written in step t
    product: tl.tensor,  # (B, H): o h(s), which is projected outside of the kernel, where not RESIDENT
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

    at_cells = inside[:, None] & is_cell[None, :]
    one = tl.full((TILE, geo.slots), 1.0, WIDE)
    state = load_rows(before, batch, geo.hidden, cell, at_cells)
    output = tl.full((TILE, geo.column_slots), 0.0, NARROW)
    conventional = tl.full((TILE, geo.unit_slots), 0.0, NARROW)
    last_i = tl.full((TILE, geo.slots), 0.0, NARROW)
    last_f = tl.full((TILE, geo.slots), 0.0, NARROW)
    last_o = tl.full((TILE, geo.slots), 0.0, NARROW)
    if RESIDENT:
        output = load_rows(source, batch, geo.width, column, inside[:, None] & is_column[None, :])
        if geo.recurrence:
            from_output = weights_from(recurrent, column, is_column, geo)
        if geo.conventional > 0:
            conventional = load_rows(source, batch, geo.width, geo.columns + unit, inside[:, None] & is_unit[None, :])
            if geo.recurrence:
                from_units = weights_from(recurrent, geo.columns + unit, is_unit, geo)
        if geo.col_i >= 0:
            last_i = load_rows(source, batch, geo.width, geo.col_i + block, at_cells)
            from_i = weights_from(recurrent, geo.col_i + block, is_first, geo)
        if geo.col_f >= 0:
            last_f = load_rows(source, batch, geo.width, geo.col_f + block, at_cells)
            from_f = weights_from(recurrent, geo.col_f + block, is_first, geo)
        if geo.col_o >= 0:
            last_o = load_rows(source, batch, geo.width, geo.col_o + block, at_cells)
            from_o = weights_from(recurrent, geo.col_o + block, is_first, geo)
        if geo.projected:
            at = cell[:, None] + column[None, :] * geo.hidden
            project = tl.load(projection + at, mask=is_cell[:, None] & is_column[None, :], other=0.0)

    row = batch + tl.cast(first, tl.int64) * samples  # of (T, B, .): 64 bits wide
    running = (first < tl.minimum(length, last))[:, None]
    next_nets = _load_nets(net, row, block, cell, unit, running & is_cell[None, :], running & is_unit[None, :], geo)
    for t in range(first, stop):
        running = (t < length)[:, None]
        at_cells = running & is_cell[None, :]
        at_gates = running & is_first[None, :]
        at_units = running & is_unit[None, :]

        # net = W x_t + b + R r. What comes in the next step is asked for now: memory takes as long as a step does.
        i, f, g, o, u = next_nets
        nets = i.to(WIDE), f.to(WIDE), g.to(WIDE), o.to(WIDE), u.to(WIDE)
        next_running = (t + 1 < tl.minimum(length, last))[:, None]
        next_nets = _load_nets(
            net, row + samples, block, cell, unit, next_running & is_cell[None, :], next_running & is_unit[None, :], geo
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
        value_i, retained, value_o = one, state, one
        if geo.row_i >= 0:
            value_i = gate_activation(nets[0], p_i, state, alpha, geo)
            if geo.coupled:
                retained = (1.0 - value_i) * state
        if geo.row_f >= 0:
            value_f = gate_activation(nets[1], p_f, state, alpha, geo)
            retained = value_f * state
        value_g = squash(nets[2], INPUT_SQUASH)
        new_state = retained + value_i * value_g

        # y_t = [P (o h(s_t)), squash_u(net_u)]
        if geo.row_o >= 0:
            value_o = gate_activation(nets[3], p_o, new_state, alpha, geo)
        gated = value_o * squash(new_state, OUTPUT_SQUASH)
        state = tl.where(at_cells, new_state, state)
        if geo.row_u >= 0:
            value_u = squash(nets[4], UNIT_SQUASH)

        if KEEP:
            if geo.row_i >= 0:
                store_rows(activations, row, geo.rows, geo.row_i + block, value_i, at_gates)
            if geo.row_f >= 0:
                store_rows(activations, row, geo.rows, geo.row_f + block, value_f, at_gates)
            store_rows(activations, row, geo.rows, geo.row_g + cell, value_g, at_cells)
            if geo.row_o >= 0:
                store_rows(activations, row, geo.rows, geo.row_o + block, value_o, at_gates)
            if geo.row_u >= 0:
                store_rows(activations, row, geo.rows, geo.row_u + unit, value_u, at_units)
            store_rows(states, row + samples, geo.hidden, cell, new_state, at_cells)
        if geo.projected:
            if RESIDENT:
                no_sum = tl.full((TILE, geo.column_slots), 0.0, WIDE)
                projected = add_product(gated, project, no_sum, DOT, PRECISION).to(NARROW)
                output = tl.where(running, projected, output)
                store_rows(outputs, row, OUTPUT, column, projected, running & is_column[None, :])
            else:
                store_rows(product, batch, geo.hidden, cell, gated, at_cells)
        else:
            output = tl.where(running, gated.to(NARROW), output)
            store_rows(outputs, row, OUTPUT, column, gated, at_cells)
        if geo.conventional > 0:
            conventional = tl.where(running, value_u.to(NARROW), conventional)
            store_rows(outputs, row, OUTPUT, geo.columns + unit, value_u, at_units)
        if geo.col_i >= 0:
            last_i = tl.where(running, value_i.to(NARROW), last_i)
        if geo.col_f >= 0:
            last_f = tl.where(running, value_f.to(NARROW), last_f)
        if geo.col_o >= 0:
            last_o = tl.where(running, value_o.to(NARROW), last_o)
        row += samples

    store_rows(after, batch, geo.hidden, cell, state, inside[:, None] & is_cell[None, :])
    # A single step has not read the source of a sequence that has ended, so it leaves it as it is.
    is_written = inside if RESIDENT else first < length
    if RESIDENT or not geo.projected:
        store_rows(last_source, batch, geo.width, column, output, is_written[:, None] & is_column[None, :])
    if geo.conventional > 0:
        store_rows(
            last_source, batch, geo.width, geo.columns + unit, conventional, is_written[:, None] & is_unit[None, :]
        )
    if geo.col_i >= 0:
        store_rows(last_source, batch, geo.width, geo.col_i + block, last_i, is_written[:, None] & is_first[None, :])
    if geo.col_f >= 0:
        store_rows(last_source, batch, geo.width, geo.col_f + block, last_f, is_written[:, None] & is_first[None, :])
    if geo.col_o >= 0:
        store_rows(last_source, batch, geo.width, geo.col_o + block, last_o, is_written[:, None] & is_first[None, :])
