"""Public names that have changed: the old one works for one more release and says what replaces it."""

from __future__ import annotations

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from longlag.errors import InputError

__all__ = ["renamed", "renamed_arguments"]

C = TypeVar("C", bound=Callable[..., Any])


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that answers for names it had before.

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


def renamed_arguments(**names: str) -> Callable[[C], C]:
    """Return a decorator for a function or a class whose keyword arguments have new names: ``old="new"``.

    A call by an old name warns (DeprecationWarning) and means the new one. A class has its old names as
    attributes too: they read and set the ones of today, as far as those can be set.

    Raises
    ------
    InputError
        By the decorated function or class, if a call gives an argument by both of its names.
    """

    def decorate(thing: C) -> C:
        if not inspect.isclass(thing):
            function: C = _taking_old_names(thing, thing.__qualname__, names)
            return function
        # mypy takes no assignment to the __init__ of a class, nor properties that are made in a loop.
        setattr(thing, "__init__", _taking_old_names(thing.__init__, thing.__name__, names))  # noqa: B010
        for old, new in names.items():
            setattr(thing, old, _attribute_of_today(thing.__name__, old, new))
        return thing

    return decorate


def _taking_old_names(function: Any, owner: str, names: Mapping[str, str]) -> Any:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        for old, new in names.items():
            if old not in options:
                continue
            if new in options:
                raise InputError(f"{owner} was given {old} and {new}, its name today; expected {new} alone")
            warnings.warn(
                f"{owner}({old}=...) is now {owner}({new}=...); the old name goes with the next release",
                DeprecationWarning,
                stacklevel=2,
            )
            options[new] = options.pop(old)
        return function(*arguments, **options)

    return call


def _attribute_of_today(owner: str, old: str, new: str) -> property:
    def warn() -> None:
        warnings.warn(
            f"{owner}.{old} is now {owner}.{new}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=3,
        )

    def read(thing: Any) -> Any:
        warn()
        return getattr(thing, new)

    def write(thing: Any, value: Any) -> None:
        warn()
        setattr(thing, new, value)

    return property(read, write)
