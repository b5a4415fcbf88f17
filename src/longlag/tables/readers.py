"""Files to tables: which reader a file has is decided by its suffix."""

from __future__ import annotations

import os

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.compression import COMPRESSIONS, uncompressed_name
from longlag.tables.delimited import read_csv
from longlag.tables.feather import read_feather
from longlag.tables.files import open_bytes
from longlag.tables.json_lines import read_json_lines
from longlag.tables.parquet import read_parquet
from longlag.tables.spreadsheet import read_xlsx
from longlag.tables.table import Table
from longlag.tables.table_format import TableFormat

__all__ = ["SUFFIXES", "read_table"]

_TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat")
_JSON = (".jsonl", ".ndjson", ".json")
_FEATHER = (".feather", ".arrow", ".ipc")
SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".txt", ".tab", ".dat", ".xlsx", ".xlsm", *_JSON, *_FEATHER)


def read_table(path: str | os.PathLike[str], *, form: TableFormat | None = None) -> Table:
    """A table from a file, told apart by the suffix in any case of letters; text and JSON lines may be compressed.

    Parameters
    ----------
    path
        The file.
    form : TableFormat, optional
        What is known about the way a file of text is written. Default: it is found out.

    Raises
    ------
    InputError
        If the suffix is another, the file cannot be read as what its suffix says, or ``form`` was given for a file that
        holds no text.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    suffix = uncompressed_name(path).suffix.lower()
    if suffix in _TEXT:
        return read_csv(path, form=form)
    if suffix in _JSON:
        _refuse_fields(form, path, "separator")
        return read_json_lines(path, form=form)
    if suffix in (".xlsx", ".xlsm"):
        _refuse_fields(form, path, "separator", "encoding")
        return read_xlsx(path, form=form)
    if suffix in (".parquet", ".pq", *_FEATHER):
        if form is not None and form != TableFormat():
            raise InputError(f"the form of text was given for {path}, whose columns have their types; expected none")
        return read_feather(path) if suffix in _FEATHER else read_parquet(path)
    with open_bytes(path):  # a missing file is the better complaint
        raise InputError(
            f"{path} has the suffix {suffix!r}; expected one of {', '.join(SUFFIXES)} "
            f"(text with {', '.join(COMPRESSIONS)} behind it too)"
        )


def _refuse_fields(form: TableFormat | None, path: str | os.PathLike[str], *names: str) -> None:
    """Refuse a form that says what a file of this kind does not have."""
    for name in names:
        if getattr(form, name, None) is not None:
            raise InputError(f"the {name} {getattr(form, name)!r} was given for {path}, which has none; expected none")
