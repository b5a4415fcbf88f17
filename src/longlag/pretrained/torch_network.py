"""The network by PyTorch, where the CPU kernels are not built."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.pretrained.network import ZeroShotNetwork
from longlag.pretrained.weights import Weights

__all__ = ["TorchNetwork", "torch_network"]


def torch_network(weights: Weights) -> ZeroShotNetwork:
    """The network with these weights, to learn on or to answer."""
    settings = weights.settings
    with torch.device("cpu"):  # whatever the default device is
        network = ZeroShotNetwork(
            settings.hidden_size,
            settings.num_layers,
            settings.head_size,
            cell=settings.cell,
            learn_sharpness=settings.learn_sharpness,
        )
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.arrays.items()})
    return network.eval()


class TorchNetwork:
    """A ``ZeroShotNetwork`` that answers for arrays, in the type of its weights."""

    def __init__(self, network: ZeroShotNetwork) -> None:
        self._network = network
        self._type = next(network.parameters()).dtype

    @torch.inference_mode()
    def read(self, inputs: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
        """As ``KernelNetwork.read``."""
        states = self._network.read(self._tensor(inputs).transpose(0, 1))
        last: NDArray[Any] = states[torch.from_numpy(lengths - 1), torch.arange(len(lengths), device="cpu")].numpy()
        return last

    @torch.inference_mode()
    def answer(self, state: NDArray[Any], questions: NDArray[Any], bases: NDArray[Any]) -> NDArray[Any]:
        """As ``KernelNetwork.answer``."""
        answers: NDArray[Any] = self._network(*map(self._tensor, (state, questions, bases))).numpy()
        return answers

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._type)
