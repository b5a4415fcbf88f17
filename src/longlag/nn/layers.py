"""LayerParameters: what initialisation and learned sharpness need of an LSTM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import nn

from longlag.nn.sizes import LayerSizes

__all__ = ["LayerParameters"]


class LayerParameters(Protocol):
    """Layers of known sizes and their parameters, such as an LSTM."""

    @property
    def sizes(self) -> LayerSizes:
        """The sizes of the layers."""
        ...

    def layer_parameters(self) -> Iterator[dict[str, nn.Parameter]]:
        """Return the parameters of each layer and direction, forward before reverse, by name without the suffix."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield all parameters in the order of a ``state_dict``, as ``torch.nn.Module`` has them."""
        ...
