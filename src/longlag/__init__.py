"""longlag: LSTM networks for sequences whose causes and effects lie far apart."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from longlag.registration import register_with_torch

if TYPE_CHECKING:
    from longlag.cell import CellSpec
    from longlag.data.sequences import SequenceBatch
    from longlag.nn.lstm import LSTM
    from longlag.nn.network import Network
    from longlag.online.growth import Growth
    from longlag.online.learner import OnlineLSTM

__all__ = ["LSTM", "CellSpec", "Growth", "Network", "OnlineLSTM", "SequenceBatch"]

_HOME = {
    "CellSpec": "cell",
    "Growth": "online.growth",
    "LSTM": "nn.lstm",
    "Network": "nn.network",
    "OnlineLSTM": "online.learner",
    "SequenceBatch": "data.sequences",
}
_PARTS = (
    "cell",
    "data",
    "diagnostics",
    "distributed",
    "errors",
    "estimators",
    "forecasting",
    "gradients",
    "io",
    "nn",
    "online",
    "ops",
    "optim",
    "panels",
    "pretrained",
    "synthetic",
    "tables",
    "tasks",
    "training",
)


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is first asked for: ``longlag --help`` need not wait for PyTorch."""
    if name in _HOME:
        value = getattr(importlib.import_module(f"longlag.{_HOME[name]}"), name)
    elif name in _PARTS:
        value = importlib.import_module(f"longlag.{name}")
    else:
        raise AttributeError(f"module 'longlag' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PARTS})


register_with_torch()
