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
from longlag.data.parquet import read_parquet
from longlag.data.sequences import SequenceBatch
from longlag.distributed.question import Memory
from longlag.errors import InputError

__all__ = ["ParquetSequences"]


@dataclass(frozen=True)
class _Question:
    """What is read of each file."""

    sequence: str
    features: tuple[str, ...]
    target: str
    classes: tuple[str, ...] | None
    dtype: torch.dtype


@dataclass(frozen=True)
class _Piece:
    """Whole sequences that follow each other in one file: rows start..stop-1."""

    path: str
    start: int
    stop: int
    count: int


@dataclass(frozen=True)
class _Rows:
    """One chunk's source: pieces of one file or several."""

    question: _Question
    pieces: tuple[_Piece, ...]

    def read(self, memory: Memory) -> SequenceBatch:
        """From the files."""
        del memory  # nothing of it is the driver's
        arrays: list[NDArray[np.float64]] = []
        labels = []
        asked = self.question
        for piece in self.pieces:
            columns = list(dict.fromkeys([asked.sequence, *asked.features, asked.target]))
            table = read_parquet(piece.path, columns=columns, rows=(piece.start, piece.stop))
            found = sequences_by(table, asked.sequence, asked.features, label_column=asked.target)
            if len(found) != piece.count:
                raise InputError(
                    f"{piece.path}: rows {piece.start + 1} to {piece.stop} hold {len(found)} sequences, {piece.count} "
                    "when they were counted; expected a file that does not change"
                )
            assert found.labels is not None
            arrays += found.arrays
            labels.append(_answers(found.labels, asked, piece))
        return SequenceBatch.last_step(arrays, np.concatenate(labels), dtype=asked.dtype)


class ParquetSequences:
    """Sequences in Parquet files, one row per step, with one answer each, for objectives of ``longlag.distributed``.

    Here only the column with their identifiers is read. A chunk is read by the worker that computes it, which keeps it
    as long as it has room; another can read it again. All machines must see the files under the same paths.

    Parameters
    ----------
    paths : sequence of paths
        In this order.
    sequence : str
        The column that says which rows belong together; they stand together, in time order.
    features : sequence of str
        Number columns: what the network reads, F of them.
    target : str
        The column with each sequence's answer, the same in all of its rows: a number, or with ``classes`` one of them.
    classes : sequence of str, optional
        The classes' names, in the order of the outputs.
    dtype : torch.dtype
        Of what the network reads.

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
        self._question = _Question(
            sequence, tuple(features), target, None if classes is None else tuple(classes), dtype
        )
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
        """The number of sequences."""
        return sum(len(bounds) - 1 for bounds in self._bounds)

    @property
    def steps(self) -> int:
        """Rows of all files together."""
        return sum(int(bounds[-1]) for bounds in self._bounds)

    def parts(self, size: int) -> list[_Rows]:
        """Chunks of ``size`` sequences after another; one may reach over the end of a file."""
        firsts = np.cumsum([0, *(len(bounds) - 1 for bounds in self._bounds)])
        return [
            _Rows(self._question, tuple(self._pieces(firsts, start, min(start + size, len(self)))))
            for start in range(0, len(self), size)
        ]

    def _pieces(self, firsts: NDArray[np.int64], start: int, stop: int) -> list[_Piece]:
        """Of sequences start..stop-1, counted through all files; ``firsts``: each file's first."""
        found = []
        for path, bounds, (first, end) in zip(self._paths, self._bounds, pairwise(firsts.tolist()), strict=True):
            low, high = max(start, first) - first, min(stop, end) - first
            if low < high:
                found.append(_Piece(path, int(bounds[low]), int(bounds[high]), high - low))
        return found


def _answers(labels: NDArray[np.generic], asked: _Question, piece: _Piece) -> NDArray[np.generic]:
    """Numbers (n, 1), or class numbers (n,)."""
    if asked.classes is None:
        if labels.dtype != np.float64:
            raise InputError(
                f"{piece.path}: the target {asked.target!r} is text; expected numbers, or the classes it may be"
            )
        return labels[:, None]
    written = [f"{label:g}" if isinstance(label, float) else str(label) for label in labels.tolist()]
    unknown = sorted(set(written) - set(asked.classes))
    if unknown:
        raise InputError(
            f"{piece.path}: the target {asked.target!r} is {unknown[0]!r}; expected one of {', '.join(asked.classes)}"
        )
    return np.array([asked.classes.index(label) for label in written], dtype=np.int64)
