"""What an online learner is given, as arrays: inputs and targets of one event or of many steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from longlag.errors import InputError

__all__ = ["Events"]


@dataclass(frozen=True, kw_only=True)
class Events:
    """The form of a learner's events. ``networks``: inputs and targets have a leading dimension of that size."""

    input_size: int
    output_size: int
    symbols: bool
    networks: int | None
    dtype: np.dtype[Any]

    def inputs(self, x: ArrayLike, *, steps: bool = False) -> NDArray[Any]:
        """(networks, T, I) or (networks, T) symbols; ``steps``: ``x`` has a dimension of steps."""
        return self._values("x", _array("x", x), self.input_size, self.symbols, steps)

    def targets(self, y: ArrayLike, steps: int | None = None) -> NDArray[Any]:
        """(networks, T, K) or (networks, T) symbols of units; ``steps``: how many of them ``y`` has, None: one event.

        Whole numbers where a vector could stand are symbols. One output unit has no symbols, since there would be
        nothing to tell apart: there they are values, and so is any number.
        """
        value = _array("y", y)
        short = value.ndim == (self.networks is not None) + (steps is not None)  # one number for each target
        if short and self.output_size == 1:
            value = value[..., None]
        symbols = short and self.output_size > 1 and (value.dtype.kind in "iu" or value.size == 0)
        found = self._values("y", value, self.output_size, symbols, steps is not None)
        if steps is not None and found.shape[1] != steps:
            raise InputError(f"ys has {found.shape[1]} steps; expected {steps}, as many as xs")
        return found

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


def _array(name: str, given: ArrayLike) -> NDArray[Any]:
    """Anything array-like; a tensor may have a gradient, or a type that NumPy does not know."""
    if isinstance(given, Tensor):
        given = given.detach().cpu()
        given = given.float() if given.dtype == torch.bfloat16 else given
    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as wrong:  # ragged lists; lists of tensors with a gradient
        raise InputError(f"{name} is a {type(given).__name__} of parts that make no array; expected numbers") from wrong
