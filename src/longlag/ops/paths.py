"""Which paths the error takes back through a layer. The one answer to "where is it cut?" for every engine.

The state path ``s_t -> s_{t-1}`` (the constant error carousel) always carries the error.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from longlag.renamed import renamed

__all__ = ["FULL", "TRUNCATED", "GradientPaths"]


@dataclass(frozen=True, kw_only=True)
class GradientPaths:
    """The paths a net input's error may leave by, besides the layer's own input.

    Parameters
    ----------
    recurrent : bool
        From net inputs at t to the recurrent source ``r_{t-1}`` (outputs and gate activations).
    peepholes : bool
        From gates to the states they see through peepholes.
    """

    recurrent: bool = True
    peepholes: bool = True

    def through_recurrence(self, source: Tensor) -> Tensor:
        """Return the recurrent source as net inputs see it: itself, or a constant of the same value."""
        return source if self.recurrent else source.detach()

    def through_peepholes(self, state: Tensor) -> Tensor:
        """Return the state as peepholes see it: itself, or a constant of the same value."""
        return state if self.peepholes else state.detach()


FULL = GradientPaths()
"""Every path (batch paper, eqs 13-18)."""

TRUNCATED = GradientPaths(recurrent=False, peepholes=False)
"""The 1997 rule (appendix A.1.2): errors arriving at net inputs change weights and go no further back in time."""

__getattr__ = renamed(__name__, {"ErrorPaths": "GradientPaths"})
