"""Which sequences go together in a batch, and in what order: a function of the seed and the epoch alone."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["epoch_seed", "plan"]


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch of every run (two rounds of a 64-bit mixing function, SplitMix64)."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch + 1) & (2**64 - 1)
    for _ in range(2):
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        value ^= value >> 31
    return value >> 1  # torch takes signed 64-bit seeds


def plan(lengths: Tensor, batch_size: int, *, bucket: bool, seed: int, epoch: int) -> list[Tensor]:
    """Batches of sample numbers that cover ``lengths`` (N,) exactly once, in the order to use them.

    With ``bucket``, sequences of similar length share a batch: a random order is sorted by length (equal lengths stay
    shuffled), cut into batches, and the batches are shuffled.
    """
    generator = torch.Generator("cpu").manual_seed(epoch_seed(seed, epoch))
    order = torch.randperm(len(lengths), generator=generator, device="cpu")
    if bucket:
        order = order[torch.argsort(lengths.cpu()[order], stable=True)]
    batches = list(order.split(batch_size))
    if not bucket:
        return batches
    shuffled = torch.randperm(len(batches), generator=generator, device="cpu")
    return [batches[number] for number in shuffled.tolist()]
