"""Streams as a table of addresses, the way the kernels take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from longlag import _native
from longlag.errors import InputError
from longlag.online.streams import Answers, Stream

__all__ = ["AddressTable", "plain_array"]

_COLUMN: dict[str, int] = {name: column for column, name in enumerate(_native.stream_fields())}


class AddressTable(NamedTuple):
    """The streams of one call in memory.

    rows : a row of ``_native.stream_fields()`` for each stream
    answers : the arrays that the kernels fill, by stream
    has_targets : whether any network has to answer
    arrays : those that the rows point to; an address does not keep its array alive
    """

    rows: NDArray[np.int64]
    answers: list[Answers]
    has_targets: bool
    arrays: list[Any]

    @classmethod
    def of(
        cls,
        streams: Sequence[Stream],
        count: int,
        *,
        dtype: Any,
        symbols: bool,
        output_size: int,
        every_step: bool,
        outputs: bool,
    ) -> AddressTable:
        """Return the table for ``count`` networks. ``symbols``: inputs are symbols. ``outputs``: answers hold outputs.

        Raises InputError if streams, lengths and targets do not fit each other. That symbols are in their alphabet is
        checked where they come from (FlatSequences, OnlineLSTM), once.
        """
        _check_alike(streams, count)
        rows = np.zeros((len(streams), len(_COLUMN)), dtype=np.int64)
        answers: list[Answers] = []
        arrays: list[Any] = []
        for row, stream in zip(rows, streams, strict=True):
            inputs = plain_array(stream.inputs, np.int32 if symbols else dtype)
            lengths = _checked_lengths(stream.lengths, len(inputs))
            sequences = 1 if lengths is None else len(lengths)
            targets = stream.targets
            targets_wanted = len(inputs) if every_step else sequences
            if targets is not None and len(targets) != targets_wanted:
                raise InputError(f"there are {len(targets)} targets; expected {targets_wanted}")
            if targets is not None:
                targets = plain_array(targets, np.int32 if targets.ndim == 1 else dtype)
                row[_COLUMN["target_symbols" if targets.ndim == 1 else "targets"]] = targets.ctypes.data
            answer_count = targets_wanted if targets is not None or outputs else 0
            output_array = np.empty((answer_count, output_size), dtype=dtype) if outputs else None
            largest, mean = np.empty((2, answer_count), dtype=dtype)
            row[_COLUMN["symbols" if symbols else "values"]] = inputs.ctypes.data
            row[_COLUMN["lengths"]] = 0 if lengths is None else lengths.ctypes.data
            row[_COLUMN["sequences"]] = len(inputs) if lengths is None else sequences
            row[_COLUMN["outputs"]] = 0 if output_array is None else output_array.ctypes.data
            row[_COLUMN["largest"]], row[_COLUMN["mean"]] = largest.ctypes.data, mean.ctypes.data
            arrays += [inputs, targets, lengths]
            answers.append(Answers(output_array, largest, mean))
        return cls(rows, answers, any(len(answer.largest) for answer in answers), arrays)


def plain_array(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the array as a kernel may read it at its address: contiguous, and where numbers of its type may stand."""
    array = np.ascontiguousarray(array, dtype=dtype)
    return array if array.flags.aligned else array.copy()


def _check_alike(streams: Sequence[Stream], count: int) -> None:
    if len(streams) != count:
        raise InputError(f"there are {len(streams)} streams for {count} networks; expected one for each")
    if len({stream.lengths is None for stream in streams}) > 1:
        raise InputError("some streams have lengths and some have none; expected all alike")
    if len({stream.targets.ndim for stream in streams if stream.targets is not None}) > 1:
        raise InputError("some streams have symbols as targets and some have vectors; expected all alike")
    steps = {len(stream.inputs) for stream in streams if stream.lengths is None}
    if len(steps) > 1:  # a lane that has ended goes on computing, and its state is wanted afterwards
        raise InputError(f"streams without lengths have {min(steps)} to {max(steps)} steps; expected all alike")


def _checked_lengths(lengths: NDArray[np.int64] | None, steps: int) -> NDArray[np.int64] | None:
    """Return ``lengths`` of sequences that are ``steps`` long together, contiguous."""
    if lengths is None:
        return None
    lengths = plain_array(lengths, np.int64)
    if len(lengths) and int(lengths.min()) < 1:
        raise InputError(f"a sequence has length {int(lengths.min())}; expected at least one step each")
    if int(lengths.sum()) != steps:
        raise InputError(f"lengths add up to {int(lengths.sum())}; expected {steps}, the inputs")
    return lengths
