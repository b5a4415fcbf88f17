"""Public names that have changed: the old one works for one more release and says what replaces it."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["renamed"]


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that answers for names it had before.

    Parameters
    ----------
    module : the module's ``__name__``.
    names : old name -> new name in the same module, or "longlag.some.module:Name" where it has moved.

    The returned function warns (DeprecationWarning) with both names and returns the object of today; for any other name
    it raises AttributeError.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, today = names[name].rpartition(":")
        home = home or module
        warnings.warn(
            f"{module}.{name} is now {home}.{today}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(home), today)

    return __getattr__
