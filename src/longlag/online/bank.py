"""Networks in the compiled kernels, whatever their kind: their numbers by name, and the streams that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.online.address_table import AddressTable, plain_array
from longlag.online.streams import DEFAULT_OPTIONS, Answers, Numbers, ReadOptions, Stream

__all__ = ["CompiledBank", "NetworkBank"]


class CompiledBank(Protocol):
    """What csrc/online/bank_binding.hpp binds for every kind of network. Arrays are addresses."""

    def elements(self) -> int: ...

    def load(self, network: int | None, arrays: Mapping[str, int], *, pending: bool) -> None: ...

    def dump(self, network: int, arrays: Mapping[str, int], *, pending: bool, from_snapshot: bool) -> None: ...

    def snapshot(self) -> None: ...

    def read(
        self,
        *,
        streams: int,
        learning_rates: int,
        every_step: bool,
        learn: bool,
        update_at_ends: bool,
        targets: bool,
        restore_state: bool,
        threads: int,
    ) -> None: ...


class NetworkBank:
    """``count`` networks with weights of their own, side by side in vectors or one by one. An ``Engine``.

    Parameters
    ----------
    bank : CompiledBank
    count : int
    dtype : np.float32 or np.float64
        The type of the bank's numbers.
    shapes : dict
        Weights, states and traces of one network by name.
    symbols : bool
        Inputs are symbols.
    output_size : int
    """

    def __init__(
        self,
        bank: CompiledBank,
        count: int,
        *,
        dtype: Any,
        shapes: Mapping[str, tuple[int, ...]],
        symbols: bool,
        output_size: int,
    ) -> None:
        self.count, self.dtype, self.shapes = count, np.dtype(dtype), shapes
        self._bank, self._symbols, self._output_size = bank, symbols, output_size
        self._rates = np.zeros(count, dtype=self.dtype)
        self._has_snapshot = False

    def memory(self) -> int:
        """Return bytes that the networks take, idle lanes included. They do not depend on what is read."""
        return self._bank.elements() * int(self.dtype.itemsize)

    def load(self, network: int | None, numbers: Numbers, *, pending: bool = False) -> None:
        """See ``Engine.load``."""
        arrays = {}
        for name, array in numbers.items():
            if name not in self.shapes or array.shape != self.shapes[name]:
                raise InputError(f"{name} has shape {array.shape}; expected {self.shapes.get(name, 'no such name')}")
            arrays[name] = plain_array(array, self.dtype)
        self._bank.load(network, _addresses(arrays), pending=pending)

    def dump(
        self, network: int, names: Sequence[str] | None = None, *, pending: bool = False, from_snapshot: bool = False
    ) -> dict[str, NDArray[Any]]:
        """See ``Engine.dump``."""
        if from_snapshot and not self._has_snapshot:
            raise InputError("there is no snapshot to dump from; expected snapshot() before")
        names = list(self.shapes) if names is None else names
        arrays = {name: np.zeros(self.shapes[name], dtype=self.dtype) for name in names}
        self._bank.dump(network, _addresses(arrays), pending=pending, from_snapshot=from_snapshot)
        return arrays

    def snapshot(self) -> None:
        """See ``Engine.snapshot``."""
        self._bank.snapshot()
        self._has_snapshot = True

    def read(self, streams: Sequence[Stream], options: ReadOptions = DEFAULT_OPTIONS) -> list[Answers]:
        """See ``Engine.read``."""
        table = AddressTable.of(
            streams,
            self.count,
            dtype=self.dtype,
            symbols=self._symbols,
            output_size=self._output_size,
            every_step=options.every_step,
            outputs=options.outputs,
        )
        self._rates[:] = options.learning_rate
        self._bank.read(
            streams=table.rows.ctypes.data,
            learning_rates=self._rates.ctypes.data,
            every_step=options.every_step,
            learn=options.learn,
            update_at_ends=options.update == "sequence",
            targets=table.has_targets,
            restore_state=options.restore_state,
            threads=options.threads,
        )
        return table.answers


def _addresses(arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    return {name: array.ctypes.data for name, array in arrays.items()}
