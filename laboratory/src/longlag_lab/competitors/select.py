"""Which engine runs plain recurrent nets and chunkers: the kernels where they are built, NumPy elsewhere."""

from __future__ import annotations

from longlag.online.select import engine_for
from longlag.online.streams import Engine
from longlag_lab.competitors.reference import ReferenceRecurrentNetworks
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology

__all__ = ["engine"]


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
