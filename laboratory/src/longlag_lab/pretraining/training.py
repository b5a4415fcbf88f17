"""The training: weights, their running average and the optimiser, one update after the other."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from longlag.errors import CheckpointError, DivergenceError
from longlag.training.torch_optimizers import pack, unpack
from longlag_lab.pretraining.gradients import Gradient
from longlag_lab.pretraining.settings import PretrainingSettings

__all__ = ["Training"]

_SMOOTHING = 0.99


class Training:
    """A network that is being taught.

    Attributes
    ----------
    network, average : ZeroShotNetwork
        The weights, and their exponential running average, which is what is used in the end.
    updates : int
        Updates made.
    loss : float
        The running mean of the loss, as a person follows it.
    """

    def __init__(self, settings: PretrainingSettings) -> None:
        self.settings = settings
        self.network = settings.network()
        self.average = copy.deepcopy(self.network)
        self.average.requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            betas=(settings.first_moment, settings.second_moment),
            weight_decay=settings.weight_decay,
        )
        self.updates, self.loss = 0, math.nan

    def update(self, gradient: Gradient) -> None:
        """Make one update. DivergenceError if the loss is not finite."""
        if not math.isfinite(gradient.loss):
            raise DivergenceError(
                f"pretraining diverged: the loss stopped being finite at update {self.updates}; a smaller learning "
                "rate may help"
            )
        parameters = list(self.network.parameters())
        for parameter, part in zip(parameters, gradient.parts, strict=True):
            parameter.grad = part
        torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate(self.updates)
        self._optimizer.step()
        share = 1.0 - self.settings.average_kept(self.updates)
        with torch.no_grad():
            for average, parameter in zip(self.average.parameters(), parameters, strict=True):
                average.lerp_(parameter, share)
        first = self.updates == 0
        self.loss = gradient.loss if first else _SMOOTHING * self.loss + (1.0 - _SMOOTHING) * gradient.loss
        self.updates += 1

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return everything that an update changes, but for two numbers, by file and name."""
        return {
            "network.safetensors": dict(self.network.state_dict()),
            "average.safetensors": dict(self.average.state_dict()),
            "optimizer.safetensors": pack(self._optimizer),
        }

    def restore(self, files: Mapping[str, Mapping[str, Tensor]], updates: int, loss: float) -> None:
        """Become the training that ``tensors`` was asked of. CheckpointError if the tensors are not of such a one."""
        try:
            self.network.load_state_dict(dict(files["network.safetensors"]))
            self.average.load_state_dict(dict(files["average.safetensors"]))
            unpack(self._optimizer, files["optimizer.safetensors"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint is not of this network: {error}") from error
        self.updates, self.loss = updates, loss
