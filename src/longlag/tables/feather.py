"""Feather and Arrow files to tables. pyarrow is imported here, when the first such file is read."""

from __future__ import annotations

import os

from longlag.checks import instance_of
from longlag.errors import InputError
from longlag.tables.arrow import table_of_arrow
from longlag.tables.files import open_bytes
from longlag.tables.packages import require
from longlag.tables.table import Table

__all__ = ["read_feather"]


def read_feather(path: str | os.PathLike[str]) -> Table:
    """A table from a Feather file, which is Arrow's own file format; messages name rows, counted from 1.

    Types are read as ``read_parquet`` reads them.

    Raises
    ------
    InputError
        If pyarrow is missing, the file cannot be opened, is damaged or no Feather file, has no rows or columns, or two
        columns of one name.
    """
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    arrow = require("pyarrow", "read Feather files")
    feather = require("pyarrow.feather", "read Feather files")
    source = os.fspath(path)
    with open_bytes(path) as file:
        try:
            return table_of_arrow(feather.read_table(file, memory_map=False), source)
        except InputError:
            raise
        except (arrow.ArrowException, OSError, ValueError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0].rstrip(".")
            raise InputError(f"{source} is damaged or no Feather file ({reason}); expected a Feather file") from None
