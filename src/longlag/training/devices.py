"""Where a network is trained: the names of devices, and their random number generators."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from longlag.errors import CheckpointError, InputError

__all__ = ["drawing_devices", "generator_states", "set_generator_states", "training_device"]

_EXPECTED = "expected 'cpu', 'cuda', 'cuda:1' and so on, or 'auto'"


def training_device(device: object) -> torch.device:
    """The device of this name; "auto" is a GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        If it is no such name, or this machine has no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device) if isinstance(device, (str, torch.device)) else None
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise InputError(f"device is {str(device)!r}; {_EXPECTED}")
    if wanted.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        reason = "PyTorch finds no GPU" if torch.backends.cuda.is_built() else "this PyTorch is built without CUDA"
        raise InputError(
            f"device is {str(device)!r}, but {reason}; expected 'cpu', or 'auto' for a GPU if there is one"
        )
    count = torch.cuda.device_count()
    if wanted.index is not None and wanted.index >= count:
        raise InputError(f"device is {str(device)!r}, but there are {count} GPUs; expected a number below {count}")
    return torch.device("cuda", torch.cuda.current_device()) if wanted.index is None else wanted


def drawing_devices(device: torch.device) -> list[torch.device]:
    """The devices beside the CPU whose random numbers training on ``device`` draws, for ``torch.random.fork_rng``."""
    return [device] if device.type == "cuda" else []


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that training on ``device`` draws from, by name."""
    states = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generator_states(device: torch.device, states: Mapping[str, Tensor]) -> None:
    """Put back what ``generator_states`` took. CheckpointError if it was taken elsewhere."""
    if states.keys() != generator_states(device).keys():
        raise CheckpointError(
            f"the checkpoint has random numbers of {', '.join(sorted(states))}; expected those of training on {device}"
        )
    torch.set_rng_state(states["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
