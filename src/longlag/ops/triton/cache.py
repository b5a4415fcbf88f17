"""Small files that hold what was measured on a GPU, in the user's cache directory. This module does not load Triton."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["folder", "read", "update"]


def folder() -> Path:
    """Return the directory of these files: $XDG_CACHE_HOME/longlag, or ~/.cache/longlag."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "longlag"


def read(file: Path) -> dict[str, Any]:
    """Return what the file holds; nothing if it is missing or damaged: then all is measured again."""
    try:
        entries = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def update(file: Path, entries: Mapping[str, Any], remove: str | None = None) -> None:
    """Add these entries to the file, and leave out one, whole or not at all: another process may read at any time.

    Raises OSError where the file cannot be written; then it is as it was, and nothing lies beside it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    everything = {name: entry for name, entry in read(file).items() if name != remove} | dict(entries)
    with tempfile.TemporaryDirectory(dir=file.parent) as beside:
        written = Path(beside, file.name)
        written.write_text(json.dumps(everything, indent=1))
        written.replace(file)
