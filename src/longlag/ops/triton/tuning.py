"""Which tile is fastest for a layer on a device: measured once, then kept in a file.

Only where ``torch.backends.cudnn.benchmark`` is set, by which users of PyTorch say that they will wait once for the
fastest way, and that sums may be taken in another order on another device. Without it ``tiles.tile`` decides.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
import triton
from torch import Tensor
from triton.runtime.errors import OutOfResources

from longlag.ops.triton.clock import milliseconds
from longlag.ops.triton.geometry import Geometry
from longlag.ops.triton.tiles import Tile

__all__ = ["KNOWN", "fastest", "file", "key", "wanted"]

REPEATS = 5
KNOWN: dict[str, Tile] = {}
"""Of this process, by ``key``."""


def wanted(like: Tensor) -> bool:
    """Whether a layer on such tensors is to be timed; never amid the recording of a CUDA graph."""
    return torch.backends.cudnn.benchmark and like.is_cuda and not torch.cuda.is_current_stream_capturing()


def key(kernel: str, geo: Geometry, dtype: torch.dtype, rounding: str, device: torch.device) -> str:
    """What a measured tile holds for: neither batch size nor length, so that other ones compile nothing anew."""
    return json.dumps([kernel, _name(device), triton.__version__, str(dtype), rounding, geo._asdict()])


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def file() -> Path:
    """Where measured tiles are kept: $XDG_CACHE_HOME/longlag, or ~/.cache/longlag."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "longlag" / "gpu_tiles.json"


def fastest(name: str, candidates: Sequence[Tile], prepare: Callable[[Tile], Callable[[], object]]) -> Tile:
    """The candidate that takes the least time, as measured now or, under this name, at some time before.

    ``prepare`` : gives what is to be timed with a tile. Candidates that need more of an SM than it has are passed over;
    OutOfResources is raised if all do.
    """
    if name not in KNOWN:
        kept = _read().get(name)
        known = [tile for tile in candidates if list(tile) == kept]
        if not known:
            known = [_measured(candidates, prepare)]
            _write(name, known[0])
        KNOWN[name] = known[0]
    return KNOWN[name]


def _measured(candidates: Sequence[Tile], prepare: Callable[[Tile], Callable[[], object]]) -> Tile:
    times: dict[Tile, float] = {}
    for tile in candidates:
        with contextlib.suppress(OutOfResources):
            run = prepare(tile)
            run()  # compiles
            times[tile] = median(milliseconds(run) for _ in range(REPEATS))
    if not times:
        prepare(candidates[0])()  # raises what is in the way
    return min(times, key=times.__getitem__)


def _read() -> dict[str, object]:
    """What the file holds; nothing if there is none, or if somebody damaged it: then all is measured again."""
    try:
        found = json.loads(file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(name: str, tile: Tile) -> None:
    """Add it to the file, whole or not at all: another process may read at any time."""
    place = file()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            written = Path(folder, place.name)
            written.write_text(json.dumps(_read() | {name: tile}, indent=1))
            written.replace(place)
    except OSError as error:
        warnings.warn(
            f"measured GPU tiles cannot be kept in {place}, and will be measured again: {error}", stacklevel=2
        )
