"""What a gradient engine is, and what every one of them asks of a network."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.nn.options import PATHS
from longlag.ops.paths import GradientPaths

__all__ = ["Gradient", "GradientEngine", "forward_only", "paths_for", "trainable"]

Gradient = tuple[Tensor, ...]
"""One tensor per trainable parameter, in the order of ``trainable``."""


class GradientEngine(Protocol):
    """Answers with the loss of a batch and a gradient of it. Changes nothing, in particular no ``.grad``."""

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        """Return the scalar loss, and its gradient for the parameters of ``trainable(network)``."""
        ...


def trainable(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that want a gradient, in the module's order."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def paths_for(network: Network, paths: GradientPaths | None) -> GradientPaths:
    """Return the paths by which an engine takes the error back: ``paths``, or where None those of the layer.

    An engine may cut more than the layer does. Raises InputError for paths that the layer cuts.
    """
    own = PATHS[network.lstm.gradient]
    if paths is None:
        return own
    if (paths.recurrent and not own.recurrent) or (paths.peepholes and not own.peepholes):
        raise InputError(
            f"the layer has gradient={network.lstm.gradient!r}, but its gradient is to be taken along {paths}; "
            "expected the same of both: LSTM(gradient='full'), or no paths of the engine's own"
        )
    return paths


def forward_only(network: Network, wanted: str) -> None:
    """Refuse a bidirectional network where ``wanted`` must carry state from step to step."""
    if network.lstm.bidirectional:
        raise InputError(f"{wanted} reads step by step; expected an LSTM with bidirectional=False")
