"""What the kernels of both directions share on the device: slots of a tile, sums over blocks, products with R."""

from __future__ import annotations

import triton
import triton.language as tl

from longlag.ops.triton.squash import sigmoid

__all__ = [
    "absent",
    "add_product",
    "block_sum",
    "gate_activation",
    "load_peephole",
    "load_rows",
    "row_products",
    "row_sums",
    "slots_of",
    "store_rows",
    "weights_from",
    "weights_onto",
    "zeros_shaped_like",
]


@triton.jit
def slots_of(chunk: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    """Return block and cell of every slot, whether there is such a cell, and whether it is the first of its block."""
    slot = chunk * geo.slots + tl.arange(0, geo.slots)
    block = slot // geo.places
    place = slot % geo.places
    is_cell = (place < geo.per_block) & (block < geo.blocks)
    return block, block * geo.per_block + place, is_cell, is_cell & (place == 0)


@triton.jit
def load_rows(pointer: tl.tensor, row: tl.tensor, width: tl.constexpr, column: tl.tensor, mask: tl.tensor) -> tl.tensor:
    """Return pointer[row, column], zero outside of the mask; ``row`` is 64 bits wide, and so is the product."""
    return tl.load(pointer + row[:, None] * width + column[None, :], mask=mask, other=0.0)


@triton.jit
def store_rows(
    pointer: tl.tensor,
    row: tl.tensor,
    width: tl.constexpr,
    column: tl.tensor,
    value: tl.tensor,
    mask: tl.tensor,
) -> None:
    """pointer[row, column] = value where the mask says so."""
    tl.store(pointer + row[:, None] * width + column[None, :], value.to(pointer.dtype.element_ty), mask=mask)


@triton.jit
def block_sum(values: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    """Return the sum over the cells of a block, in every slot of the block."""
    if geo.places > 1:
        parts = tl.reshape(values, (values.shape[0], values.shape[1] // geo.places, geo.places))
        sums = tl.sum(parts, axis=2, keep_dims=True)
        values = tl.reshape(tl.broadcast_to(sums, parts.shape), values.shape)
    return values


@triton.jit
def load_peephole(
    pointer: tl.tensor, NUMBER: tl.constexpr, cell: tl.tensor, is_cell: tl.tensor, geo: tl.constexpr
) -> tl.tensor:
    """Return the peephole weights of one gate, (1, slots); a single zero where there are none."""
    values = absent(tl.float32)
    if NUMBER >= 0:
        values = tl.load(pointer + NUMBER * geo.hidden + cell, mask=is_cell, other=0.0)[None, :]
    return values


@triton.jit
def gate_activation(
    net: tl.tensor, peephole: tl.tensor, state: tl.tensor, sharpness: tl.tensor, geo: tl.constexpr
) -> tl.tensor:
    """Return sigma(alpha (net + sum over the block of p s))."""
    if geo.peepholes:
        net += block_sum(peephole * state, geo)
    return sigmoid(sharpness * net)


@triton.jit
def add_product(
    values: tl.tensor, weights: tl.tensor, total: tl.tensor, DOT: tl.constexpr, PRECISION: tl.constexpr
) -> tl.tensor:
    """Return total + values @ weights, for (B, K) and (K, N).

    Without DOT no tensor cores, so that a tile may hold fewer than 16 samples.
    """
    if DOT:
        rounded = values.to(weights.dtype)
        total = tl.dot(rounded, weights, total, input_precision=PRECISION, out_dtype=total.dtype)
    else:
        total += tl.sum(_products(values, weights, total.dtype), axis=1)
    return total


@triton.jit
def _products(values: tl.tensor, weights: tl.tensor, TYPE: tl.constexpr) -> tl.tensor:
    """(B, K) and (K, N) -> (B, K, N)."""
    return values.to(weights.dtype).to(TYPE)[:, :, None] * weights.to(TYPE)[None, :, :]


@triton.jit
def row_products(
    i: tl.tensor, f: tl.tensor, g: tl.tensor, o: tl.tensor, weights: tl.tensor, TYPE: tl.constexpr, geo: tl.constexpr
) -> tl.tensor:
    """Return products (B, K, N) of values (B, K) with weights of each kind of row; a single zero for a missing kind."""
    wide_i, wide_f, wide_o = absent(TYPE), absent(TYPE), absent(TYPE)
    if geo.row_i >= 0:
        wide_i = _products(i, weights[0], TYPE)
    if geo.row_f >= 0:
        wide_f = _products(f, weights[1], TYPE)
    if geo.row_o >= 0:
        wide_o = _products(o, weights[3], TYPE)
    return wide_i, wide_f, _products(g, weights[2], TYPE), wide_o


@triton.jit
def _add_three(a: tl.tensor, b: tl.tensor, c: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor) -> tl.tensor:
    return a + x, b + y, c + z


@triton.jit
def _add_four(
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    d: tl.tensor,
    w: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    z: tl.tensor,
) -> tl.tensor:
    return a + w, b + x, c + y, d + z


@triton.jit
def row_sums(products: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    """Return sums over K of all ``row_products``, in one reduction: a step waits for its threads once."""
    i, f, g, o = products
    if geo.row_i >= 0 and geo.row_f >= 0 and geo.row_o >= 0:
        i, f, g, o = tl.reduce((i, f, g, o), 1, _add_four)
    elif geo.row_i >= 0 and geo.row_f < 0 and geo.row_o >= 0:
        i, g, o = tl.reduce((i, g, o), 1, _add_three)
    else:
        if geo.row_i >= 0:
            i = tl.sum(i, axis=1)
        if geo.row_f >= 0:
            f = tl.sum(f, axis=1)
        g = tl.sum(g, axis=1)
        if geo.row_o >= 0:
            o = tl.sum(o, axis=1)
    return i, f, g, o


@triton.jit
def absent(TYPE: tl.constexpr) -> tl.tensor:
    """Return a single zero, for what a cell does not have: not every Triton lets a function return None."""
    return tl.full((1, 1), 0.0, TYPE)


@triton.jit
def zeros_shaped_like(values: tl.tensor) -> tl.tensor:
    """Return zeros. tl.zeros_like would be a kernel of its own, which cannot be called in every order of imports."""
    return tl.full(values.shape, 0.0, values.dtype)


@triton.jit
def _rows_of(
    pointer: tl.tensor, FIRST: tl.constexpr, row: tl.tensor, column: tl.tensor, mask: tl.tensor, source: tl.constexpr
) -> tl.tensor:
    values = absent(pointer.dtype.element_ty)
    if FIRST >= 0:
        values = tl.load(pointer + (FIRST + row) * source + column, mask=mask, other=0.0)
    return values


@triton.jit
def weights_from(pointer: tl.tensor, column: tl.tensor, is_column: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    """Return R' for these columns, (columns, rows), by the kinds i, f, g, o, u; a gate's row is in each slot."""
    block, cell, is_cell, _ = slots_of(0, geo)
    unit = tl.arange(0, geo.unit_slots)
    at, mask = column[:, None], is_column[:, None] & is_cell[None, :]
    units = is_column[:, None] & (unit < geo.conventional)[None, :]
    return (
        _rows_of(pointer, geo.row_i, block[None, :], at, mask, geo.source),
        _rows_of(pointer, geo.row_f, block[None, :], at, mask, geo.source),
        _rows_of(pointer, geo.row_g, cell[None, :], at, mask, geo.source),
        _rows_of(pointer, geo.row_o, block[None, :], at, mask, geo.source),
        _rows_of(pointer, geo.row_u, unit[None, :], at, units, geo.source),
    )


@triton.jit
def weights_onto(pointer: tl.tensor, column: tl.tensor, is_column: tl.tensor, geo: tl.constexpr) -> tl.tensor:
    """Return R for these columns, (rows, columns), by the kinds i, f, g, o, u.

    A gate's row stands in the first slot of its block alone, so that its error is not added twice.
    """
    block, cell, is_cell, is_first = slots_of(0, geo)
    unit = tl.arange(0, geo.unit_slots)
    at, gates = column[None, :], is_first[:, None] & is_column[None, :]
    units = (unit < geo.conventional)[:, None] & is_column[None, :]
    return (
        _rows_of(pointer, geo.row_i, block[:, None], at, gates, geo.source),
        _rows_of(pointer, geo.row_f, block[:, None], at, gates, geo.source),
        _rows_of(pointer, geo.row_g, cell[:, None], at, is_cell[:, None] & is_column[None, :], geo.source),
        _rows_of(pointer, geo.row_o, block[:, None], at, gates, geo.source),
        _rows_of(pointer, geo.row_u, unit[:, None], at, units, geo.source),
    )
