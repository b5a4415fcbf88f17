"""Result tables: the rows of a run joined with those of earlier runs, as JSON, as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from longlag.errors import CheckpointError, InputError
from longlag.io.environment import environment
from longlag.io.files import writing
from longlag.io.json import decode_json
from longlag_lab.harness.figures import curves_figure
from longlag_lab.harness.report import markdown_table, write_report

__all__ = ["Column", "ResultTable", "Row"]

Row: TypeAlias = dict[str, Any]
"""A row of results, as JSON."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, how a row's cell is made, and whether a terminal shows it too."""

    name: str
    cell: Callable[[Row], object]
    brief: bool = True


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """A table of results, and its files.

    Parameters
    ----------
    name : str
        The files' name without its ending.
    title : str
        What stands above the table.
    columns : sequence of Column
    footnotes : callable
        The lines below the table.
    key : callable
        What names a row. Rows of equal keys are the same row, of which only one is in the table.
    rank : callable
        A row gives way to one of at least its rank.
    order : callable
        Rows are sorted by it; by default they stay where they are, and new ones come last.
    check : callable
        Raises InputError or KeyError unless the row has what the other callables need.
    panels : callable
        The figure's panels (``curves_figure``), none where there is no figure.
    y : str
        What the figure's lines show.
    log : bool
        The figure's axes are logarithmic.
    """

    name: str
    title: str
    columns: Sequence[Column]
    footnotes: Callable[[Sequence[Row]], list[str]]
    key: Callable[[Row], tuple[str, ...]]
    rank: Callable[[Row], Any]
    order: Callable[[Row], Any] = lambda row: 0
    check: Callable[[Row], None]
    panels: Callable[[Sequence[Row]], list[dict[str, Any]]] = lambda rows: []
    y: str = ""
    log: bool = False

    @property
    def brief_columns(self) -> list[Column]:
        """The columns that a terminal shows."""
        return [column for column in self.columns if column.brief]

    def read(self, folder: Path) -> list[Row]:
        """Return the rows that an earlier run has left in the folder. CheckpointError says which of them is damaged."""
        path = folder / f"{self.name}.json"
        with writing(path):
            if not path.exists():
                return []
            data = path.read_bytes()
        expected = "expected a table of ours; move it away to write a new one"
        try:
            document = decode_json(data)
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}; {expected}") from error
        rows = document.get("rows") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise CheckpointError(f"{path} has no rows; {expected}")
        for place, row in enumerate(rows, 1):
            try:
                if not isinstance(row, dict):
                    raise InputError("it is no object")
                self.check(row)
            except KeyError as error:
                raise CheckpointError(f"{path}, row {place} has no {error}; {expected}") from error
            except InputError as error:
                raise CheckpointError(f"{path}, row {place} is damaged: {error}; {expected}") from error
        return rows

    def join(self, earlier: Sequence[Row], new: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Return all rows, and those earlier ones that stay although ``new`` has them too, with a lower rank."""
        rows = {self.key(row): row for row in earlier}
        stay = []
        for row in new:
            key = self.key(row)
            if key in rows and self.rank(row) < self.rank(rows[key]):
                stay.append(rows[key])
            else:
                rows[key] = row
        return sorted(rows.values(), key=self.order), stay

    def write(self, folder: Path, new: Sequence[Row]) -> tuple[list[Path], list[Row]]:
        """Join new rows with those in the folder, and write the table's files.

        Returns
        -------
        list of Path
            What was written: nothing if every earlier row stays.
        list of Row
            The earlier rows that stay although they were run again.
        """
        rows, stay = self.join(self.read(folder), new)
        if len(stay) == len(new):
            return [], stay
        # One thread is what the trials were run with, whatever this process has.
        document = {"environment": environment() | {"threads": 1}, "rows": rows}
        paths = write_report(folder, self.name, document, self.markdown(rows))
        panels = self.panels(rows)
        if panels:
            paths.append(folder / f"{self.name}.png")
            curves_figure(paths[-1], panels, y=self.y, log=self.log)
        return paths, stay

    def markdown(self, rows: Sequence[Row]) -> str:
        """Return the table for people."""
        table = markdown_table(
            [column.name for column in self.columns], [[column.cell(row) for column in self.columns] for row in rows]
        )
        return "\n".join([f"# {self.title}", "", *table, "", *self.footnotes(rows)]) + "\n"
