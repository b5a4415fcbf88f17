"""The machine: its name, and measured rates of matrix products and copies that results are held against."""

from __future__ import annotations

import functools
import importlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn.functional import linear

from longlag.io.json import JSON
from longlag_lab.harness.timer import torch_threads

__all__ = ["cores", "cpu_name", "describe", "instruction_set", "memory_peak", "product_rate"]

SIZES = (256, 512, 1024)
COPIED = 64 * 2**20  # bytes: beyond the caches, and quick
SECONDS = 0.08


def cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(threads: Iterable[int]) -> dict[str, JSON]:
    """Name, cores and instruction set, and the rates of products and copies for each number of threads."""
    rates: dict[str, JSON] = {}
    for count in sorted(set(threads)):
        with torch_threads(count):
            rates[str(count)] = {
                "float32_gflops": product_rate(torch.float32),
                "float64_gflops": product_rate(torch.float64),
                "float32_onednn_gflops": onednn_rate(),
                "copy_gbytes": copy_rate(),
            }
    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "instruction_set": instruction_set(),
        "torch": str(torch.__version__),
        "rates": rates,
    }


def cpu_name() -> str:
    """Return the processor's name, as the system has it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            fields = dict(line.strip().partition(":")[::2] for line in lines if ":" in line)
    except OSError:
        fields = {}
    named = {name.strip(): value.strip() for name, value in fields.items()}
    return named.get("model name") or platform.processor() or platform.machine()


def instruction_set() -> str | None:
    """Return the instruction set that our kernels use, or None if they were not built."""
    try:
        native = importlib.import_module("longlag._native")
    except ImportError:
        return None
    return str(native.instruction_set()) if hasattr(native, "instruction_set") else None


def product_rate(dtype: torch.dtype) -> float:
    """Return GFLOP/s of torch.mm at its best size, with torch's present number of threads."""
    best = 0.0
    for size in SIZES:
        left, right, out = (torch.ones(size, size, dtype=dtype) for _ in range(3))
        best = max(best, 2 * size**3 / _shortest(functools.partial(torch.mm, left, right, out=out)) / 1e9)
    return best


def onednn_rate() -> float | None:
    """Return GFLOP/s of PyTorch's other library: a float32 product in its blocked layout; None if it cannot run.

    On some processors it uses wider instructions than the one behind torch.mm.
    """
    if not torch.backends.mkldnn.is_available():
        return None
    best = 0.0
    for size in SIZES:
        values, weight = torch.ones(size, size).to_mkldnn(), torch.ones(size, size).to_mkldnn()
        best = max(best, 2 * size**3 / _shortest(functools.partial(linear, values, weight)) / 1e9)
    return best


@contextmanager
def memory_peak() -> Iterator[list[int]]:
    """Measure by how many bytes the process's memory grows at most in the block.

    Yields a list that has the number after the block, or stays empty if the system cannot tell.
    """
    growth: list[int] = []
    status, references = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        references.write_text("5")  # the peak is what there is now
        before = _peak(status)
    except OSError:
        yield growth
        return
    yield growth
    growth.append(_peak(status) - before)


def _peak(status: Path) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def copy_rate() -> float:
    """Return GB/s read and written while one large tensor is copied into another."""
    source = torch.ones(COPIED // 4)
    target = torch.zeros_like(source)
    return 2 * COPIED / _shortest(lambda: target.copy_(source)) / 1e9


def _shortest(run: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few calls."""
    run()
    shortest, end = float("inf"), time.perf_counter() + SECONDS
    while True:
        began = time.perf_counter()
        run()
        now = time.perf_counter()
        shortest = min(shortest, now - began)
        if now > end:
            return shortest
