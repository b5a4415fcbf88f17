"""Which launch configuration is fastest for a layer on a device: it is measured once and kept in a file.

Only where ``torch.backends.cudnn.benchmark`` is set, by which users of PyTorch say that they will wait once for the
fastest way, and that sums may be taken in another order on another device. Else ``launch_config`` decides.

``triton.autotune`` would not do: it measures on the batch that happens to come first, cannot be interpreted without a
GPU, and chooses too late to size the sums over programs.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
import triton
from torch import Tensor
from triton.runtime.errors import OutOfResources

from longlag.ops.triton import cache
from longlag.ops.triton.geometry import Geometry
from longlag.ops.triton.launch_config import LaunchConfig
from longlag.ops.triton.timing import milliseconds

__all__ = ["FASTEST", "fastest", "file", "is_wanted", "key"]

REPEATS = 5
FASTEST: dict[str, LaunchConfig] = {}
"""What this process has measured or read, by ``key``."""


def is_wanted(like: Tensor) -> bool:
    """Return whether a layer on such tensors is to be timed; never amid the recording of a CUDA graph."""
    return torch.backends.cudnn.benchmark and like.is_cuda and not torch.cuda.is_current_stream_capturing()


def key(kernel: str, geo: Geometry, dtype: torch.dtype, rounding: str, device: torch.device) -> str:
    """Return what a measurement holds for: neither batch size nor length, so that other ones compile nothing anew."""
    return json.dumps([kernel, _name(device), triton.__version__, str(dtype), rounding, geo._asdict()])


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def file() -> Path:
    """Return where measured configurations are kept."""
    return cache.folder() / "gpu_tiles.json"


def fastest(
    name: str, candidates: Sequence[LaunchConfig], prepare: Callable[[LaunchConfig], Callable[[], object]]
) -> LaunchConfig:
    """Return the candidate that takes the least time, as measured now or, under this name, at some time before.

    ``prepare`` : makes what is to be timed with a candidate. Candidates that need more of an SM than it has are passed
    over; OutOfResources is raised if all do.
    """
    if name not in FASTEST:
        on_file = cache.read(file()).get(name)
        known = [config for config in candidates if list(config) == on_file]
        if not known:
            known = [_measured(candidates, prepare)]
            _keep(name, known[0])
        FASTEST[name] = known[0]
    return FASTEST[name]


def _measured(
    candidates: Sequence[LaunchConfig], prepare: Callable[[LaunchConfig], Callable[[], object]]
) -> LaunchConfig:
    times: dict[LaunchConfig, float] = {}
    for config in candidates:
        with contextlib.suppress(OutOfResources):
            run = prepare(config)
            run()  # compiles
            times[config] = median(milliseconds(run) for _ in range(REPEATS))
    if not times:
        prepare(candidates[0])()  # raises what is in the way
    return min(times, key=times.__getitem__)


def _keep(name: str, config: LaunchConfig) -> None:
    try:
        cache.update(file(), {name: config})
    except OSError as error:
        warnings.warn(
            f"measured launch configurations cannot be kept in {file()}, and will be measured again: {error}",
            stacklevel=2,
        )
