"""Packages that bring data for a benchmark: where they lie, and which versions they are."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from longlag.errors import InputError

__all__ = ["package_folder", "versions"]


def package_folder(package: str, purpose: str) -> Path:
    """Return where an installed package lies, without importing it.

    Raises
    ------
    InputError
        If it is not installed; ``purpose`` completes the sentence "... is needed to <purpose>".
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        command = 'pip install "longlag-laboratory[forecast]"'
        raise InputError(
            f"the package '{package}' is not installed and is needed to {purpose}; expected it after: {command}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the version of each package by its name; None for one that is not installed."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
