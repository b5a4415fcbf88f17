"""Seeds of the generators that networks draw from: initial weights, dropout."""

from __future__ import annotations

import torch

__all__ = ["seed_generators"]

_DRAW_FROM_THE_CPU = ("cpu", "meta")


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generator as ``torch.manual_seed`` does, and those of other devices where ``device`` is one.

    ``torch.manual_seed`` itself seeds all kinds of device. Where one has not been used yet, the call is kept for later
    together with the caller's stack: that takes as long as an update of a small network, and grows with every epoch.
    """
    torch.default_generator.manual_seed(seed)
    if device.type not in _DRAW_FROM_THE_CPU:
        torch.manual_seed(seed)
