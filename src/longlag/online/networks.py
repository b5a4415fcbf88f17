"""Any number of nets of one topology that learn online, each from its own stream, in the kernels of csrc/online."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag import _native
from longlag.errors import InputError
from longlag.online.streams import Answers, Numbers, Stream, Update
from longlag.online.table import address, table_of
from longlag.online.topology import Topology
from longlag.ops.native import compiled_cell

__all__ = ["Lanes", "Networks", "choose_lanes"]

Lanes = Literal["networks", "units"]
"""What fills the lanes of a vector: one unit of many networks, or many units of one."""

_NAMES = (
    *("weight_ih", "weight_hh", "bias", "weight_peephole", "readout.weight", "readout.bias"),
    *("output", "cells", "gates", "traces", "peephole_traces"),
)


def choose_lanes(topology: Topology, count: int, wide: bool) -> Lanes:
    """Networks in lanes where more lanes would be filled that way."""
    width = _native.lanes(wide)
    blocks = topology.cell.blocks(topology.hidden_size)
    networks = count / (-(-count // width) * width)
    units = blocks / (-(-max(blocks, 1) // width) * width)
    return "networks" if networks > units else "units"


class Networks:
    """``count`` networks with weights of their own, side by side in vectors or one by one.

    All numbers start at zero; ``put`` sets them. Memory is O(count W) and does not depend on what is read. A network
    computes the same bits whatever the others do.
    """

    def __init__(self, topology: Topology, count: int, *, wide: bool = False, lanes: Lanes | None = None) -> None:
        self.topology, self.count, self.wide = topology, count, wide
        self.lanes: Lanes = choose_lanes(topology, count, wide) if lanes is None else lanes
        self.dtype: Any = np.dtype(np.float64 if wide else np.float32)
        width = _native.lanes(wide) if self.lanes == "networks" else 1
        largest = max(topology.cell.row_count(topology.hidden_size) + topology.output_size, topology.hidden_size * 3)
        if topology.symbols and topology.input_size * largest * width >= 2**31:  # places are whole numbers of 32 bits
            raise InputError(f"an alphabet of {topology.input_size} is too large for {topology.hidden_size} cells")
        bank = _native.Bank64 if wide else _native.Bank32
        self._bank = bank(
            cell=compiled_cell(topology.cell),
            input_size=topology.input_size,
            hidden_size=topology.hidden_size,
            output_size=topology.output_size,
            symbols=topology.symbols,
            reads_inputs=topology.reads == "cells+inputs",
            bias=topology.bias,
            gate_bias_only=topology.cell.biases == "gates",
            output_bias=topology.output_bias,
            output_activation=topology.output_activation,
            squared=topology.loss == "squared",
            networks=count,
            side_by_side=self.lanes == "networks",
        )
        self._rates = np.zeros(count, dtype=self.dtype)

    def memory(self) -> int:
        """Bytes that the networks take, idle lanes included."""
        return int(self._bank.elements()) * int(self.dtype.itemsize)

    # -- numbers -------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Weights, then state, by name."""
        return self.topology.weight_shapes | self.topology.state_shapes

    def put(self, network: int | None, numbers: Numbers, *, waiting: bool = False) -> None:
        """Sets the weights and states that are named, of one network or (None) of all. The others stay.

        ``waiting``: instead of weights, the changes of them that have added up since the sequence began.
        """
        arrays = {}
        for name, array in numbers.items():
            if name not in self.shapes or array.shape != self.shapes[name]:
                raise InputError(f"{name} has shape {array.shape}; expected {self.shapes.get(name, 'no such name')}")
            arrays[name] = np.ascontiguousarray(array, dtype=self.dtype)
        if "bias" in arrays:
            arrays["bias"] = self._spread_bias(arrays["bias"])
        self._bank.put(-1 if network is None else network, [address(arrays.get(name)) for name in _NAMES], waiting)

    def take(
        self, network: int, names: Sequence[str] | None = None, *, waiting: bool = False, kept: bool = False
    ) -> dict[str, NDArray[Any]]:
        """A copy of a network's numbers.

        ``waiting``: of weights, the changes added up since the sequence began. ``kept``: as they were at ``keep``.
        """
        names = list(self.shapes) if names is None else list(names)
        rows = self.topology.cell.row_count(self.topology.hidden_size)
        arrays = {name: np.zeros((rows,) if name == "bias" else self.shapes[name], dtype=self.dtype) for name in names}
        addresses = [address(arrays.get(name)) for name in _NAMES]
        if kept:
            self._bank.take_kept(network, addresses)
        else:
            self._bank.take(network, addresses, waiting)
        if "bias" in arrays:
            arrays["bias"] = arrays["bias"][list(self.topology.biased_rows)]
        return arrays

    def keep(self) -> None:
        """Remembers all numbers as they are now, for ``take(kept=True)``."""
        self._bank.keep()

    def _spread_bias(self, bias: NDArray[Any]) -> NDArray[Any]:
        full = np.zeros(self.topology.cell.row_count(self.topology.hidden_size), dtype=self.dtype)
        full[list(self.topology.biased_rows)] = bias
        return full

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(
        self,
        streams: Sequence[Stream],
        *,
        learning_rate: float | NDArray[Any] = 0.0,
        learn: bool = True,
        update: Update = "step",
        every_step: bool = True,
        outputs: bool = False,
        peek: bool = False,
        threads: int = 1,
    ) -> list[Answers]:
        """Each network reads its stream, learning as it goes.

        Parameters
        ----------
        streams : one for each network
        learning_rate : float, or (count,)
        learn : bool
            False: only answer; weights and traces stay.
        update : {"step", "sequence"}
            Weights change at every step with an error, or at the end of each sequence by what has added up.
        every_step : bool
            A target at each step; otherwise one at the last step of each sequence.
        outputs : bool
            Whether the answers' outputs are wanted besides their errors.
        peek : bool
            States are afterwards what they were before.
        """
        table = table_of(
            streams,
            self.count,
            dtype=self.dtype,
            symbols=self.topology.symbols,
            output_size=self.topology.output_size,
            every_step=every_step,
            outputs=outputs,
        )
        self._rates[:] = learning_rate
        self._bank.read(
            streams=table.rows.ctypes.data,
            rates=self._rates.ctypes.data,
            every_step=every_step,
            learns=learn,
            at_ends=update == "sequence",
            targets=table.asks,
            peeks=peek,
            threads=threads,
        )
        return table.answers
