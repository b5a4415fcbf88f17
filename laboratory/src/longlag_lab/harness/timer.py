"""Timing: measurements that are taken in turn, as often as an effort allows, on a set number of torch's threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

__all__ = ["Effort", "interleaved", "seconds_of", "torch_threads"]

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """How often something is measured: ``least`` times, and then up to ``most`` times while its ``seconds`` last.

    A measurement of something short is the mean of as many calls as take ``sample`` seconds.
    """

    least: int
    most: int
    seconds: float = 0.0
    sample: float = 0.0


def interleaved(measurements: Sequence[Callable[[], T]], effort: Effort) -> list[list[T]]:
    """Return the results of every measurement.

    All are taken in turn, so that whatever else the machine does meets each.
    """
    results: list[list[T]] = [[] for _ in measurements]
    if not measurements:
        return results
    end = time.perf_counter() + effort.seconds
    while len(results[0]) < effort.least or (len(results[0]) < effort.most and time.perf_counter() < end):
        for measure, series in zip(measurements, results, strict=True):
            series.append(measure())
    return results


def seconds_of(call: Callable[[], object]) -> Callable[[], float]:
    """Return a measurement: the seconds of one call."""

    def measure() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return measure


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch have so many threads in the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
