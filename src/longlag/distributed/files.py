"""ParquetSequences: samples that stay in files until a worker needs them, and that any worker can read again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from longlag.data.grouping import sequences_by
from longlag.data.sequences import SequenceBatch
from longlag.distributed.messages import ChunkSource, Memory
from longlag.errors import InputError
from longlag.tables.parquet import read_parquet

__all__ = ["ParquetSequences"]


@dataclass(frozen=True)
class _Columns:
    """The columns that are read of each file, and what is made of them."""

    sequence: str
    features: tuple[str, ...]
    target: str
    classes: tuple[str, ...] | None
    dtype: torch.dtype


@dataclass(frozen=True)
class _RowRange:
    """Rows start..stop-1 of one file, which hold ``count`` whole sequences."""

    path: str
    start: int
    stop: int
    count: int


@dataclass(frozen=True)
class _ParquetChunk:
    """The source of one chunk: rows of one file or several."""

    columns: _Columns
    ranges: tuple[_RowRange, ...]

    def read(self, memory: Memory) -> SequenceBatch:
        """Read the sequences from the files."""
        del memory  # which holds what the driver shares; the files are elsewhere
        arrays: list[NDArray[np.float64]] = []
        targets = []
        columns = self.columns
        names = list(dict.fromkeys([columns.sequence, *columns.features, columns.target]))
        for rows in self.ranges:
            table = read_parquet(rows.path, columns=names, rows=(rows.start, rows.stop))
            sequences = sequences_by(table, columns.sequence, columns.features, label_column=columns.target)
            if len(sequences) != rows.count:
                raise InputError(
                    f"{rows.path}: rows {rows.start + 1} to {rows.stop} hold {len(sequences)} sequences, {rows.count} "
                    "when they were counted; expected a file that does not change"
                )
            assert sequences.labels is not None
            arrays += sequences.arrays
            targets.append(_targets(sequences.labels, columns, rows))
        return SequenceBatch.last_step(arrays, np.concatenate(targets), dtype=columns.dtype)


class ParquetSequences:
    """Sequences in Parquet files, one row per step, with one answer each, for objectives of ``longlag.distributed``.

    The driver reads only the column with the identifiers. A chunk is read by the worker that computes it, which keeps
    it as long as it has room; another worker can read it again. All machines must see the files under the same paths.

    Parameters
    ----------
    paths : sequence of paths
        The files, in the order of their sequences.
    sequence : str
        The column that says which rows belong together; they stand together, in time order.
    features : sequence of str
        Number columns: what the network reads, F of them.
    target : str
        The column with each sequence's answer, the same in all of its rows: a number, or with ``classes`` one of them.
    classes : sequence of str, optional
        The classes' names, in the order of the outputs.
    dtype : torch.dtype
        The type of what the network reads.

    Raises
    ------
    InputError
        If a file cannot be read, has no such column, begins in the midst of a sequence, or there is none.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        sequence: str,
        features: Sequence[str],
        target: str,
        classes: Sequence[str] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if isinstance(paths, str | os.PathLike) or not paths:
            raise InputError(f"paths is {paths!r}; expected a list of Parquet files, at least one")
        if isinstance(features, str) or not features:
            raise InputError(f"features is {features!r}; expected a list of columns, at least one")
        self._columns = _Columns(sequence, tuple(features), target, None if classes is None else tuple(classes), dtype)
        self._paths = [os.path.abspath(os.fspath(path)) for path in paths]
        self._bounds, before = [], None
        for path in self._paths:
            names = read_parquet(path, columns=[sequence]).text(sequence)
            if names[0] == before:
                raise InputError(
                    f"{path} begins with sequence {before!r}, with which the file before it ends; expected whole "
                    "sequences in each file"
                )
            before = names[-1]
            starts = np.flatnonzero(names[1:] != names[:-1]) + 1
            self._bounds.append(np.concatenate([[0], starts, [len(names)]]).astype(np.int64))

    def __len__(self) -> int:
        """Return the number of sequences."""
        return sum(len(bounds) - 1 for bounds in self._bounds)

    @property
    def steps(self) -> int:
        """The number of rows of all files together."""
        return sum(int(bounds[-1]) for bounds in self._bounds)

    def chunks(self, size: int) -> list[ChunkSource]:
        """Return the chunks of ``size`` sequences in their order; one may reach over the end of a file."""
        firsts = np.cumsum([0, *(len(bounds) - 1 for bounds in self._bounds)])
        return [
            _ParquetChunk(self._columns, tuple(self._ranges(firsts, start, min(start + size, len(self)))))
            for start in range(0, len(self), size)
        ]

    def _ranges(self, firsts: NDArray[np.int64], start: int, stop: int) -> list[_RowRange]:
        """Return the rows of sequences start..stop-1, counted through all files; ``firsts`` : each file's first."""
        ranges = []
        for path, bounds, (first, end) in zip(self._paths, self._bounds, pairwise(firsts.tolist()), strict=True):
            low, high = max(start, first) - first, min(stop, end) - first
            if low < high:
                ranges.append(_RowRange(path, int(bounds[low]), int(bounds[high]), high - low))
        return ranges


def _targets(labels: NDArray[np.generic], columns: _Columns, rows: _RowRange) -> NDArray[np.generic]:
    """Return numbers (n, 1), or class numbers (n,)."""
    if columns.classes is None:
        if labels.dtype != np.float64:
            raise InputError(
                f"{rows.path}: the target {columns.target!r} is text; expected numbers, or the classes it may be"
            )
        return labels[:, None]
    written = [f"{label:g}" if isinstance(label, float) else str(label) for label in labels.tolist()]
    unknown = sorted(set(written) - set(columns.classes))
    if unknown:
        raise InputError(
            f"{rows.path}: the target {columns.target!r} is {unknown[0]!r}; "
            f"expected one of {', '.join(columns.classes)}"
        )
    return np.array([columns.classes.index(label) for label in written], dtype=np.int64)
