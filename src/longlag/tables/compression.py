"""Compressed files: told apart by their first bytes, so a wrong suffix does no harm."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from longlag.errors import InputError
from longlag.tables.files import open_bytes
from longlag.tables.packages import require

__all__ = ["COMPRESSIONS", "read_bytes", "uncompressed_name"]


def _zstd(raw: bytes) -> bytes:
    """The content of a .zst file, through pyarrow: the standard library learns it in Python 3.14."""
    arrow = require("pyarrow", "read .zst files")
    with arrow.CompressedInputStream(arrow.BufferReader(raw), "zstd") as stream:
        return bytes(stream.read())


COMPRESSIONS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    ".gz": (b"\x1f\x8b", gzip.decompress),
    ".bz2": (b"BZh", bz2.decompress),
    ".xz": (b"\xfd7zXZ\x00", lzma.decompress),
    ".zst": (b"\x28\xb5\x2f\xfd", _zstd),
}
"""Suffix: the first bytes of such a file, and what gives its content."""


def uncompressed_name(path: str | os.PathLike[str]) -> Path:
    """The name without the suffix of a compression: sales.csv.gz holds sales.csv."""
    path = Path(path)
    return path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, decompressed if it is compressed.

    Raises
    ------
    InputError
        If it cannot be opened or read, or is damaged, or its suffix names a compression that it does not have.
    """
    with open_bytes(path) as file:
        try:
            raw = file.read()
        except OSError as error:
            raise InputError(f"{path}: reading failed ({error.strerror}); expected a whole file") from None
    suffix = Path(path).suffix.lower()
    for name, (magic, decompress) in COMPRESSIONS.items():
        if not raw.startswith(magic):
            continue
        try:
            return decompress(raw)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            reason = (str(error).splitlines() or ["unknown reason"])[0].rstrip(".")
            raise InputError(f"{path} is damaged ({reason}); expected a whole {name} file") from None
    if suffix in COMPRESSIONS:
        raise InputError(f"{path} has the suffix {suffix} and is not compressed so; expected a {suffix} file")
    return raw
