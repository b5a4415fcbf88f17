"""The GPU: its name, and measured rates of products, copies and steps that results are held against."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Callable

import torch

from longlag.io.json import JSON
from longlag_lab.benchmarks.cases import Case
from longlag_lab.benchmarks.gpu_cases import DTYPE
from longlag_lab.benchmarks.gpu_runner import arithmetic, milliseconds_of, our_runner
from longlag_lab.benchmarks.problem import draw

__all__ = ["describe"]

PRODUCT = 4096
COPIED = 2**30


def describe(device: str = "cuda") -> dict[str, JSON]:
    """Name, driver and versions of the device, and its rates of products, copies and steps."""
    rates: dict[str, JSON] = {}
    for numbers, dtype in DTYPE.items():
        with arithmetic(numbers):
            rates[numbers] = _product_rate(dtype, device)
    return {
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "driver": _driver() if device != "cpu" else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device != "cpu" else None,
        "triton": importlib.metadata.version("triton"),
        "copy_gbytes": _copy_rate(device),
        "product_gflops": rates,
        "step_microseconds": _smallest_step(device),
    }


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def _fastest(run: Callable[[], object], device: str) -> float:
    run()
    return min(milliseconds_of(run, device) for _ in range(10))


def _product_rate(dtype: torch.dtype, device: str) -> float:
    """Return the GFLOP/s of torch.mm."""
    size = PRODUCT if device != "cpu" else 64
    left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    return 2 * size**3 / _fastest(lambda: left @ right, device) / 1e6


def _copy_rate(device: str) -> float:
    """Return the GB/s that a copy reads and writes."""
    count = (COPIED if device != "cpu" else 2**16) // 4
    source = torch.ones(count, device=device)
    target = torch.empty_like(source)
    return 8 * count / _fastest(lambda: target.copy_(source), device) / 1e6


def _smallest_step(device: str) -> float:
    """Return microseconds of a step of one cell and one sample, little more than the wait for the step before."""
    steps = 4096 if device != "cpu" else 2
    case = Case(name="", steps=steps, samples=1, inputs=1, hidden=1, dtype=torch.float32, work="inference")
    runner, _ = our_runner([draw(case)], torch.float32, device, "triton")
    return 1000 * _fastest(runner.run, device) / steps
