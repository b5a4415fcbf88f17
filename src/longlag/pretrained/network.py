"""The network: an LSTM that reads a series, and a small head that answers for any step ahead."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from longlag.cell import CellSpec
from longlag.nn.lstm import LSTM
from longlag.pretrained.features import BASES, INPUTS, QUERY
from longlag.pretrained.levels import LEVELS

__all__ = ["LEVELS", "ZeroShotNetwork"]

_MIDDLE = len(LEVELS) // 2


class ZeroShotNetwork(nn.Module):
    """A network that answers with quantiles of values ahead, in the unit of the last step, relative to its level.

    The LSTM layers read a series step by step; each also reads the inputs. A head of two layers is asked about any step
    ahead: it answers with shares of simple forecasts, a correction, and distances between quantiles, which are
    positive, so that quantiles cannot cross.

    Parameters
    ----------
    hidden_size, num_layers : int
        Memory cells of a layer, and layers.
    head_size : int
        Units of the head.
    cell : CellSpec or None
        Any memory cell; that of ``torch.nn.LSTM`` unless told.
    learn_sharpness : bool
        Whether the slope of the gates is learned.
    """

    def __init__(
        self,
        hidden_size: int = 128,
        num_layers: int = 2,
        head_size: int = 64,
        *,
        cell: CellSpec | None = None,
        learn_sharpness: bool = False,
    ) -> None:
        super().__init__()
        self.lstms = nn.ModuleList(
            LSTM(INPUTS + hidden_size * (layer > 0), hidden_size, cell=cell, learn_sharpness=learn_sharpness)
            for layer in range(num_layers)
        )
        self.state = nn.Linear(hidden_size * num_layers + INPUTS, head_size)
        self.question = nn.Linear(QUERY, head_size, bias=False)
        self.inner = nn.Linear(head_size, head_size)
        self.answer = nn.Linear(head_size, BASES + 1 + len(LEVELS) - 1)

    def read(self, inputs: Tensor) -> Tensor:
        """Return the states (T, B, head) after each step of inputs (T, B, INPUTS)."""
        outputs, x = [inputs], inputs
        for lstm in self.lstms:
            y, _ = lstm(x)
            outputs.append(y)
            x = torch.cat([inputs, y], dim=-1)
        return torch.cat(outputs, dim=-1)

    def forward(self, state: Tensor, questions: Tensor, bases: Tensor) -> Tensor:
        """Return quantiles (n, H, Q) from states (n, S), questions (n, H, QUERY) and simple forecasts (n, H, BASES)."""
        x = nn.functional.silu(self.state(state)[:, None] + self.question(questions))
        x = x + nn.functional.silu(self.inner(x))
        out = self.answer(x)
        shares = torch.softmax(out[..., :BASES], dim=-1)
        rounds = questions[..., BASES + 6, None].exp()  # 1 + h / season
        size = rounds.sqrt()
        middle = (shares * bases).sum(-1, keepdim=True) + size * out[..., BASES, None]
        widths = size * nn.functional.softplus(out[..., BASES + 1 :] - 1.0)
        low = middle - widths[..., :_MIDDLE].flip(-1).cumsum(-1).flip(-1)
        high = middle + widths[..., _MIDDLE:].cumsum(-1)
        return torch.cat([low, middle, high], dim=-1)
