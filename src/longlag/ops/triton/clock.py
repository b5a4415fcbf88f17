"""The device's clock. Does not load Triton."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["milliseconds"]


def milliseconds(run: Callable[[], object]) -> float:
    """Of one call on the current CUDA device, by events between which nothing waits for the host."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))
