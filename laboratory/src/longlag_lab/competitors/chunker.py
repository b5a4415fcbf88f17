"""The two-net neural sequence chunker (Schmidhuber 1992, "Learning complex, extended sequences using the principle of
history compression", Neural Computation 4, section 5), in the kernels of laboratory/csrc."""

from __future__ import annotations

from longlag_lab.competitors.recurrent import RecurrentNetworks
from longlag_lab.competitors.topology import ChunkerTopology

__all__ = ["ChunkerNetworks", "ChunkerTopology"]


class ChunkerNetworks(RecurrentNetworks):
    """``count`` pairs of nets. At each symbol of a sequence:

    1. If the automatizer did not foresee it (an output unit was off by more than ``threshold``; the first symbol of a
       sequence is never foreseen), the chunker learns it as what came after the last symbol that it has read, and then
       reads it. Otherwise the chunker stands still.
    2. The automatizer reads the symbol and learns the next one, and the activations that the chunker's hidden units
       have now.

    Both learn by RTRL with the same rate. The last symbol of a sequence is a target and never read; where the
    automatizer did not foresee it, the chunker learns it, and does not read it either. Both nets start each sequence
    with activations and traces of zero. Answers, and so success, are the automatizer's K outputs.

    The original can also hand the chunker a code of the time step (which its experiment did without), and has the
    automatizer predict the chunker's outputs as well; in 1997 it predicts the hidden unit alone, and so here.

    The papers leave the threshold open, and what happens at the ends of sequences; ``longlag reproduce table2`` shows
    what these choices give on tasks 2a and 2b.
    """

    def __init__(self, topology: ChunkerTopology, count: int, *, wide: bool = False) -> None:
        super().__init__(topology, count, method="rtrl", wide=wide)
