"""Streams as a table of addresses, the way the kernels take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.online.streams import Answers, Stream

__all__ = ["Table", "address", "table_of"]


class Table(NamedTuple):
    """rows : a row of nine for each stream, see csrc/online/net.hpp; answers : what the kernels will fill;
    asks : whether anything is to be answered; kept : arrays that the rows point to."""

    rows: NDArray[np.int64]
    answers: list[Answers]
    asks: bool
    kept: list[Any]


def table_of(
    streams: Sequence[Stream],
    count: int,
    *,
    dtype: Any,
    symbols: bool,
    output_size: int,
    every_step: bool,
    outputs: bool,
) -> Table:
    """``symbols``: inputs are. ``outputs``: whether answers hold outputs besides their errors.

    Raises InputError if streams, lengths and targets do not fit each other. That symbols are in their alphabet is
    checked where they come from (FlatSequences, OnlineLSTM), once.
    """
    if len(streams) != count:
        raise InputError(f"there are {len(streams)} streams for {count} networks; expected one for each")
    if len({stream.lengths is None for stream in streams}) > 1:
        raise InputError("some streams have lengths and some have none; expected all alike")
    kinds = {stream.targets.ndim for stream in streams if stream.targets is not None}
    if len(kinds) > 1:
        raise InputError("some streams have symbols as targets and some have vectors; expected all alike")
    steps = {len(stream.inputs) for stream in streams if stream.lengths is None}
    if len(steps) > 1:  # a lane that has ended goes on computing, and its state is wanted afterwards
        raise InputError(f"streams without lengths have {min(steps)} to {max(steps)} steps; expected all alike")
    rows = np.zeros((len(streams), 9), dtype=np.int64)
    answers: list[Answers] = []
    kept: list[Any] = []
    for row, stream in zip(rows, streams, strict=True):
        inputs = np.ascontiguousarray(stream.inputs, dtype=np.int32 if symbols else dtype)
        targets = stream.targets
        if targets is not None:
            targets = np.ascontiguousarray(targets, dtype=np.int32 if targets.ndim == 1 else dtype)
            row[5 if targets.ndim == 1 else 4] = targets.ctypes.data
        lengths = stream.lengths
        if lengths is not None:
            lengths = np.ascontiguousarray(lengths, dtype=np.int64)
            if len(lengths) and int(lengths.min()) < 1:
                raise InputError(f"a sequence has length {int(lengths.min())}; expected at least one step each")
            if int(lengths.sum()) != len(inputs):
                raise InputError(f"lengths add up to {int(lengths.sum())}; expected {len(inputs)}, the inputs")
        sequences = 1 if lengths is None else len(lengths)
        asked = (len(inputs) if every_step else sequences) if targets is not None or outputs else 0
        if targets is not None and len(targets) != asked:
            raise InputError(f"there are {len(targets)} targets; expected {asked}")
        said = np.empty((asked, output_size), dtype=dtype) if outputs else None
        largest, mean = np.empty((2, asked), dtype=dtype)
        row[1 if symbols else 0] = inputs.ctypes.data
        row[2], row[3] = address(lengths), len(inputs) if lengths is None else sequences
        row[6], row[7], row[8] = address(said), largest.ctypes.data, mean.ctypes.data
        kept += [inputs, targets, lengths]
        answers.append(Answers(said, largest, mean))
    return Table(rows, answers, any(len(answer.largest) for answer in answers), kept)


def address(array: NDArray[Any] | None) -> int:
    """Of an array's numbers; 0 for none."""
    return 0 if array is None else array.ctypes.data
