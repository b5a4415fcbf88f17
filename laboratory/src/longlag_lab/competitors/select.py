"""Which engine runs plain recurrent nets and chunkers: the kernels where they are built, NumPy elsewhere."""

from __future__ import annotations

import importlib

from longlag.errors import InputError
from longlag.online.select import engine_for as library_engine_for
from longlag.online.streams import Engine
from longlag_lab.competitors.reference import ReferenceRecurrentNetworks
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology

__all__ = ["engine", "engine_for"]


def engine_for(backend: str) -> str:
    """Return the name of the engine that ``backend`` ("auto", "native", "reference") stands for here.

    Raises InputError for another name, or for "native" where the library or the laboratory has no compiled kernels.
    """
    name = library_engine_for(backend)
    if name == "native" and not _has_kernels():
        if backend == "native":
            raise InputError(
                "backend is 'native', but the laboratory has no compiled kernels; install a C++17 compiler, and then "
                "the laboratory again"
            )
        return "reference"
    return name


def _has_kernels() -> bool:
    try:
        importlib.import_module("longlag_lab._native")
    except ImportError:
        return False
    return True


def engine(
    topology: RecurrentTopology | ChunkerTopology,
    count: int,
    *,
    method: Method = "rtrl",
    wide: bool = False,
    backend: str = "auto",
) -> Engine:
    """``count`` networks of one topology, in float64 if ``wide``; all numbers zero. A chunker learns by RTRL alone."""
    if engine_for(backend) == "reference":
        return ReferenceRecurrentNetworks(topology, count, method=method, wide=wide)
    from longlag_lab.competitors.recurrent import RecurrentNetworks

    return RecurrentNetworks(topology, count, method=method, wide=wide)
