"""Bytes to text: the encoding is found out from a byte order mark, from NUL bytes, or from what UTF-8 allows."""

from __future__ import annotations

import re

from longlag.errors import InputError

__all__ = ["decoded"]

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
          (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip
_MULTIBYTE = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def decoded(raw: bytes, source: str, encoding: str | None = None) -> tuple[str, str]:
    """The text of a file, and the name of its encoding.

    Without a byte order mark and without ``encoding`` a file is UTF-8. Where its bytes are no UTF-8, it is cp1252,
    which Excel and many programs of Windows write and which holds latin-1's letters, unless some letters of it are
    UTF-8 after all: such a file is damaged.

    Raises
    ------
    InputError
        If a byte does not belong to the encoding, or the text has a NUL; names the line and the byte.
    """
    mark = next((mark for mark in _MARKS if raw.startswith(mark[0])), None)
    if encoding is None:
        encoding = mark[1] if mark else _without_mark(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeError as error:
        place = min(getattr(error, "start", 0), len(raw) - 1)
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise InputError(
            f"{source}, line {_line(raw[:place])}: byte {place} (0x{raw[place]:02x}) is not {name}; "
            f"expected a text file saved as {name}, or --encoding with the name of another"
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        place = len(text[:nul].encode(encoding))
        raise InputError(f"{source}, line {_line(text[:nul].encode())}: byte {place} is NUL; expected UTF-8 text")
    return text.removeprefix("\ufeff"), encoding


def _without_mark(raw: bytes) -> str:
    beginning = raw[:4096]
    if len(beginning) >= 4 and len(beginning) % 2 == 0 and b"\0" in beginning:
        # Text of Latin letters in UTF-16 has a NUL in every second byte.
        for places, name in ((beginning[1::2], "utf-16-le"), (beginning[::2], "utf-16-be")):
            if places.count(0) > 0.7 * len(places):
                return name
    try:
        raw.decode()
    except UnicodeDecodeError:
        if not _MULTIBYTE.search(raw) and not set(raw) & {0x81, 0x8D, 0x8F, 0x90, 0x9D}:
            return "cp1252"
    return "utf-8"


def _line(before: bytes) -> int:
    """The number of the line that a byte after these belongs to."""
    return len((before + b"x").splitlines())
