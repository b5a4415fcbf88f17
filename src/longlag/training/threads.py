"""How many threads a network is worth: waiting for each other costs small ones more than it gains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from longlag.nn.network import Network

__all__ = ["fitting_threads"]

WORTH_SHARING = 8_000_000
"""Floating point operations of one time step below which one thread is faster on a busy machine and as fast on an
idle one. It also makes a small network's bits independent of the number of cores."""


@contextmanager
def fitting_threads(network: Network, samples: int) -> Iterator[None]:
    """One torch thread for small networks while the block runs; the caller's number otherwise, and afterwards."""
    before = torch.get_num_threads()
    lstm = network.lstm
    widest = max(lstm.input_size, lstm.output_size)
    step = 2 * lstm.cell.row_count(lstm.hidden_size) * (widest + lstm.output_size) * max(samples, 1)
    if step < WORTH_SHARING and before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
