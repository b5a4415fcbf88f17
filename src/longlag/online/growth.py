"""Sequential network construction: a block is added when the error stops decreasing (1997 paper, section 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.cell import CellSpec
from longlag.checks import is_number, whole_number
from longlag.errors import InputError
from longlag.online.streams import Numbers
from longlag.online.topology import Topology

__all__ = ["ErrorWatch", "Growth", "widen"]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """When a network grows.

    max_blocks : no block is added beyond so many
    window : learned targets over which the error is averaged
    least_gain : the error has stopped decreasing when a window's mean is above (1 - least_gain) times the one before
    """

    max_blocks: int
    window: int = 1000
    least_gain: float = 0.01

    def __post_init__(self) -> None:
        for name in ("max_blocks", "window"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        if not is_number(self.least_gain) or not 0.0 <= self.least_gain < 1.0:
            raise InputError(f"least_gain is {self.least_gain!r}; expected a number from 0 up to 1")


class ErrorWatch:
    """Means of the error, window by window. ``state``: sum and count of this window, mean of the one before."""

    def __init__(self, growth: Growth) -> None:
        self.growth = growth
        self.state = np.array([0.0, 0.0, np.inf])

    @property
    def left(self) -> int:
        """Errors until the window ends."""
        return max(self.growth.window - int(self.state[1]), 1)

    def stalls(self, *errors: float) -> bool:
        """Adds the next errors, ``left`` at most. True when they end a window that was no better than the one before;
        then the watch starts anew."""
        total = float(self.state[0])
        for error in errors:  # one after the other: the same bits however many come at a time
            total += error
        self.state[0] = total
        self.state[1] += len(errors)
        if self.state[1] < self.growth.window:
            return False
        mean = self.state[0] / self.state[1]
        stalled = bool(mean > (1.0 - self.growth.least_gain) * self.state[2])
        self.state[:] = 0.0, 0.0, np.inf if stalled else mean
        return stalled


def widen(topology: Topology, wider: Topology, numbers: Numbers, fresh: Numbers) -> dict[str, NDArray[Any]]:
    """Return a network's ``numbers`` in a wider one's shapes.

    Old weights and states stand at their places; new ones are from ``fresh``, which has all of the wider topology's
    shapes.
    """
    rows = _rows_in_wider(topology.cell, topology.hidden_size, wider.hidden_size)
    sources = _sources_in_wider(topology.cell, topology.hidden_size, wider.hidden_size)
    cells = np.arange(topology.hidden_size)
    outputs = _outputs_in_wider(topology.cell, topology.hidden_size, wider.hidden_size)
    inputs = np.arange(topology.input_size)
    seen = outputs
    if topology.reads == "cells+inputs":
        seen = np.concatenate([outputs, wider.cell.output_size(wider.hidden_size) + inputs])
    gates = _gates_in_wider(topology.cell, topology.hidden_size, wider.hidden_size)
    last = wider.state_shapes["traces"][2] - 1
    columns = np.concatenate([inputs, topology.input_size + sources, [last]])
    biased = [wider.biased_rows.index(int(row)) for row in rows[list(topology.biased_rows)]]
    places: Mapping[str, tuple[Any, ...]] = {
        "weight_ih": (rows,),
        "weight_hh": np.ix_(rows, sources),
        "bias": (biased,),
        "weight_peephole": (slice(None), cells),
        "readout.weight": (slice(None), seen),
        "readout.bias": (slice(None),),
        "output": (outputs,),
        "cells": (cells,),
        "gates": (gates,),
        "traces": np.ix_(np.arange(topology.state_shapes["traces"][0]), cells, columns),
        "peephole_traces": (slice(None), cells),
    }
    widened = {name: np.array(value) for name, value in fresh.items()}
    for name, value in numbers.items():
        widened[name][places[name]] = value
    return widened


def _rows_in_wider(cell: CellSpec, hidden: int, wider: int) -> NDArray[np.int64]:
    """Return places of a layer's weight rows in a wider layer."""
    narrow, wide = cell.rows(hidden), cell.rows(wider)
    places = [np.arange(narrow[kind].stop - narrow[kind].start) + wide[kind].start for kind in narrow]
    return np.concatenate(places, dtype=np.int64)


def _outputs_in_wider(cell: CellSpec, hidden: int, wider: int) -> NDArray[np.int64]:
    return np.concatenate([np.arange(hidden), wider + np.arange(cell.conventional_units)], dtype=np.int64)


def _gates_in_wider(cell: CellSpec, hidden: int, wider: int) -> NDArray[np.int64]:
    narrow, wide = cell.blocks(hidden), cell.blocks(wider)
    places = [np.arange(narrow) + place * wide for place in range(len(cell.gates))]
    return np.concatenate([np.zeros(0, dtype=np.int64), *places], dtype=np.int64)


def _sources_in_wider(cell: CellSpec, hidden: int, wider: int) -> NDArray[np.int64]:
    """Return places of a layer's recurrent columns in a wider layer."""
    if not cell.recurrence:
        return np.zeros(0, dtype=np.int64)
    places = [_outputs_in_wider(cell, hidden, wider)]
    if cell.gate_recurrence:
        places.append(cell.output_size(wider) + _gates_in_wider(cell, hidden, wider))
    return np.concatenate(places, dtype=np.int64)
