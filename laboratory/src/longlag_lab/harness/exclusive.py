"""One run at a time in a folder of trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from longlag.io.files import writing
from longlag.io.lock import locked

__all__ = ["exclusive"]


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Make the folder, and be the only run that writes trials to it. InputError if another run does."""
    with ExitStack() as stack:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / ".lock", folder))
        yield
