"""Where a launch of the GPU kernels was seen to succeed: "auto" goes by it. This module does not load Triton.

``longlag info`` tries a launch (trial.py) and writes down that it succeeded, in a file beside the measured launch
configurations. What is written holds for one environment: other versions, drivers and devices are tried anew.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import torch

from longlag.ops.triton import cache

__all__ = [
    "LEAST_CAPABILITY",
    "environment_key",
    "file",
    "is_trusted",
    "is_verified",
    "obstacle",
    "record",
    "report",
    "triton_version",
]

LEAST_CAPABILITY = (7, 5)
"""The oldest compute capability that the kernels are compiled for in tests."""


# ---------------------------------------------------------------- the record


def file() -> Path:
    """Return where successful launches are recorded."""
    return cache.folder() / "gpu_launches.json"


def environment_key(device: torch.device) -> str:
    """Return what a successful launch holds for: the versions of all that takes part in it, and the kind of device."""
    name, capability = torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)
    versions = [_version("longlag") or "none", torch.__version__, triton_version() or "none", _driver()]
    return json.dumps([*versions, name, list(capability)])


def triton_version() -> str | None:
    """Return the version of the Triton that is installed, PyTorch's nightly builds of it included; or None."""
    return _version("triton") or _version("pytorch-triton")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _driver() -> str:
    """Return the version of NVIDIA's driver, as the kernel says it; else the version of CUDA that the driver offers."""
    try:
        return Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        offered = getattr(torch._C, "_cuda_getDriverVersion", None)
        return "unknown" if offered is None else str(offered())


def record(device: torch.device, largest_error: float | None) -> None:
    """Write down that a launch succeeded here, or, with None, take back that one did. Raises OSError."""
    key = environment_key(device)
    try:
        if largest_error is not None:
            date = datetime.now(UTC).isoformat(timespec="seconds")
            cache.update(file(), {key: {"date": date, "largest_error": largest_error}})
        elif key in cache.read(file()):
            cache.update(file(), {}, remove=key)
    finally:
        is_verified.cache_clear()
        obstacle.cache_clear()


@functools.lru_cache(maxsize=16)
def is_verified(device: torch.device) -> bool:
    """Return whether a launch on this kind of device has succeeded in this environment. Read once in a process."""
    return environment_key(device) in cache.read(file())


# ---------------------------------------------------------------- what is in the way


@functools.lru_cache(maxsize=16)
def obstacle(device: torch.device) -> str:
    """Return why the kernels cannot run on this CUDA device, or "" if nothing is known to be in their way."""
    if torch.version.hip is not None:
        return "PyTorch is built for ROCm here; expected one for CUDA"
    capability = torch.cuda.get_device_capability(device)
    if capability < LEAST_CAPABILITY:
        name, (major, minor) = torch.cuda.get_device_name(device), LEAST_CAPABILITY
        return f"{name} has compute capability {_dotted(capability)}; expected {major}.{minor} or more"
    # What was compiled once needs no compiler again.
    if not _has_compiler() and not is_verified(device):
        return "Triton finds no C compiler; expected gcc or clang, or the path of one in the environment variable CC"
    return ""


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def _has_compiler() -> bool:
    """Return whether Triton will find a compiler for the code that launches a kernel: it looks in the same places."""
    if sys.platform != "linux":  # other builds of Triton bring their own
        return True
    knobs = getattr(sys.modules.get("triton"), "knobs", None)
    builds_itself = getattr(getattr(knobs, "build", None), "impl", None) is not None
    return bool(os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or builds_itself)


# ---------------------------------------------------------------- what "auto" and people ask


def is_trusted(device: torch.device) -> bool:
    """Return whether "auto" takes the kernels on this device.

    Where it does not, one warning says why and what to type.
    """
    if is_verified(device):
        return True
    _warn_once(torch.cuda.get_device_name(device), obstacle(device))
    return False


@functools.cache
def _warn_once(name: str, reason: str) -> None:
    advice = reason or (
        "no launch of them has been seen to succeed in this environment; "
        "type `longlag info` once, which tries one, and start again"
    )
    warnings.warn(f"backend 'auto' leaves out the GPU kernels (backend 'triton') on {name}: {advice}", stacklevel=1)


def report() -> str:
    """Try a launch on each kind of CUDA device, record those that succeed, and say in one line what came of it."""
    if not torch.cuda.is_available():
        return "not tried: PyTorch sees no CUDA device"
    if importlib.util.find_spec("triton") is None:
        return "not tried: Triton is not installed"
    first_of_kind: dict[str, torch.device] = {}
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        first_of_kind.setdefault(torch.cuda.get_device_name(device), device)
    trial = importlib.import_module("longlag.ops.triton.trial")
    return "; ".join(trial.try_and_record(device) for device in first_of_kind.values())
