"""Long tables to sequences: rows that share an identifier are one sequence, in the order of their times or the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.checks import instance_of, one_of
from longlag.errors import InputError
from longlag.panels.calendar import Frequency
from longlag.panels.id_columns import series_codes
from longlag.panels.rows import Duplicates, Gaps, Grid, OrderedRows, order_rows, to_grid
from longlag.panels.time_columns import read_times
from longlag.tables.table import Table

__all__ = ["Sequences", "rows_as_sequences", "sequences_by"]

_Ordered = tuple[OrderedRows, Grid, list[str]]
"""The rows of each sequence in their order, the steps they stand on, and what was done to them."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Ragged sequences with their names and, for classification or regression, one label each.

    Parameters
    ----------
    arrays : list of (T_b, F) float64
    ids : what each sequence is called
    features : what each of the F features is called
    labels : (B,) float64 numbers or object (str), or None
    weights : (B,) what each sequence counts, or None
    notes : a sentence for each thing that was done to the rows without being told
    """

    arrays: list[NDArray[np.float64]]
    ids: tuple[str, ...]
    features: tuple[str, ...]
    labels: NDArray[Any] | None = None
    weights: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

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
        return replace(
            self,
            arrays=[self.arrays[number] for number in samples],
            ids=tuple(self.ids[number] for number in samples),
            labels=None if self.labels is None else self.labels[samples],
            weights=None if self.weights is None else self.weights[samples],
        )


def sequences_by(
    table: Table,
    sequence_column: str,
    feature_columns: Sequence[str],
    *,
    label_column: str | None = None,
    weight_column: str | None = None,
    time_column: str | None = None,
    duplicates: Duplicates = "refuse",
    gaps: Gaps = "auto",
) -> Sequences:
    """Sequences from a long table: one row per step, with the sequence's identifier in ``sequence_column``.

    Identifiers may be text or numbers. Labels are numbers (float64) if their column holds numbers, else text.

    Parameters
    ----------
    label_column, weight_column : columns with one value for each sequence
    time_column : orders the rows of each sequence, which may then stand anywhere in the table; sequences come sorted by
        their identifiers. Without it, rows stand together in their order.
    duplicates, gaps : as for ``Panel.from_table``, with ``time_column``; but steps without a row are never missing
        values, so that "auto" refuses them and "mask" is none of the ways.

    Raises
    ------
    InputError
        If a column is missing or unusable, a label or weight changes within a sequence, an identifier comes back after
        another's rows without a time, or times repeat or have gaps that are not allowed: named by line and column.
    """
    instance_of("table", table, Table, "a Table")
    one_of("duplicates", duplicates, ("refuse", "mean", "last"))
    one_of("gaps", gaps, ("auto", "fill", "refuse", "ignore"))
    if time_column is None and (duplicates, gaps) != ("refuse", "auto"):
        raise InputError("duplicates or gaps were given without a time_column; expected one")
    features = table.numbers(feature_columns)
    names = (feature_columns,) if isinstance(feature_columns, str) else tuple(feature_columns)
    if time_column is None:
        rows, grid, notes = _standing_together(table, sequence_column)
    else:
        rows, grid, notes = _in_time(table, sequence_column, time_column, duplicates, gaps)
    if duplicates == "mean":
        steps = np.stack([rows.mean(column) for column in features.T], axis=1)
    else:
        steps = features[rows.rows]
    return Sequences(
        np.split(grid.carry(steps), grid.starts[1:]),
        rows.ids,
        names,
        None if label_column is None else _constant(table, label_column, _column(table, label_column), rows, "label"),
        None
        if weight_column is None
        else _constant(table, weight_column, _weights(table, weight_column), rows, "weight"),
        tuple(notes),
    )


def _standing_together(table: Table, name: str) -> _Ordered:
    """The rows as they stand. InputError if those of a sequence do not stand together."""
    idents = table.text(name)
    starts = np.concatenate([[0], np.flatnonzero(idents[1:] != idents[:-1]) + 1])
    first_row: dict[str, int] = {}
    for start in starts.tolist():
        ident = idents[start]
        if ident in first_row:
            raise InputError(
                f"{table.where(start, name)}: sequence {ident!r}, which began at {table.place} "
                f"{int(table.lines[first_row[ident]])}, comes back after other rows; "
                "expected the rows of a sequence to stand together, in time order, or --time and a column"
            )
        first_row[ident] = start
    everything = np.arange(len(table))
    rows = OrderedRows(everything, starts, everything, everything, tuple(first_row))
    return rows, Grid(everything, starts, everything, len(table)), []


def _in_time(table: Table, name: str, time_name: str, duplicates: Duplicates, gaps: Gaps) -> _Ordered:
    """The rows of each sequence by their times, the steps they stand on, and what was done to them."""
    codes, ids = series_codes(table, name)
    rows, notes = order_rows(table, codes, ids, read_times(table, time_name), time_name, duplicates)
    frequency = Frequency.of_sorted(rows.times, rows.starts)
    grid, more = to_grid(table, rows, frequency, time_name, gaps, maskable=False)
    return rows, grid, notes + more


def rows_as_sequences(
    table: Table, feature_columns: Sequence[str], *, label_column: str | None = None, weight_column: str | None = None
) -> Sequences:
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
    weights = None if weight_column is None else _weights(table, weight_column)
    return Sequences([row[:, None] for row in values], lines, names, labels, weights)


def _column(table: Table, name: str) -> NDArray[Any]:
    return table.number(name) if table.kind(name) == "number" else table.text(name)


def _weights(table: Table, name: str) -> NDArray[np.float64]:
    weights = table.number(name)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise InputError(f"{table.where(row, name)}: the weight is {weights[row]:g}; expected at least 0")
    return weights


def _constant(table: Table, name: str, values: NDArray[Any], rows: OrderedRows, what: str) -> NDArray[Any]:
    """The value of each sequence (B,), which all of its rows (rows of the table,) have."""
    sequence = rows.series[rows.shared]
    first = np.full(len(rows.ids), len(values))
    np.minimum.at(first, sequence, np.arange(len(values)))
    changes = values != values[first[sequence]]
    if changes.any():
        row = int(np.argmax(changes))
        here, before = table.text(name)[[row, first[sequence[row]]]]
        raise InputError(
            f"{table.where(row, name)}: the {what} is {here!r} but {before!r} in the rows above of the same "
            f"sequence {rows.ids[sequence[row]]!r}; expected one {what} per sequence"
        )
    constants: NDArray[Any] = values[first]
    return constants
