"""Plain recurrent nets that learn online, each from its own stream, in the kernels of csrc/baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from longlag import _native
from longlag.baselines.reference import check_reading
from longlag.baselines.topology import ChunkerTopology, Method, RecurrentTopology
from longlag.errors import InputError
from longlag.online.streams import Answers, Numbers, Stream, Update

__all__ = ["RecurrentNetworks", "RecurrentTopology"]

_OF_A_NET = ("weight_ih", "weight_hh", "bias", "readout.weight", "readout.bias", "state", "answers", "traces")
_NAMES = (*_OF_A_NET, *(f"chunker.{name}" for name in _OF_A_NET))


class RecurrentNetworks:
    """``count`` networks with weights of their own, side by side in vectors. An ``Engine`` of longlag.online.

    All numbers start at zero; ``put`` sets them. A network computes the same bits whatever the others do. Activations
    and traces are zero at the start of each sequence, as for LSTM; no output is ever replaced by its target (no teacher
    forcing).

    Parameters
    ----------
    topology : RecurrentTopology
    count : int
    method : {"rtrl", "bptt", "elman"}
        Exact real-time recurrent learning: weights change at every step with an error. Back-propagation through the
        whole sequence: weights change at its end. Elman's procedure: what the hidden units did a step before is an
        input like any other, so errors do not go back in time; weights change at every step.
    wide : bool
        float64
    """

    def __init__(
        self,
        topology: RecurrentTopology | ChunkerTopology,
        count: int,
        *,
        method: Method = "rtrl",
        wide: bool = False,
    ) -> None:
        if method not in get_args(Method):
            raise InputError(f"method is {method!r}; expected one of {', '.join(get_args(Method))}")
        self.topology, self.count, self.method = topology, count, method
        self.dtype: Any = np.dtype(np.float64 if wide else np.float32)
        chunker = isinstance(topology, ChunkerTopology)
        net = topology.net if isinstance(topology, ChunkerTopology) else topology
        bank = _native.RecurrentBank64 if wide else _native.RecurrentBank32
        self._bank = bank(
            net.input_size if net.symbols else 0,
            0 if net.symbols else net.input_size,
            net.hidden_size,
            net.output_size,
            net.flat,
            net.reads_inputs,
            net.bias,
            net.feedback,
            get_args(Method).index(method),
            chunker,
            topology.threshold if isinstance(topology, ChunkerTopology) else 0.0,
            count,
        )
        self.shapes: Mapping[str, tuple[int, ...]] = (
            topology.weight_shapes | topology.state_shapes | (topology.trace_shapes if method == "rtrl" else {})
        )
        if net.feedback:
            self.shapes = topology.weight_shapes | topology.state_shapes
        self._rates = np.zeros(count, dtype=self.dtype)

    def memory(self) -> int:
        """Bytes that the networks take, idle lanes included; not the record that BPTT keeps of a sequence."""
        return int(self._bank.elements()) * int(self.dtype.itemsize)

    def put(self, network: int | None, numbers: Numbers, *, waiting: bool = False) -> None:
        """Sets the numbers that are named, of one network or (None) of all. The others stay.

        ``waiting``: instead of weights, the changes of them that have added up since the sequence began.
        """
        arrays = {}
        for name, array in numbers.items():
            if name not in self.shapes or array.shape != self.shapes[name]:
                raise InputError(f"{name} has shape {array.shape}; expected {self.shapes.get(name, 'no such name')}")
            arrays[name] = np.ascontiguousarray(array, dtype=self.dtype)
        self._bank.put(-1 if network is None else network, [_address(arrays.get(name)) for name in _NAMES], waiting)

    def take(
        self, network: int, names: Sequence[str] | None = None, *, waiting: bool = False, kept: bool = False
    ) -> dict[str, NDArray[Any]]:
        """A copy of a network's numbers; ``waiting``, ``kept`` as in ``longlag.online.networks.Networks.take``."""
        names = list(self.shapes) if names is None else list(names)
        arrays = {name: np.zeros(self.shapes[name], dtype=self.dtype) for name in names}
        self._bank.take(network, [_address(arrays.get(name)) for name in _NAMES], waiting, kept)
        return arrays

    def keep(self) -> None:
        """Remembers all numbers as they are now, for ``take(kept=True)``."""
        self._bank.keep()

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
        """As ``longlag.online.networks.Networks.read``. BPTT changes weights at the ends of sequences, whatever
        ``update`` says; with ``update="sequence"`` the others do as well."""
        check_reading(self.topology, self.method, streams, learn, every_step)
        table = np.zeros((self.count, 9), dtype=np.int64)
        self._rates[:] = learning_rate
        symbols, size = self.topology.symbols, self.topology.output_size
        kept, answers, asks = [], [], False
        for row, stream in zip(table, streams, strict=True):
            inputs = np.ascontiguousarray(stream.inputs, dtype=np.int32 if symbols else self.dtype)
            targets = stream.targets
            sequences = 1 if stream.lengths is None else len(stream.lengths)
            asked = (len(inputs) if every_step else sequences) if targets is not None or outputs else 0
            asks = asks or asked > 0
            if targets is not None:
                targets = np.ascontiguousarray(targets, dtype=np.int32 if targets.ndim == 1 else self.dtype)
            said = np.empty((asked, size), dtype=self.dtype) if outputs else None
            largest, mean = np.empty((2, asked), dtype=self.dtype)
            row[0 if not symbols else 1] = inputs.ctypes.data
            row[2], row[3] = _address(stream.lengths), len(inputs) if stream.lengths is None else sequences
            if targets is not None:
                row[5 if targets.ndim == 1 else 4] = targets.ctypes.data
            row[6], row[7], row[8] = _address(said), largest.ctypes.data, mean.ctypes.data
            kept.append((inputs, targets))
            answers.append(Answers(said, largest, mean))
        self._bank.read(
            table.ctypes.data, self._rates.ctypes.data, every_step, learn, update == "sequence", asks, peek, threads
        )
        return answers


def _address(array: NDArray[Any] | None) -> int:
    return 0 if array is None else array.ctypes.data
