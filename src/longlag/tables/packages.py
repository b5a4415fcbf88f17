"""Optional packages: imported by name when first needed, and missed with one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType

from longlag.errors import InputError

__all__ = ["require"]


def require(module: str, purpose: str, *, extra: str = "data") -> ModuleType:
    """The module called ``module``; ``purpose`` completes the sentence "... is needed to <purpose>".

    ``extra`` is the group of optional packages that brings it along.

    Raises
    ------
    InputError
        If the package is not installed or does not work, naming the command that installs it.
    """
    package = module.partition(".")[0]
    command = f'pip install "longlag[{extra}]"'
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == package:
            raise InputError(
                f"the package '{package}' is not installed and is needed to {purpose}; expected it after: {command}"
            ) from None
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        raise InputError(
            f"the package '{package}' is needed to {purpose} but cannot be imported ({reason}); "
            f"expected it to work after: {command}"
        ) from error
