"""Mistakes that are answered before PyTorch is loaded, which takes seconds."""

from __future__ import annotations

import os
from pathlib import Path

from longlag.cli import run_directory

__all__ = ["is_table_or_set", "refuse_what_is_missing"]


def is_table_or_set(name: str) -> bool:
    """Return whether this names a file with a table, there or not, or a built-in data set; a folder is a run."""
    from longlag.data import dataset_names
    from longlag.tables.compression import uncompressed_name
    from longlag.tables.readers import SUFFIXES

    if os.path.isdir(name):
        return False
    known = {known.casefold() for known in dataset_names()}
    return uncompressed_name(name).suffix.lower() in SUFFIXES or name.strip().casefold() in known


def refuse_what_is_missing(run: Path | None, *data: str | None) -> None:
    """Refuse a run or a file that is not there.

    Raises
    ------
    InputError, CheckpointError
        As ``open_data`` and ``load_run``, which would say it later.
    """
    if run is not None:
        run_directory.request_of(run)
    for one in data:
        if one is not None and not os.path.exists(one):
            from longlag.tables.files import open_bytes
            from longlag.tables.readers import SUFFIXES

            if Path(one).suffix.lower() in SUFFIXES:  # anything else may be the name of a built-in set
                open_bytes(one).close()
