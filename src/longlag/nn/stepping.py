"""One step at a time, for streams, with little between Python and the kernel.

Asking a tensor something takes PyTorch 50 to 100 ns and making one takes 700. So a state that the last step returned is
not looked at again, weights only when one of them has moved, and a step in place makes no tensor at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from longlag.ops import select
from longlag.ops.paths import FULL

if TYPE_CHECKING:
    from longlag.nn.lstm import LSTM

__all__ = ["Stepper"]

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
    """The steps of one LSTM on the CPU kernels, without autograd, for inputs of one shape at a time."""

    def __init__(self, lstm: LSTM, widths: list[int]) -> None:
        self.lstm, self.widths = lstm, widths
        self.shape: torch.Size | None = None  # of the inputs that all below is made for
        self.layers: list[_Layer] = []
        self.names: list[str] = []  # of all weights
        self.weight_shapes: dict[str, tuple[int, ...]] = {}
        self.found: list[int] = []  # their addresses when they were last looked at
        self.calls: list[tuple[Callable[..., None], tuple[int, ...], int]] = []  # kernel, weights, second bias
        self.last: _Place | None = None

    def step(self, x: Tensor, state: tuple[Tensor, ...], inplace: bool) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """The output and the next state; None where this is not for the kernels, and ``forward`` has to do it."""
        if (x.shape != self.shape or x.dtype is not self.dtype) and not self._prepare(x):
            return None
        if not (x.is_contiguous() and x.is_cpu):
            return None
        own = self.lstm._parameters
        try:
            found = [own[name].data_ptr() for name in self.names]  # type: ignore[union-attr]
        except KeyError:  # a parametrised weight is not among the parameters
            return None
        if found != self.found and not self._inspect(found):
            return None
        state, before = tuple(state), self.last
        if before is None or state is not before.state or [part.data_ptr() for part in state] != before.starts:
            if not self._fits(state):  # not what the last step returned
                return None
            before = self._place(state)
        after = before if inplace else self._place(tuple([torch.empty_like(part) for part in state]))
        source = x.data_ptr()
        for (run, weights, second), start, final in zip(self.calls, before.addresses, after.addresses, strict=True):
            run(self.samples, source, weights, second, start, final)
            source = final[0]
        if inplace and not torch.is_inference_mode_enabled():
            increment_version(state)  # autograd finds out if it has kept what is no longer there
        self.last = after
        return after.output, after.state

    def _prepare(self, x: Tensor) -> bool:
        """Kernels, shapes and places for inputs like this one."""
        lstm, native = self.lstm, select.native
        if (
            native is None
            or not select.is_native(lstm.backend)
            or lstm.bidirectional
            or lstm.cell.biases == "gates"
            or lstm.learn_sharpness  # its kernel would read weights that no slope has multiplied yet
            or x.dim() not in (1, 2)
            or x.shape[-1] != lstm.input_size
            or not x.numel()
            or not native.can_run(x)
        ):
            return False
        batch, count = x.shape[:-1], lstm.num_layers
        self.samples = batch[0] if batch else 1
        self.state_shapes = [torch.Size((count, *batch, width)) for width in self.widths]
        sizes = [self.samples * width * x.element_size() for width in self.widths] + [0] * (3 - len(self.widths))
        self.layers, self.weight_shapes = [], {}
        for number in range(count):
            there = lstm.layer_shapes(number)
            self.weight_shapes |= {f"{name}_l{number}": shape for name, shape in there.items()}
            features = lstm.input_size if number == 0 else lstm.output_size
            kernel = native.kernel(lstm.cell, FULL, features, lstm.hidden_size, lstm.proj_size)
            self.layers.append(
                _Layer(
                    kernel.step64 if x.dtype == torch.float64 else kernel.step32,
                    [f"{name}_l{number}" if name in there else None for name in _WEIGHTS],
                    (number * sizes[0], number * sizes[1], number * sizes[2]),
                )
            )
        self.names = [name for layer in self.layers for name in layer.names if name is not None]
        self.shape, self.dtype = x.shape, x.dtype
        self.found, self.last = [], None
        return True

    def _place(self, state: tuple[Tensor, ...]) -> _Place:
        starts = [part.data_ptr() for part in state]
        output, cells, gates = [*starts, 0][:3]
        addresses = [(output + a, cells + b, gates + c) for a, b, c in (layer.offset for layer in self.layers)]
        return _Place(state[0][-1], state, starts, addresses)

    def _fits(self, state: tuple[Tensor, ...]) -> bool:
        return len(state) == len(self.state_shapes) and all(
            part.shape == shape and part.dtype is self.dtype and part.is_contiguous() and part.is_cpu
            for part, shape in zip(state, self.state_shapes, strict=True)
        )

    def _inspect(self, found: list[int]) -> bool:
        """Whether weights that have moved are still what a kernel can read."""
        own = self.lstm._parameters
        for name in self.names:
            weight = own[name]
            if weight is None or weight.dtype is not self.dtype or not (weight.is_contiguous() and weight.is_cpu):
                return False
            if weight.shape != self.weight_shapes[name]:
                return False
        at = dict(zip(self.names, found, strict=True))
        self.calls = []
        for layer in self.layers:
            *first, second = (0 if name is None else at[name] for name in layer.names)
            self.calls.append((layer.run, tuple(first), second))
        self.found = found
        return True
