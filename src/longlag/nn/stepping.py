"""One step at a time, for streams, with little between Python and the kernel.

Asking a tensor something takes PyTorch 50 to 100 ns and making one takes 700. So a state that the last step returned is
not looked at again, weights only when one of them has moved, and a step in place makes no tensor at all.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from longlag.nn.sizes import LayerSizes
from longlag.ops import select
from longlag.ops.engine import COMMON_FIELDS
from longlag.ops.paths import FULL
from longlag.ops.plain_tensors import is_plain

__all__ = ["Stepper"]

_address = Tensor.data_ptr
_increment_version = torch._C._increment_version  # torch.autograd.graph's, which looks at its argument first
_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "weight_peephole", "weight_hr", "bias_hh")


class _Place(NamedTuple):
    """A state, the last layer's output in it, where its tensors start, and every layer's addresses."""

    output: Tensor
    state: tuple[Tensor, ...]
    starts: list[int]
    addresses: list[tuple[int, int, int]]


class _Layer(NamedTuple):
    """A layer's kernel, its weights' names in ``_WEIGHTS``' order, and the bytes before it in each state tensor."""

    run: Callable[..., None]
    names: list[str | None]
    offset: tuple[int, int, int]


class Stepper:
    """Steps of layers of known sizes on the CPU kernels, without autograd, for inputs of one shape at a time."""

    def __init__(self, sizes: LayerSizes, backend: str) -> None:
        self.sizes, self.backend = sizes, backend
        self.shape: torch.Size | None = None  # of the inputs that all below is made for
        self.layers: list[_Layer] = []
        self.names: list[str] = []  # of all weights
        self.weight_shapes: dict[str, tuple[int, ...]] = {}
        self.weights: list[Tensor | None] = []  # when they were last looked at
        self.weight_addresses: list[int] = []
        self.calls: list[tuple[Callable[..., None], tuple[int, ...], int]] = []  # kernel, weights, second bias
        self.last: _Place | None = None

    def step(
        self, parameters: Mapping[str, Tensor | None], x: Tensor, state: tuple[Tensor, ...], inplace: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """Return the output and the next state; None where the kernels cannot take the step, and ``forward`` has to.

        ``parameters`` are the layer's own, by name. A parametrised weight is not among them.
        """
        if (x.shape != self.shape or x.dtype is not self.dtype) and not self._prepare(x):
            return None
        if not (x.is_contiguous() and x.is_cpu) or x.is_neg():
            return None
        source = x.data_ptr()
        if not source or source % self.number_size:
            return None
        try:
            weights = self.select(parameters)
            addresses = list(map(_address, weights))
        except (KeyError, RuntimeError):  # a parametrised weight, or a sparse one
            return None
        moved = addresses != self.weight_addresses or any(map(operator.is_not, weights, self.weights))
        if moved and not self._inspect(weights, addresses):
            return None
        before = self.last
        if before is None or state is not before.state or list(map(_address, state)) != before.starts:
            if not isinstance(state, (tuple, list)) or not self._fits(state):  # not what the last step returned
                return None
            before = self._place(tuple(state))
        after = before if inplace else self._place(tuple(map(torch.empty_like, state)))
        for number, (run, first, second) in enumerate(self.calls):
            final = after.addresses[number]
            run(self.samples, source, first, second, before.addresses[number], final)
            source = final[0]
        if inplace and not torch.is_inference_mode_enabled():
            _increment_version(state)  # autograd notices if it has saved the numbers of before
        self.last = after
        return after.output, after.state

    def _prepare(self, x: Tensor) -> bool:
        """Make kernels, shapes and places for inputs like this one; False where the kernels do not take it."""
        sizes, native = self.sizes, select.native
        if (
            native is None
            or not select.is_native(self.backend)
            or sizes.num_directions > 1
            or sizes.cell.beyond(COMMON_FIELDS)
            or sizes.cell.biases == "gates"
            or sizes.learn_sharpness  # its kernel would read weights that no slope has multiplied yet
            or x.dim() not in (1, 2)
            or x.shape[-1] != sizes.input_size
            or not x.numel()
            or not select.kernels_run(sizes.cell, x)
        ):
            return False
        batch, count, widths = x.shape[:-1], sizes.num_layers, sizes.state_widths
        self.samples = batch[0] if batch else 1
        self.state_shapes = [torch.Size((count, *batch, width)) for width in widths]
        lengths = [self.samples * width * x.element_size() for width in widths] + [0] * (3 - len(widths))
        self.layers, self.weight_shapes = [], sizes.all_shapes()
        for number in range(count):
            kernel = native.kernel(sizes.cell, FULL, sizes.features(number), sizes.hidden_size, sizes.proj_size)
            names = [f"{name}_l{number}" for name in _WEIGHTS]
            self.layers.append(
                _Layer(
                    kernel.step64 if x.dtype == torch.float64 else kernel.step32,
                    [name if name in self.weight_shapes else None for name in names],
                    (number * lengths[0], number * lengths[1], number * lengths[2]),
                )
            )
        self.names = [name for layer in self.layers for name in layer.names if name is not None]
        self.select = operator.itemgetter(*self.names)
        self.offsets = [layer.offset for layer in self.layers]
        self.shape, self.dtype, self.number_size = x.shape, x.dtype, x.element_size()
        self.weight_addresses, self.last = [], None
        return True

    def _place(self, state: tuple[Tensor, ...]) -> _Place:
        starts = list(map(_address, state))
        output, cells, gates = [*starts, 0][:3]
        addresses = [(output + a, cells + b, gates + c) for a, b, c in self.offsets]
        return _Place(state[0][-1], state, starts, addresses)

    def _fits(self, state: tuple[Tensor, ...]) -> bool:
        return len(state) == len(self.state_shapes) and all(
            isinstance(part, Tensor)
            and is_plain(part)
            and part.shape == shape
            and part.dtype is self.dtype
            and part.is_contiguous()
            and part.is_cpu
            for part, shape in zip(state, self.state_shapes, strict=True)
        )

    def _inspect(self, weights: list[Tensor | None], addresses: list[int]) -> bool:
        """Return whether a kernel can read the weights, which are others or have moved; if so, note where they are."""
        for name, weight in zip(self.names, weights, strict=True):
            if weight is None or not is_plain(weight) or weight.dtype is not self.dtype:
                return False
            if not (weight.is_contiguous() and weight.is_cpu) or weight.shape != self.weight_shapes[name]:
                return False
        at = dict(zip(self.names, addresses, strict=True))
        self.calls = []
        for layer in self.layers:
            *first, second = (0 if name is None else at[name] for name in layer.names)
            self.calls.append((layer.run, tuple(first), second))
        self.weights, self.weight_addresses = weights, addresses
        return True
