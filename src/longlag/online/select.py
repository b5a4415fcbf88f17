"""Which engine runs an online learner: the kernels of csrc/online where they are built, PyTorch elsewhere."""

from __future__ import annotations

from longlag.errors import InputError
from longlag.online.reference import ReferenceNetworks
from longlag.online.streams import Engine
from longlag.online.topology import Topology
from longlag.ops import select

__all__ = ["engine", "engine_for"]


def engine_for(backend: str) -> str:
    """Return the name of the engine that ``backend`` ("auto", "native", "reference") stands for here."""
    if isinstance(backend, str) and backend == "auto":
        backend = "reference" if select.DEFAULT == "reference" or select.native is None else "native"
    if not isinstance(backend, str) or backend not in ("native", "reference"):
        raise InputError(f"backend is {backend!r}; expected 'auto', 'native' or 'reference'")
    if backend == "native" and select.native is None:
        raise InputError(f"backend is 'native', but the compiled extension is {select.native_status()}")
    return backend


def engine(
    topology: Topology, count: int, *, wide: bool = False, backend: str = "auto", side_by_side: bool | None = None
) -> Engine:
    """Return ``count`` networks of one topology, in float64 if ``wide``; all numbers zero.

    ``side_by_side``: whether networks, and not the units of one, fill vectors; None: whichever is faster. The bits of a
    network depend on this choice, but not on the other networks.
    """
    if engine_for(backend) == "reference":
        return ReferenceNetworks(topology, count, wide=wide)
    from longlag.online.networks import Lanes, Networks

    lanes: Lanes | None = None if side_by_side is None else "networks" if side_by_side else "units"
    return Networks(topology, count, wide=wide, lanes=lanes)
