"""The engine "triton", as the choice among engines sees it. Loads Triton when it is first asked whether it can run."""

from __future__ import annotations

import importlib
from types import ModuleType

from torch import Tensor

from longlag.ops.engine import COMMON_FIELDS, Engine, LayerCall, Request
from longlag.ops.layer import State
from longlag.ops.triton.crossover import DTYPES

__all__ = ["TritonEngine"]


class TritonEngine(Engine):
    """The GPU kernels. Triton takes a while to load, and most never use it."""

    name = "triton"
    fields = COMMON_FIELDS
    dtypes, numbers = frozenset(DTYPES), "float32, float64, bfloat16, float16 on CUDA"
    wishes = frozenset({"truncated"})

    def takes(self, tensor: Tensor) -> bool:
        return bool(_layer().can_run(tensor))

    def refuses(self, request: Request) -> str | None:
        return super().refuses(request) or _layer().obstacle(request.inputs) or None

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        results: tuple[Tensor, State] = _layer().layer(call)
        return results


def _layer() -> ModuleType:
    return importlib.import_module("longlag.ops.triton.layer")
