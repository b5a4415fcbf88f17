"""The layout of a text table, found out from its first lines: separator, titles above the header, names of rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from longlag.tables.cells import is_missing, looks_typed
from longlag.tables.number_formats import is_number

__all__ = ["NAMES", "SAMPLE", "SEPARATORS", "Layout", "fields", "find_layout", "find_separator", "layout_of_lines"]

SEPARATORS = (",", ";", "\t", "|")
"""The characters that separate fields in most files, beside runs of blanks."""

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|", " ": "blanks"}

SAMPLE = 200
"""Lines or rows from which the layout of a file is found out."""

_CONSISTENT = 0.9
"""The share of rows as wide as the header from which on a separator is believed."""

_MOST_TITLES = 20


@dataclass(frozen=True)
class Layout:
    """Where a table begins, and what its rows have beside the columns of the header.

    titles : records above the header
    row_names : whether rows have one field more than the header, before the others, as R writes them
    trailing : whether rows end with one separator more than the header
    consistent : the share of the rows seen that are as wide as this says
    width : fields of a row
    """

    titles: int = 0
    row_names: bool = False
    trailing: bool = False
    consistent: float = 1.0
    width: int = 1


def fields(lines: Iterable[str], separator: str, *, strict: bool) -> Iterator[tuple[int, list[str], int]]:
    """The line on which each record begins, its fields, and the line on which it ends; a blank line has no fields."""
    if separator == " ":
        lines = (line.replace("\t", " ").strip(" \r\n") + "\n" for line in lines)
    reader = csv.reader(lines, delimiter=separator, strict=strict, skipinitialspace=separator == " ")
    begins = 1
    for record in reader:
        yield begins, record, reader.line_num
        begins = reader.line_num + 1


def find_separator(lines: Sequence[str], default: str) -> tuple[str, Layout]:
    """The separator of these first lines of a file, and the layout that it gives them.

    The usual one of the file's suffix wins wherever it gives rows as wide as the header, unless another one gives more
    cells that are numbers or dates. Blanks count only where no other separator does.
    """
    candidates: list[tuple[str, Layout, list[list[str]]]] = []
    for separator in (default, *(other for other in (*SEPARATORS, " ") if other != default)):
        if separator == " " and candidates and default != " ":
            break
        records = _records_in(lines, separator)
        layout = find_layout(records)
        if layout.width > 1 and layout.consistent >= _CONSISTENT:
            candidates.append((separator, layout, records[layout.titles + 1 :]))
    if not candidates:
        layout = layout_of_lines(lines, default)
        if layout.consistent < _CONSISTENT and all(is_number(line) for line in lines[1:] if line.strip()):
            return ";", Layout()  # one column of numbers with decimal commas
        return default, layout
    best = candidates[0] if len(candidates) == 1 else max(candidates, key=lambda candidate: _typed_share(candidate[2]))
    return best[0], best[1]


def layout_of_lines(lines: Sequence[str], separator: str) -> Layout:
    """The layout that a separator gives these first lines of a file."""
    return find_layout(_records_in(lines, separator))


def find_layout(records: Sequence[Sequence[str]]) -> Layout:
    """The layout of the first records of a table."""
    if not records:
        return Layout()
    first = _layout_from(records, 0)
    if first.width > 1 and first.consistent >= _CONSISTENT and not _is_padded_title(records[0]):
        return first
    for titles in range(1, min(len(records) - 1, _MOST_TITLES + 1)):
        header = records[titles]
        width = _filled(header)
        if not all(_is_title(record, width) for record in records[:titles]):
            continue
        layout = _layout_from(records, titles)
        cell = next((cell for cell in header if cell.strip()), "")
        if layout.width > 1 and layout.consistent == 1 and not looks_typed(cell) and not _is_padded_title(header):
            return layout
    return first


def _layout_from(records: Sequence[Sequence[str]], titles: int) -> Layout:
    header = len(records[titles])
    rows = [record for record in records[titles + 1 :] if record]
    if not rows:
        return Layout(titles, width=header)
    if all(len(row) == header + 1 for row in rows):
        if all(not row[-1].strip() for row in rows):
            return Layout(titles, trailing=True, width=header)
        # Below a title there is a header, without any number; below R's header there is data.
        if any(map(looks_typed, rows[0][1:])) and _are_row_names([row[0] for row in rows]):
            return Layout(titles, row_names=True, width=header + 1)
    return Layout(titles, consistent=sum(len(row) == header for row in rows) / len(rows), width=header)


def _are_row_names(cells: Sequence[str]) -> bool:
    """Whether cells are what R writes before its rows: the numbers 1, 2, ..., or text and dates."""
    if cells == [str(number) for number in range(1, len(cells) + 1)]:
        return True
    return not any(is_number(cell) or is_missing(cell) for cell in cells)


def _is_title(record: Sequence[str], width: int) -> bool:
    """Whether a record above a header of this width is a title, a comment, or blank."""
    return not record or record[0].lstrip().startswith("#") or _filled(record) <= max(1, width // 3)


def _is_padded_title(record: Sequence[str]) -> bool:
    """Whether a record as wide as the table has a title in its first cell and nothing behind it."""
    return len(record) > 1 and bool(record[0].strip()) and _filled(record) == 1


def _filled(record: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in record)


def _records_in(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        records = [record for _, record, _ in fields(lines, separator, strict=False)]
    except csv.Error:  # a field longer than the reader allows: said with its line when the file is read
        return []
    if len(lines) >= SAMPLE and len(records) > 2:  # the last may go on in the next line
        records.pop()
    while records and not records[-1]:
        records.pop()
    return records


def _typed_share(rows: Sequence[Sequence[str]]) -> float:
    cells = [cell for row in rows for cell in row]
    return sum(looks_typed(cell) for cell in cells) / len(cells) if cells else 0.0
