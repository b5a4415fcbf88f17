"""The state of NumPy's generator as a tensor: plain numbers, so that nothing executes when it is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from longlag.errors import InputError

__all__ = ["check_generator", "generator_state", "set_generator"]


def generator_state(rng: np.random.Generator) -> Tensor:
    """Return the state of a PCG64 generator as 6 whole numbers of 64 bits."""
    state: Any = rng.bit_generator.state
    mask = (1 << 64) - 1
    words = [state["state"][key] >> shift & mask for key in ("state", "inc") for shift in (0, 64)]
    words += [state["has_uint32"], state["uinteger"]]
    return torch.from_numpy(np.array(words, dtype=np.uint64).view(np.int64))


def check_generator(words: Any) -> None:
    """Raises InputError if ``generator_state`` cannot have returned this."""
    if not isinstance(words, Tensor) or words.dtype != torch.int64 or tuple(words.shape) != (6,):
        what = f"{words.dtype} of shape {tuple(words.shape)}" if isinstance(words, Tensor) else type(words).__name__
        raise InputError(f"generator is {what}; expected torch.int64 of shape (6,)")
    values = words.tolist()
    if values[4] not in (0, 1) or not 0 <= values[5] < 1 << 32:
        raise InputError(f"generator ends in {values[4:]}; expected 0 or 1, and a whole number of 32 bits")


def set_generator(rng: np.random.Generator, words: Tensor) -> None:
    """Sets a PCG64 generator to a state that ``check_generator`` lets pass."""
    values = [int(word) for word in words.cpu().numpy().view(np.uint64)]
    state: Any = rng.bit_generator.state
    state["state"] = {"state": values[0] | values[1] << 64, "inc": values[2] | values[3] << 64}
    state["has_uint32"], state["uinteger"] = values[4], values[5]
    rng.bit_generator.state = state
