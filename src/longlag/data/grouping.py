"""Long tables to sequences: rows that share an identifier, in file order, are one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.table import Table

__all__ = ["Sequences", "rows_as_sequences", "sequences_by"]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Ragged sequences with their names and, for classification or regression, one label each.

    Parameters
    ----------
    arrays : list of (T_b, F) float64
    ids : what each sequence is called
    features : what each of the F features is called
    labels : (B,) float64 numbers or object (str), or None
    """

    arrays: list[NDArray[np.float64]]
    ids: tuple[str, ...]
    features: tuple[str, ...]
    labels: NDArray[Any] | None = None

    def __len__(self) -> int:
        """The number of sequences B."""
        return len(self.arrays)

    def select(self, samples: NDArray[np.integer[Any]]) -> Sequences:
        """The chosen sequences in the order wanted. ``samples``: (m,) numbers in 0..B-1."""
        instance_of("samples", samples, np.ndarray, "an array of sequence numbers")
        if samples.ndim != 1 or samples.dtype.kind not in "iu":
            raise InputError(f"samples is {samples.dtype} of shape {samples.shape}; expected whole numbers (m,)")
        if samples.size and not 0 <= samples.min() <= samples.max() < len(self):
            raise InputError(f"samples lie in {samples.min()}..{samples.max()}; expected 0..{len(self) - 1}")
        return Sequences(
            [self.arrays[number] for number in samples],
            tuple(self.ids[number] for number in samples),
            self.features,
            None if self.labels is None else self.labels[samples],
        )


def sequences_by(
    table: Table, sequence_column: str, feature_columns: Sequence[str], *, label_column: str | None = None
) -> Sequences:
    """Sequences from a long table: one row per step, with the sequence's identifier in ``sequence_column``.

    Identifiers may be text or numbers. Labels are numbers (float64) if their column holds numbers, else text.

    Raises
    ------
    InputError
        If a column is missing or unusable, an identifier comes back after another's rows, or a label changes
        within a sequence: named by line and column.
    """
    instance_of("table", table, Table, "a Table")
    features = table.numbers(feature_columns)
    names = (feature_columns,) if isinstance(feature_columns, str) else tuple(feature_columns)
    idents = table.text(sequence_column)
    starts = np.concatenate([[0], np.flatnonzero(idents[1:] != idents[:-1]) + 1])
    first_row: dict[str, int] = {}
    for start in starts.tolist():
        ident = idents[start]
        if ident in first_row:
            raise InputError(
                f"{table.where(start, sequence_column)}: sequence {ident!r}, which began at {table.place} "
                f"{int(table.lines[first_row[ident]])}, comes back after other rows; "
                "expected the rows of a sequence to stand together, in time order"
            )
        first_row[ident] = start
    labels = None if label_column is None else _labels(table, label_column, idents, starts)
    return Sequences(np.split(features, starts[1:]), tuple(first_row), names, labels)


def rows_as_sequences(table: Table, feature_columns: Sequence[str], *, label_column: str | None = None) -> Sequences:
    """Each row as one sequence, whose steps are the row's columns: (columns, 1). Its name is the row's line.

    Raises
    ------
    InputError
        If a column is missing or unusable, named by line and column.
    """
    instance_of("table", table, Table, "a Table")
    values = table.numbers(feature_columns)
    labels = None if label_column is None else _column(table, label_column)
    lines = tuple(str(line) for line in table.lines.tolist())
    names = (feature_columns,) if isinstance(feature_columns, str) else tuple(feature_columns)
    return Sequences([row[:, None] for row in values], lines, names, labels)


def _column(table: Table, name: str) -> NDArray[Any]:
    return table.number(name) if table.kind(name) == "number" else table.text(name)


def _labels(table: Table, name: str, idents: NDArray[np.object_], starts: NDArray[np.intp]) -> NDArray[Any]:
    labels = _column(table, name)
    changes = labels[1:] != labels[:-1]
    changes[starts[1:] - 1] = False
    if changes.any():
        row = int(np.flatnonzero(changes)[0]) + 1
        before, here = table.text(name)[row - 1 : row + 1]
        raise InputError(
            f"{table.where(row, name)}: the label is {here!r} but {before!r} in the rows above of the same "
            f"sequence {idents[row]!r}; expected one label per sequence"
        )
    return labels[starts]
