"""PlainRNN: an ``nn.RNNBase`` whose parameters are ordinary ones, with no flattened copies of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PlainRNN", "is_symbol", "leaf_call"]


class PlainRNN(nn.RNNBase):
    """The base of ``longlag.LSTM``, for libraries that look for ``nn.RNNBase``: initialisations, wrappers, checks.

    torch.nn.RNNBase keeps a list of flattened weights for cuDNN, up to date by hand wherever parameters move. Our
    engines take the parameters themselves, so all of that is what ``nn.Module`` does.
    """

    mode = "LSTM"

    def __init__(self) -> None:
        nn.Module.__init__(self)

    __setattr__ = nn.Module.__setattr__  # type: ignore[assignment]
    __setstate__ = nn.Module.__setstate__
    _apply = nn.Module._apply
    _replicate_for_data_parallel = nn.Module._replicate_for_data_parallel

    @property
    def _flat_weights(self) -> list[Tensor]:  # type: ignore[override]
        """The parameters of all layers and directions in one list, which some callers of nn.LSTM read."""
        return [weight for weights in self.all_weights for weight in weights]

    def flatten_parameters(self) -> None:
        """Accepted for torch.nn.LSTM's callers; weights need no flattening here."""

    def _init_flat_weights(self) -> None:
        """There are none."""

    def _update_flat_weights(self) -> None:
        """There are none."""


def is_symbol(input: object) -> bool:
    """Return whether an input stands for a value that is not known yet, while torch.fx traces a model."""
    return isinstance(input, torch.fx.Proxy)


def leaf_call(module: nn.Module, input: Any, arguments: dict[str, Any]) -> Any:
    """Return the node of a graph that stands for a call of ``module``, which ``torch.fx`` then does not trace into.

    torch.fx takes the modules of torch.nn for leaves, and walks into every other one.
    """
    tracer = input.tracer
    keywords = {name: value for name, value in arguments.items() if value is not None}
    return tracer.create_proxy("call_module", tracer.path_of_module(module), (input,), keywords)
