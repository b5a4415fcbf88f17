"""Copies of a run's folder at moments of the run: what a kill at each of them leaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["copying"]


def copying(function: Callable[..., Any], copies: Iterable[Path], run: str, *, before: bool = False) -> Any:
    """``function``, whose calls copy the folder ``run``, each to the next path of ``copies``: before or after its work.

    Calls beyond the last path copy nothing.
    """
    paths = iter(copies)

    def copy() -> None:
        path = next(paths, None)
        if path is not None:
            shutil.copytree(run, path)

    def call(*words: object, **named: object) -> object:
        if before:
            copy()
        answer = function(*words, **named)
        if not before:
            copy()
        return answer

    return call
