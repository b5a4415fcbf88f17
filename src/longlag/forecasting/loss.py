"""The loss of a forecast: pinball errors of several quantiles of every step ahead, where there is a truth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from longlag.nn.losses import QuantileLoss

__all__ = ["HorizonQuantiles"]


class HorizonQuantiles(QuantileLoss):
    """Pinball loss of quantiles of the next H values (Koenker & Bassett 1978), averaged over those that are known.

    Targets (..., 2 H): the values, then 1 where a value is known and 0 where it is not. Outputs (..., H Q): for each
    step ahead its Q quantiles.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        super().__init__(quantiles, "mean")

    def outputs_for(self, targets: int) -> int:
        return super().outputs_for(targets // 2)

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.check(outputs, targets)
        values, known = targets.chunk(2, dim=-1)
        levels = outputs.new_tensor(self.quantiles)
        short = values[..., None] - outputs.unflatten(-1, (-1, len(self.quantiles)))  # > 0: the quantile is too low
        pinball = torch.maximum(levels * short, (levels - 1.0) * short).sum(-1)
        return (pinball * known).sum(-1) / known.sum(-1).clamp(min=1.0)
