"""Pictures that commands write."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["check_picture"]


def check_picture(path: Path, inches: tuple[float, float]) -> None:
    """A PNG file with an end, of the size asked for at 130 dots per inch, with something on it."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[-8:-4] == b"IEND"
    assert struct.unpack(">II", content[16:24]) == tuple(round(130 * inch) for inch in inches)
    assert len(content) > 10_000
