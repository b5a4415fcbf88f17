"""A GPU in pretence: tensors that say they are on "cuda" and are computed on the CPU.

An operation that meets tensors of both devices fails as on a GPU, except where a GPU allows it: numbers without
dimensions, indices, and copies from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
aten = torch.ops.aten
_COPIES = (aten._to_copy.default, aten.copy_.default)
_INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)


class OnGPU(Tensor):
    """A tensor that says that it is on the GPU. To PyTorch built without CUDA it is a meta tensor."""

    held: Tensor
    device = property(lambda self: CUDA)  # type: ignore[assignment]
    is_meta = property(lambda self: False)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGPU:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device("meta"),
        )
        made.held = held
        return made  # type: ignore[no-any-return]

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGPU({self.held!r})"

    def tolist(self) -> Any:
        return self.held.tolist()

    def new_tensor(self, values: Any) -> Tensor:  # type: ignore[override]
        return OnGPU(self.held.new_tensor(values))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    there = any(isinstance(value, OnGPU) for value in tensors)
    if there and func not in _COPIES and func not in _INDEXED:
        strays = [value for value in tensors if not isinstance(value, OnGPU) and value.dim()]
        assert not strays, f"{func} meets tensors of both devices: {[tuple(value.shape) for value in strays]}"
    wanted = kwargs.get("device")
    if wanted is not None:
        there = torch.device(wanted).type != "cpu"  # autograd asks for zeros on the meta device
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if func is aten.copy_.default:
        there = isinstance(args[0], OnGPU)
    real = func(*tree_map(_real, args), **tree_map(_real, kwargs))
    if func._schema.name.endswith("_") and isinstance(args[0], Tensor):  # in place
        return args[0]
    return tree_map(lambda value: OnGPU(value) if there and isinstance(value, Tensor) else value, real)


def _real(value: Any) -> Any:
    return value.held if isinstance(value, OnGPU) else value


class _Everywhere(TorchDispatchMode):
    """Makes tensors on the GPU where they are asked for there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """While the block runs there is one GPU, whose random numbers are those of the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        patch.setattr(torch.cuda, "current_device", lambda: 0)
        patch.setattr(torch.cuda, "get_rng_state", lambda device=None: torch.get_rng_state())
        patch.setattr(torch.cuda, "set_rng_state", lambda state, device=None: torch.set_rng_state(state))
        with _Everywhere():
            yield
