"""Topology: what an online learner's network consists of, and the shapes of its numbers. Pure data."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal, get_args

from longlag.cell import CellSpec, Squash
from longlag.checks import MOST, one_of, true_or_false, whole_number
from longlag.errors import InputError
from longlag.ops.engine import COMMON_FIELDS

__all__ = ["Loss", "Reads", "Topology"]

Reads = Literal["cells", "cells+inputs"]
Loss = Literal["squared", "cross_entropy"]


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A layer of memory cells and the output units that read it (1997 paper, section 4.3).

    Parameters
    ----------
    input_size, output_size : int
    hidden_size : int
        Memory cells in all; 0 with ``reads="cells+inputs"`` is a net that waits for its first block.
    cell : CellSpec
        ``biases="double"`` means one bias here: the second has the same gradient.
    symbols : bool
        Inputs are symbols 0..input_size-1 and stand for one-hot vectors. A step then costs the same for any alphabet.
    reads : {"cells", "cells+inputs"}
        Connectivity F or B of the paper's Table 10.
    output_activation : str
        Squashing of the output units.
    bias, output_bias : bool
        Whether hidden units and output units have biases.
    loss : {"squared", "cross_entropy"}
        "squared": the error of output unit k is f'(net_k) (t_k - y_k) (eq. A.17). "cross_entropy": t_k - y_k.

    Raises
    ------
    InputError
        If a size is impossible or an option unknown.
    """

    input_size: int
    output_size: int
    hidden_size: int
    cell: CellSpec
    symbols: bool = False
    reads: Reads = "cells"
    output_activation: Squash = "logistic"
    bias: bool = True
    output_bias: bool = True
    loss: Loss = "squared"

    def __post_init__(self) -> None:
        for name, least in (("input_size", 1), ("output_size", 1), ("hidden_size", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("symbols", "bias", "output_bias"):
            true_or_false(name, getattr(self, name))
        for name, kinds in (("reads", Reads), ("output_activation", Squash), ("loss", Loss)):
            one_of(name, getattr(self, name), get_args(kinds))
        if self.loss == "cross_entropy" and self.output_activation not in ("logistic", "identity"):
            raise InputError(
                f"loss='cross_entropy' with output_activation {self.output_activation!r}; expected 'logistic' (or "
                f"'identity', where it is the squared error)"
            )
        unknown = self.cell.beyond(COMMON_FIELDS)
        if unknown:
            raise InputError(f"learners of streams do not implement {unknown}; expected a cell without it")
        self.cell.blocks(self.hidden_size)
        rows, sources = self.cell.row_count(self.hidden_size), self.cell.source_size(self.hidden_size)
        if rows * (self.input_size + sources) > MOST:  # before anything is made that is so large
            raise InputError(
                f"hidden_size is {self.hidden_size} with {self.input_size} inputs; expected at most {MOST} weights"
            )
        if self.hidden_size + self.cell.conventional_units == 0 and self.reads == "cells":
            raise InputError("there is no hidden unit to read; expected hidden cells, or reads='cells+inputs'")

    # -- shapes ------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameters by name, as in ``state_dict``. Rows in the order i, f, g, o, u; blocks within them."""
        cell, hidden = self.cell, self.hidden_size
        rows, outputs = cell.row_count(hidden), cell.output_size(hidden)
        seen = outputs + (self.input_size if self.reads == "cells+inputs" else 0)
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.input_size),
            "weight_hh": (rows, cell.source_size(hidden)),
        }
        if self.bias:
            shapes["bias"] = (len(self.biased_rows),)
        if cell.peepholes:
            shapes["weight_peephole"] = (len(cell.gates), hidden)
        shapes["readout.weight"] = (self.output_size, seen)
        if self.output_bias:
            shapes["readout.bias"] = (self.output_size,)
        return shapes

    @functools.cached_property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """What a net carries from step to step: activations, states, and the traces of eqs A.23 and A.25.

        ``traces``: (what reaches the state, in the order i, f, g; cells; sources [x, r, 1]). ``peephole_traces``:
        (gates i, f; cells; cells of the block).
        """
        cell, hidden = self.cell, self.hidden_size
        gates = [gate for gate in cell.gates if gate in "if"]
        columns = self.input_size + cell.source_size(hidden) + 1
        shapes: dict[str, tuple[int, ...]] = {
            "output": (cell.output_size(hidden),),
            "cells": (hidden,),
            "gates": (cell.gate_size(hidden),),
            "traces": (len(gates) + 1, hidden, columns),
        }
        if cell.peepholes:
            shapes["peephole_traces"] = (len(gates), hidden, cell.cells_per_block)
        return shapes

    @functools.cached_property
    def biased_rows(self) -> tuple[int, ...]:
        """Weight rows that have a bias: all, or with ``biases="gates"`` those of gates."""
        if not self.bias:
            return ()
        rows = self.cell.rows(self.hidden_size)
        return tuple(row for kind in rows if self.cell.biases != "gates" or kind in "ifo" for row in _range(rows[kind]))

    def weight_count(self) -> int:
        """Return all trainable numbers: W of the papers."""
        return sum(map(math.prod, self.weight_shapes.values()))


def _range(rows: slice) -> range:
    return range(rows.start, rows.stop)
