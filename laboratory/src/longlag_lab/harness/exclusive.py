"""One run at a time in a folder of trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from longlag.io.files import writing
from longlag.io.lock import locked

__all__ = ["alone"]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only run that keeps its trials in ``folder``, which is made. InputError if there is another."""
    with ExitStack() as stack:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / ".lock", folder))
        yield
