"""Names of a package that are loaded when they are first asked for."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy"]


def lazy(package: str, homes: Mapping[str, str], otherwise: Callable[[str], Any] | None = None) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``, which imports what is asked for, and remembers it.

    Parameters
    ----------
    package : the package's ``__name__``.
    homes : name -> the module of the package that has it, as "windows". Modules of the package need not be named.
    otherwise : the ``__getattr__`` for all other names, such as one of ``renamed``; None has none.

    The returned function raises AttributeError for a name that is unknown.
    """

    def __getattr__(name: str) -> Any:
        if name in homes:
            value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        elif not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is not None:
            value = importlib.import_module(f"{package}.{name}")
        elif otherwise is not None:
            return otherwise(name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
