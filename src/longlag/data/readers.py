"""Files to tables: which reader a file has is decided by its suffix."""

from __future__ import annotations

import os

from longlag.checks import instance_of
from longlag.data.compression import COMPRESSIONS, uncompressed_name
from longlag.data.delimited import read_csv
from longlag.data.files import open_bytes
from longlag.data.parquet import read_parquet
from longlag.data.table import Table
from longlag.data.table_format import TableFormat
from longlag.errors import InputError

__all__ = ["SUFFIXES", "read_table"]

_TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat")
SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".txt", ".tab", ".dat")


def read_table(path: str | os.PathLike[str], *, form: TableFormat | None = None) -> Table:
    """A table from a file, told apart by the suffix in any case of letters; text files may be compressed.

    Raises
    ------
    InputError
        If the suffix is another, or the file cannot be read as what its suffix says.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    suffix = uncompressed_name(path).suffix.lower()
    if suffix in (".parquet", ".pq"):
        return read_parquet(path)
    if suffix in _TEXT:
        return read_csv(path, form=form)
    with open_bytes(path):  # a missing file is the better complaint
        raise InputError(
            f"{path} has the suffix {suffix!r}; expected one of {', '.join(SUFFIXES)} "
            f"(text with {', '.join(COMPRESSIONS)} behind it too)"
        )
