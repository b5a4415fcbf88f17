"""Which engine runs a layer. It says so when asked, and it never falls back in silence."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops import aten, bptt, reference
from longlag.ops.layer import Layer
from longlag.ops.paths import ErrorPaths

__all__ = ["ENGINES", "backend_for", "check_backend", "native_status"]

ENGINES: dict[str, Layer] = {"reference": reference.layer, "bptt": bptt.layer, "torch": aten.layer}
"""By name: the definition under autograd; the hand-derived backward pass; PyTorch's fused kernels (plain cell only)."""


def check_backend(backend: str, spec: CellSpec, paths: ErrorPaths) -> None:
    """Refuse a backend that does not exist, or cannot do what is asked of it."""
    if backend != "auto" and backend not in ENGINES:
        raise InputError(f"backend is {backend!r}; expected one of auto, {', '.join(ENGINES)}")
    if backend == "torch" and not aten.can_run(spec, paths):
        raise InputError(
            "backend 'torch' runs the default cell with the full gradient only; "
            "expected backend 'auto', 'bptt' or 'reference' for this one"
        )


def backend_for(backend: str, spec: CellSpec, paths: ErrorPaths, *tensors: Tensor) -> str:
    """The engine that will run: ``backend`` itself, or for "auto" the fastest that can do what is being asked.

    "auto" takes "torch" for the plain cell and "bptt" for every other, except where PyTorch must see each operation:
    while compiling or exporting, inside torch.func transforms, and for forward-mode derivatives. There it takes
    "reference".
    """
    if backend != "auto":
        return backend
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return "reference"
    if any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        return "reference"
    return "torch" if aten.can_run(spec, paths) else "bptt"


def native_status() -> str:
    """What the compiled extension offers on this machine, or how to get it. One sentence for people."""
    try:
        native = importlib.import_module("longlag._native")
    except ModuleNotFoundError:
        return "not built, so all runs in PyTorch; to build it, install a C++17 compiler and reinstall longlag"
    except ImportError as error:
        return f"built, but it does not load ({error}); every computation runs in PyTorch; reinstall longlag"
    return "built; instruction sets: " + ", ".join(native.instruction_sets())
