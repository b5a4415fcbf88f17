"""Inputs and targets of an online learner as arrays, checked: those of one step or of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from longlag.errors import InputError

__all__ = ["InputChecker"]


@dataclass(frozen=True, kw_only=True)
class InputChecker:
    """What the inputs and targets of a learner have to look like.

    networks : a leading dimension of that size, or None for no such dimension
    """

    input_size: int
    output_size: int
    symbols: bool
    networks: int | None
    dtype: np.dtype[Any]

    def inputs(self, x: ArrayLike, *, steps: bool = False) -> NDArray[Any]:
        """Return inputs (networks, T, I), or symbols (networks, T). ``steps``: ``x`` has a dimension of steps."""
        return self._values("x", _array("x", x), self.input_size, self.symbols, steps)

    def targets(self, y: ArrayLike, steps: int | None = None) -> NDArray[Any]:
        """Return targets (networks, T, K), or symbols (networks, T). ``steps``: those of ``y``; None: it is one target.

        A whole number in the place of a vector is a symbol: the output unit that is to be on. Of a single output unit
        it is the unit's value, like any other number.
        """
        value = _array("y", y)
        short = value.ndim == (self.networks is not None) + (steps is not None)  # one number for each target
        if short and self.output_size == 1:
            value = value[..., None]
        symbols = short and self.output_size > 1 and (value.dtype.kind in "iu" or value.size == 0)
        targets = self._values("y", value, self.output_size, symbols, steps is not None)
        if steps is not None and targets.shape[1] != steps:
            raise InputError(f"ys has {targets.shape[1]} steps; expected {steps}, as many as xs")
        return targets

    def _values(self, name: str, value: NDArray[Any], size: int, symbols: bool, steps: bool) -> NDArray[Any]:
        lead = [] if self.networks is None else [self.networks]
        wanted = [*lead, *(["T"] if steps else []), *([] if symbols else [size])]
        if steps and value.shape == (*lead, 0):  # [] has neither a width nor a type
            value = np.zeros((*lead, 0) if symbols else (*lead, 0, size), dtype=np.int32)
        kind = f"symbols 0..{size - 1}" if symbols else "numbers"
        shape = list(value.shape)
        fits = len(shape) == len(wanted) and all(want in ("T", have) for have, want in zip(shape, wanted, strict=True))
        if not fits or value.dtype.kind not in ("iu" if symbols else "fiub"):
            expected = f"({', '.join(map(str, wanted))}{',' * (len(wanted) == 1)})"
            raise InputError(f"{name} is {value.dtype} of shape {value.shape}; expected {kind} of shape {expected}")
        count = 1 if self.networks is None else self.networks
        length = value.shape[len(lead)] if steps else 1
        if symbols:
            if value.size and (value.min() < 0 or value.max() >= size):
                raise InputError(f"{name} has a symbol outside 0..{size - 1}: {value.min()} to {value.max()}")
            return value.astype(np.int32).reshape(count, length)
        with np.errstate(over="ignore"):  # too large for float32 is refused below, as infinite
            value = value.astype(self.dtype)
        if not np.isfinite(value).all():
            raise InputError(f"{name} has a NaN or infinite value; expected finite numbers of {self.dtype}")
        return value.reshape(count, length, size)


def _array(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return anything array-like as an array; a tensor may have a gradient, or a type that NumPy does not know."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; lists of tensors with a gradient
        raise InputError(f"{name} is a {type(value).__name__} of parts that make no array; expected numbers") from error
