"""Where everything of one layer stands in memory and in a tile: what the kernels are compiled for, besides the type.

A block's cells stand side by side in *slots*, as many for each block as the next power of two, so that the sum over a
block is a sum over an axis, exact and without another product. Gates are held once per slot: all net inputs of a cell
then stand in one place, and the equations are the same with blocks and without.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from longlag.cell import CellSpec

__all__ = ["Geometry", "geometry", "power_of_two"]

SMALLEST_SIDE = 16
"""The smallest side of a tile that a matrix product takes."""


class Geometry(NamedTuple):
    """What a kernel knows of a layer when it is compiled: whole numbers, flags and names. -1 stands for no such place.

    blocks, per_block, places : blocks, and the cells and slots of each. slots, column_slots, unit_slots : sides of the
    tiles of cells, of cell outputs (their projection, if there is one) and of conventional units. columns : cell
    outputs. rows : of W, R and b; row_* : where those of a kind of unit begin. source : columns of R; col_* : where
    those of a gate's activations begin; width : of the buffer that carries outputs and gate activations from step to
    step. peephole_* : rows of p.
    """

    hidden: int
    blocks: int
    per_block: int
    places: int
    slots: int
    projected: bool
    columns: int
    column_slots: int
    conventional: int
    unit_slots: int
    rows: int
    row_i: int
    row_f: int
    row_g: int
    row_o: int
    row_u: int
    source: int
    width: int
    col_i: int
    col_f: int
    col_o: int
    peepholes: bool
    peephole_i: int
    peephole_f: int
    peephole_o: int
    coupled: bool
    recurrence: bool
    input_squash: str
    output_squash: str
    unit_squash: str


def power_of_two(number: int) -> int:
    """Return the smallest power of two that is not below ``number``."""
    return 1 << max(number - 1, 0).bit_length()


@functools.lru_cache(maxsize=256)
def geometry(spec: CellSpec, hidden: int, projection: int, chunk: int = 0) -> Geometry:
    """Return the geometry of a layer for programs that hold all its cells, or with ``chunk`` about so many each."""
    blocks, rows, columns = spec.blocks(hidden), spec.rows(hidden), projection or hidden
    places = power_of_two(spec.cells_per_block)
    slots = max(SMALLEST_SIDE, power_of_two(blocks) * places)
    unit_slots = max(SMALLEST_SIDE, power_of_two(spec.conventional_units))
    if chunk:
        slots = min(slots, max(chunk, places))
        unit_slots = slots  # chunk for chunk beside the cells
    start = {name: rows[name].start if name in rows else -1 for name in "ifgou"}
    if not spec.conventional_units:
        start["u"] = -1
    gates = spec.output_size(hidden, projection)  # columns of the source before them
    column = {
        name: gates + spec.gates.index(name) * blocks if spec.gate_recurrence and name in spec.gates else -1
        for name in "ifo"
    }
    peephole = {name: spec.gates.index(name) if spec.peepholes and name in spec.gates else -1 for name in "ifo"}
    return Geometry(
        hidden=hidden,
        blocks=blocks,
        per_block=spec.cells_per_block,
        places=places,
        slots=slots,
        projected=bool(projection),
        columns=columns,
        column_slots=max(SMALLEST_SIDE, power_of_two(columns)) if projection else slots,
        conventional=spec.conventional_units,
        unit_slots=unit_slots,
        rows=spec.row_count(hidden),
        row_i=start["i"],
        row_f=start["f"],
        row_g=start["g"],
        row_o=start["o"],
        row_u=start["u"],
        source=spec.source_size(hidden, projection),
        width=gates + (spec.gate_size(hidden) if spec.gate_recurrence else 0),
        col_i=column["i"],
        col_f=column["f"],
        col_o=column["o"],
        peepholes=spec.peepholes,
        peephole_i=peephole["i"],
        peephole_f=peephole["f"],
        peephole_o=peephole["o"],
        coupled=spec.coupled_gates,
        recurrence=spec.recurrence,
        input_squash=spec.input_squash,
        output_squash=spec.output_squash,
        unit_squash=spec.unit_squash,
    )
