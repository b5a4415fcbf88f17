"""The network by PyTorch, where the CPU kernels are not built."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from longlag.pretrained.network import ZeroShotNetwork
from longlag.pretrained.weights import Weights

__all__ = ["TorchNetwork", "torch_network"]

Array = NDArray[np.float32]


def torch_network(weights: Weights) -> ZeroShotNetwork:
    """The network with these weights, to learn on or to answer."""
    settings = weights.settings
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
    """A ``ZeroShotNetwork`` that answers for arrays, as ``KernelNetwork`` does."""

    def __init__(self, weights: Weights) -> None:
        self._network = torch_network(weights).float()

    @torch.inference_mode()
    def read(self, inputs: Array, lengths: NDArray[np.int64]) -> Array:
        """As ``KernelNetwork.read``."""
        states = self._network.read(torch.from_numpy(inputs).transpose(0, 1))
        last = states[torch.from_numpy(lengths - 1), torch.arange(len(lengths))]
        return last.numpy()

    @torch.inference_mode()
    def answer(self, state: Array, questions: Array, bases: Array) -> Array:
        """As ``KernelNetwork.answer``."""
        arrays = (torch.from_numpy(np.ascontiguousarray(part)) for part in (state, questions, bases))
        answers: Array = self._network(*arrays).numpy()
        return answers
