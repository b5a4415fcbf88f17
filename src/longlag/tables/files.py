"""Data files open for reading: one sentence says why one cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from longlag.checks import instance_of
from longlag.errors import InputError

__all__ = ["open_bytes"]


def open_bytes(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading bytes; an InputError says why it cannot be opened."""
    instance_of("path", path, (str, os.PathLike), "the name of a file")
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise InputError(f"there is no file {os.fspath(path)!r}; expected an existing one") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; expected a file") from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied; expected a file this user may read") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{os.fspath(path)!r} cannot be opened ({error}); expected a readable file") from None
