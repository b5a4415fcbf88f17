"""How long a call takes on a CUDA device, by the device's own clock. This module does not load Triton."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["milliseconds"]


def milliseconds(run: Callable[[], object]) -> float:
    """Return how long one call takes on the current CUDA device, by events between which nothing waits for the host."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))
