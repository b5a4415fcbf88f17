"""The errors a user can meet. Each carries one sentence: what was wrong, where, what was expected."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ClusterError",
    "DivergenceError",
    "InputError",
    "InputTypeError",
    "LonglagError",
    "ShapeError",
]


class LonglagError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(LonglagError, ValueError):
    """Something the user gave (data, an option, a file) is not usable; nothing was changed or written."""


class InputTypeError(InputError, TypeError):
    """Something the user gave is of the wrong type. A TypeError too, because Python and torch raise that."""


class ShapeError(InputError, RuntimeError):
    """A tensor whose size, type or lengths do not fit the layer. A RuntimeError too, because torch raises that."""


class CheckpointError(InputError):
    """A model or checkpoint directory is missing, damaged, or not of this package's format."""


class DivergenceError(LonglagError, ArithmeticError):
    """Training met a loss or gradient that is not finite; the parameters are those before that step."""


class ClusterError(LonglagError, RuntimeError):
    """Workers could not answer a question; parameters and checkpoints are as they were before it."""
