"""The contract between a layer and the engines that compute it: what an engine is asked, and what it can refuse.

An engine names what it implements, refuses the rest with a reason, and runs one ``LayerCall``. ``ops/select.py`` holds
the engines and chooses among them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.common_fields import COMMON_FIELDS
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL, GradientPaths

__all__ = ["COMMON_FIELDS", "CallOptions", "Engine", "ForwardCache", "LayerCall", "Recording", "Request", "Wish"]

Wish = Literal["checkpoints", "forward_cache", "per_sample", "truncated"]
"""What a call may want beside its results.

"checkpoints": bounded memory by the engine's own means (the others run under ``ops/checkpointing.py``);
"forward_cache": no forward pass computed twice; "per_sample": gradients of weights sample by sample;
"truncated": gradient paths other than ``FULL``.
"""

# ---------------------------------------------------------------- what is asked of an engine


@dataclass
class Recording:
    """What a call of a layer or network writes down beside its answers, in the order in which it is computed.

    layers : y_t of each layer and direction, lower layers first, (T', B, O): T' the steps of the longest sequence,
    zero beyond a length, before dropout; readout_inputs, readout_nets : what a network's output units read, and their
    net inputs.
    """

    layers: list[Tensor] = field(default_factory=list)
    readout_inputs: list[Tensor] = field(default_factory=list)
    readout_nets: list[Tensor] = field(default_factory=list)


class ForwardCache:
    """The results of the forward passes of some layer calls, tapes included, in their order.

    Whoever repeats the calls calls ``rewind`` before, and repeats them as they were: same order, inputs and weights.
    """

    def __init__(self) -> None:
        self._passes: list[tuple[Tensor, ...]] = []
        self._place = 0

    def rewind(self) -> None:
        """Go back: the next call is the first one again."""
        self._place = 0

    def next(self, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the results of the next call, computed if it is the first time."""
        if self._place == len(self._passes):
            self._passes.append(compute())
        self._place += 1
        # Detached: to autograd the results of a function are new tensors, which no earlier call has a hold on.
        return tuple(tensor.detach() for tensor in self._passes[self._place - 1])


class CallOptions(NamedTuple):
    """What one call of a layer wants beside its results. All of it is off by default.

    engine : the engine for this call, instead of the layer's ``backend``.
    checkpoint_every : steps between checkpoints, for bounded memory; 0: the engine keeps what it likes.
    training : whether cells that draw random numbers draw them; None: as the module's ``training`` says.
    generator : what they draw from; None: PyTorch's global one.
    per_sample : a list to which each backward pass appends, for every weight tensor that a layer took, the pair of that
        tensor and its gradient sample by sample, (B, ...). Autograd then gets none for the weights.
    forward_cache : where forward passes are kept, so that the same calls need not compute them again.
    recording : where layers and output units write down what they compute.
    """

    engine: str | None = None
    checkpoint_every: int = 0
    training: bool | None = None
    generator: torch.Generator | None = None
    per_sample: list[tuple[Tensor, Tensor]] | None = None
    forward_cache: ForwardCache | None = None
    recording: Recording | None = None


class LayerCall(NamedTuple):
    """One layer in one direction over whole sequences.

    spec, weights : the cell, and its parameters; inputs : (T, B, I); state : that before step 0; lengths : (B,) int64,
    or None where every sequence has T steps; paths : those by which the error returns; options : what else is wanted;
    extra : the parameters named by ``CellSpec.extra_shapes``.
    """

    spec: CellSpec
    weights: Weights
    inputs: Tensor
    state: State
    lengths: Tensor | None
    paths: GradientPaths = FULL
    options: CallOptions = CallOptions()
    extra: Mapping[str, Tensor] = {}


class Request(NamedTuple):
    """What a choice among engines depends on, for all layers of one call at once.

    inputs : (T, B, I) of the lowest layer; tensors : states and weights, looked at only where they matter.
    """

    spec: CellSpec
    paths: GradientPaths
    inputs: Tensor
    hidden_size: int
    tensors: Iterable[Tensor] = ()
    options: CallOptions = CallOptions()


# ---------------------------------------------------------------- what an engine is


class Engine(ABC):
    """One way to compute a layer and its gradient.

    Attributes
    ----------
    name : the ``backend`` that asks for it.
    fields : the fields of ``CellSpec`` that it implements. A cell that needs another one is refused by itself.
    devices, dtypes : what it computes on and in; None: whatever PyTorch can.
    numbers : both in words, for messages: "float32 and float64 on the CPU".
    wishes : what it can do beside results.
    """

    name: str
    fields: frozenset[str]
    devices: frozenset[str] | None = None
    dtypes: frozenset[torch.dtype] | None = None
    numbers: str = ""
    wishes: frozenset[Wish] = frozenset()

    def refuses_cell(self, spec: CellSpec, paths: GradientPaths) -> str | None:
        """Return why it cannot compute this cell with this gradient, as words after its name; None if it can."""
        if not spec.departures <= self.fields:
            return f"does not implement {spec.beyond(self.fields)}"
        if paths is not FULL and paths != FULL and "truncated" not in self.wishes:
            return "computes the full gradient only"
        return None

    def takes(self, tensor: Tensor) -> bool:
        """Return whether it computes on the device and in the number type of ``tensor``."""
        return (self.devices is None or tensor.device.type in self.devices) and (
            self.dtypes is None or tensor.dtype in self.dtypes
        )

    def refuses(self, request: Request) -> str | None:
        """Return why it cannot run this, as words after its name; None if it can."""
        spec, paths, inputs, options = request.spec, request.paths, request.inputs, request.options
        # Asked here first, since this runs at every call of a layer: ``refuses_cell`` costs a call more.
        if not spec.departures <= self.fields or (paths is not FULL and "truncated" not in self.wishes):
            reason = self.refuses_cell(spec, paths)
            if reason is not None:
                return reason
        if not self.takes(inputs):
            return f"runs {self.numbers}; the input is {inputs.dtype} on {inputs.device}"
        if options.per_sample is not None and "per_sample" not in self.wishes:
            return "gives no gradients sample by sample"
        if options.forward_cache is not None and "forward_cache" not in self.wishes:
            return "cannot reuse a forward pass"
        return None

    @abstractmethod
    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        """Return outputs (T, B, O), and the state after each sequence's last step.

        Beyond a sequence's length its outputs are zero and its state stands still.
        """
