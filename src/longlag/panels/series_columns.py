"""Columns of a table on the steps of its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longlag.checks import LARGEST
from longlag.errors import InputError
from longlag.panels.categories import Categories, read_columns
from longlag.panels.rows import Duplicates, Grid, OrderedRows
from longlag.tables.table import Table

__all__ = ["SeriesColumns"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SeriesColumns:
    """Columns of a table on the steps of a grid."""

    table: Table
    rows: OrderedRows
    grid: Grid
    categories: Categories
    duplicates: Duplicates
    fill: bool

    def target(self, name: str) -> Array:
        """(all,) the values to forecast."""
        return self._on_grid(self.table.number(name, largest=LARGEST, missing="nan"), mean=self.duplicates == "mean")

    def columns(self, names: Sequence[str]) -> Array:
        """(all, K) numbers and codes."""
        read = read_columns(self.table, names, self.categories)
        if not names:
            return np.empty((self.grid.size, 0))
        merged = self.duplicates == "mean"
        columns = [
            self._on_grid(read[:, place], mean=merged and name not in self.categories)
            for place, name in enumerate(names)
        ]
        return np.stack(columns, axis=1)

    def constants(self, names: Sequence[str]) -> Array:
        """(series, S) numbers and codes, each the same in all rows of a series."""
        read = read_columns(self.table, names, self.categories)[self.rows.rows]
        first = read[self.rows.starts]
        differs = np.argwhere(
            ~((read == first[self.rows.series]) | (np.isnan(read) & np.isnan(first[self.rows.series])))
        )
        if len(differs):
            step, column = differs[0]
            row = int(self.rows.rows[step])
            before = int(self.table.lines[self.rows.rows[self.rows.starts[self.rows.series[step]]]])
            raise InputError(
                f"{self.table.where(row, names[column])}: the cell differs from that of {self.table.place} {before} "
                "of the same series; expected one value for each series in a static column"
            )
        return first

    def _on_grid(self, values: Array, *, mean: bool) -> Array:
        steps = self.rows.mean(values) if mean else values[self.rows.rows]
        return self.grid.carry(steps) if self.fill else self.grid.place(steps)
