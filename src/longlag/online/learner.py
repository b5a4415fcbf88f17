"""OnlineLSTM: learns while it reads, in memory that does not depend on how long the stream is."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from longlag.cell import CellSpec, Squash
from longlag.errors import DivergenceError, InputError
from longlag.online import select
from longlag.online.generator import generator_state, set_generator
from longlag.online.growth import ErrorWatch, Growth, widen
from longlag.online.initial import first_weights
from longlag.online.streams import Stream, Update
from longlag.online.topology import Loss, Reads, Topology

__all__ = ["OnlineLSTM"]

_DIVERGED = "an answer is not finite; nothing was learned from it. Expected a smaller learning_rate"


class OnlineLSTM:
    """Memory-cell blocks that learn online by the truncated rule in forward mode (1997 paper, sections 4, A.1).

    One step costs O(W) operations, and memory is O(W): one trace for each weight into a cell, an input gate or a forget
    gate, whatever the length of the stream. Predict, score, then learn::

        for x, y in stream:
            score(y, net.predict_one(x))
            net.learn_one(x, y)
        net.learn_one(x)      # no target here: read on
        net.reset()           # a new sequence begins

    Parameters
    ----------
    input_size, output_size : int
    blocks : int
        Memory-cell blocks; each has ``cell.cells_per_block`` cells. 0 needs ``reads="cells+inputs"``, and ``growth``.
    cell : CellSpec
        Any cell. The default is the 1997 one.
    learning_rate : float
    update : {"step", "sequence"}
        Weights change at each target, or by the sum of all changes when ``reset`` ends the sequence.
    networks : int, optional
        So many independent networks, each with its own weights and stream; every input, target and answer then has a
        leading dimension of that size. Small ones share vectors: 16 cost little more than one.
    symbols : bool
        Inputs are symbols 0..input_size-1 instead of vectors: the one-hot vectors they stand for cost nothing.
    reads : {"cells", "cells+inputs"}
        What output units read.
    output_activation : str
        Squashing of the output units.
    loss : {"squared", "cross_entropy"}
        Half the squared error, or (logistic outputs) the cross entropy.
    bias, output_bias : bool
        Biases of hidden and of output units.
    interval : float
        Weights start uniform in [-interval, interval].
    input_gate_bias, forget_gate_bias, output_gate_bias : sequence of float, optional
        First biases, one per block. None: random as all others; a forget gate starts at 1.
    growth : Growth, optional
        Add blocks when the error stops decreasing.
    dtype : torch.float32 or torch.float64
    seed : int
        The same seed gives the same bits.
    backend : {"auto", "native", "reference"}
        The compiled kernels, or plain PyTorch. ``net.backend`` says which one runs.

    Raises
    ------
    InputError
        If an option means nothing, or an input is not usable (size, type, NaN, unknown symbol, a target for an input
        that was not predicted): then weights and states are what they were.
    DivergenceError
        If an answer is not finite; nothing is learned from it.
    """

    _predicted: NDArray[Any] | None = None

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        blocks: int = 1,
        cell: CellSpec | None = None,
        learning_rate: float = 0.1,
        update: Update = "step",
        networks: int | None = None,
        symbols: bool = False,
        reads: Reads = "cells",
        output_activation: Squash = "identity",
        loss: Loss = "squared",
        bias: bool = True,
        output_bias: bool = True,
        interval: float = 0.1,
        input_gate_bias: Sequence[float] | None = None,
        forget_gate_bias: Sequence[float] | None = None,
        output_gate_bias: Sequence[float] | None = None,
        growth: Growth | None = None,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        backend: str = "auto",
    ) -> None:
        cell = CellSpec.hochreiter1997() if cell is None else cell
        for name, value, least in (("blocks", blocks, 0), ("networks", networks, 1)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        if update not in ("step", "sequence"):
            raise InputError(f"update is {update!r}; expected 'step' or 'sequence'")
        if dtype not in (torch.float32, torch.float64):
            raise InputError(f"dtype is {dtype}; expected torch.float32 or torch.float64")
        if growth is not None and networks is not None:
            raise InputError("growth needs networks=None: networks that share vectors have one shape")
        if growth is not None and growth.max_blocks < max(blocks, 1):
            raise InputError(f"growth stops at {growth.max_blocks} blocks; expected at least {max(blocks, 1)}")
        if not np.isfinite(interval) or interval < 0:
            raise InputError(f"interval is {interval!r}; expected a number of at least 0")
        self._topology = Topology(
            input_size=input_size,
            output_size=output_size,
            hidden_size=blocks * cell.cells_per_block,
            cell=cell,
            symbols=symbols,
            reads=reads,
            output_activation=output_activation,
            bias=bias,
            output_bias=output_bias,
            loss=loss,
        )
        self.learning_rate, self.update, self.networks, self.dtype = learning_rate, update, networks, dtype
        self.growth, self.interval, self.backend = growth, interval, select.engine_for(backend)
        self._check_rate()
        if forget_gate_bias is None and "f" in cell.gates and bias:
            forget_gate_bias = [1.0] * blocks
        biases = {"i": input_gate_bias, "f": forget_gate_bias, "o": output_gate_bias}
        self._rng = np.random.default_rng(seed)
        self._numpy = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        self._watch = None if growth is None else ErrorWatch(growth)
        self._build(first_weights(self._topology, self._rng, interval, biases) for _ in range(self._count))

    # -- one event at a time -------------------------------------------------------------------------------------------

    def predict_one(self, x: ArrayLike) -> Tensor:
        """The answer (output_size,) to ``x`` (input_size,), or to a symbol; the net is left as it was."""
        inputs = self._inputs(x)
        answers = self._engine.read([Stream(inputs=row) for row in inputs], learn=False, outputs=True, peek=True)
        self._predicted = inputs
        return self._stack([answer.outputs for answer in answers])

    def learn_one(self, x: ArrayLike, y: ArrayLike | None = None) -> OnlineLSTM:
        """Reads ``x``; with a target ``y`` (output_size,), or the symbol of the unit to be on, changes the weights.

        A target needs a prediction first: ``predict_one(x)`` of the same ``x``, which is what it is compared with.
        """
        self._check_rate()
        inputs = self._inputs(x)
        if y is None:
            self._engine.read([Stream(inputs=row) for row in inputs], update=self.update)
            self._predicted = None
            return self
        if self._predicted is None or not np.array_equal(self._predicted, inputs):
            raise InputError(
                "a target came for an x that was not predicted; expected predict_one(x) before learn_one(x, y)"
            )
        targets = self._targets(y)
        streams = [Stream(inputs=row, targets=goal) for row, goal in zip(inputs, targets, strict=True)]
        answers = self._engine.read(streams, learning_rate=self.learning_rate, update=self.update)
        self._predicted = None
        largest, mean = (np.array([getattr(answer, name) for answer in answers]) for name in ("largest", "mean"))
        if not np.isfinite(largest).all():
            raise DivergenceError(_DIVERGED)
        if (
            self._watch is not None
            and self._watch.stalls(float(mean.mean()))
            and self.blocks < self._watch.growth.max_blocks
        ):
            self.add_block()
        return self

    def reset(self) -> OnlineLSTM:
        """A new sequence begins: states and traces are zero. With ``update="sequence"`` the weights change now."""
        for network in range(self._count):
            if self.update == "sequence":
                weights = self._engine.take(network, list(self._topology.weight_shapes))
                changes = self._engine.take(network, list(weights), waiting=True)
                self._engine.put(network, {name: weights[name] + changes[name] for name in weights})
                self._engine.put(network, {name: np.zeros_like(weights[name]) for name in weights}, waiting=True)
            self._engine.put(network, _zeros(self._topology.state_shapes, self._numpy))
        self._predicted = None
        return self

    # -- many steps in one call ----------------------------------------------------------------------------------------

    def learn_many(self, xs: ArrayLike, ys: ArrayLike | None = None) -> Tensor:
        """Reads T steps ``xs`` (T, input_size), or T symbols, of the sequence that goes on, and learns at each of them.

        Predicts, then learns, step by step, at the kernels' speed. ``ys``: (T, output_size), or T symbols; None: read
        on. With several networks both have a leading dimension. Returns the predictions (T, output_size).
        """
        self._check_rate()
        inputs = self._inputs(xs, steps=True)
        targets = [None] * self._count if ys is None else self._targets(ys, len(inputs[0]))
        streams = [Stream(inputs=row, targets=goal) for row, goal in zip(inputs, targets, strict=True)]
        answers = self._engine.read(streams, learning_rate=self.learning_rate, update=self.update, outputs=True)
        self._predicted = None
        found = self._stack([answer.outputs for answer in answers], steps=True)
        if not torch.isfinite(found).all() or not all(np.isfinite(answer.largest).all() for answer in answers):
            raise DivergenceError(_DIVERGED)
        return found

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def blocks(self) -> int:
        """Memory-cell blocks."""
        return self.cell.blocks(self._topology.hidden_size)

    @property
    def cell(self) -> CellSpec:
        """The kind of memory cell."""
        return self._topology.cell

    @property
    def topology(self) -> Topology:
        """Sizes, cell and output units."""
        return self._topology

    def weight_count(self) -> int:
        """All trainable numbers of one network."""
        return self._topology.weight_count()

    def memory(self) -> int:
        """Bytes that weights, traces and states take."""
        return self._engine.memory()

    def add_block(self) -> OnlineLSTM:
        """One more block with random weights; everything learned, read and traced so far stays."""
        if self.networks is not None:
            raise InputError("add_block needs networks=None: networks that share vectors have one shape")
        held = self._engine.take(0)
        waits = self._engine.take(0, list(self._topology.weight_shapes), waiting=True)
        old = self._topology
        self._topology = replace(old, hidden_size=old.hidden_size + self.cell.cells_per_block)
        fresh = first_weights(self._topology, self._rng, self.interval, {"i": None, "f": None, "o": None})
        nothing = _zeros(self._topology.weight_shapes, self._numpy)
        past = _zeros(self._topology.state_shapes, self._numpy)
        self._build([widen(old, self._topology, held, fresh | past)])
        self._engine.put(0, widen(old, self._topology, waits, nothing), waiting=True)
        return self

    # -- saving --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a learner holds, as copies: load it and the same bits go on.

        ``weight_ih``, ``weight_hh``, ``bias``, ``weight_peephole``, ``readout.weight``, ``readout.bias`` (rows in the
        order i, f, g, o, u); behind ``state.`` activations, states and traces; behind ``waiting.`` the changes that
        wait for ``reset``; ``growth`` and ``generator``.
        """
        weights = list(self._topology.weight_shapes)
        found = self._collect(weights, waiting=False)
        found |= {f"state.{name}": value for name, value in self._collect(list(self._topology.state_shapes)).items()}
        if self.update == "sequence":
            found |= {f"waiting.{name}": value for name, value in self._collect(weights, waiting=True).items()}
        if self._watch is not None:
            found["growth"] = torch.from_numpy(self._watch.state.copy())
        found["generator"] = generator_state(self._rng)
        return found

    def load_state_dict(self, state: Mapping[str, Tensor]) -> OnlineLSTM:
        """Takes over a ``state_dict``; one without ``state.`` starts a new sequence.

        Raises InputError, and changes nothing, if a name is missing or unknown or a shape differs. A net that has
        grown is recognised by its shapes.
        """
        topology = self._grown_to(state)
        shapes = dict(topology.weight_shapes)
        optional = {f"state.{name}": shape for name, shape in topology.state_shapes.items()}
        if self.update == "sequence":
            optional |= {f"waiting.{name}": shape for name, shape in topology.weight_shapes.items()}
        lead = () if self.networks is None else (self.networks,)
        for name in shapes:
            if name not in state:
                raise InputError(f"the state has no {name!r}")
        arrays = {}
        for name, value in state.items():
            if name in ("growth", "generator"):
                continue
            shape = (shapes | optional).get(name)
            if shape is None:
                raise InputError(f"the state has {name!r}, which this learner has not")
            if tuple(value.shape) != (*lead, *shape):
                raise InputError(f"{name} has shape {tuple(value.shape)}; expected {(*lead, *shape)}")
            arrays[name] = value.detach().cpu().numpy().astype(self._numpy).reshape(self._count, *shape)
        self._topology = topology
        self._build({name: arrays[name][n] for name in shapes} for n in range(self._count))
        for n in range(self._count):
            for prefix in ("state.", "waiting."):
                held = {k.removeprefix(prefix): v[n] for k, v in arrays.items() if k.startswith(prefix)}
                self._engine.put(n, held, waiting=prefix == "waiting.")
        if "generator" in state:
            set_generator(self._rng, state["generator"])
        if self._watch is not None and "growth" in state:
            self._watch.state[:] = state["growth"].numpy()
        return self

    def _grown_to(self, state: Mapping[str, Tensor]) -> Topology:
        weight = state.get("readout.weight")
        if self.growth is None or weight is None:
            return self._topology
        fixed = self._topology.input_size if self._topology.reads == "cells+inputs" else 0
        hidden = weight.shape[-1] - fixed - self.cell.conventional_units
        return replace(self._topology, hidden_size=max(hidden, 0))

    def __getstate__(self) -> dict[str, Any]:
        held = {name: value for name, value in self.__dict__.items() if name != "_engine"}
        return held | {"_numbers": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        held = dict(state)
        numbers = held.pop("_numbers")
        self.__dict__.update(copy.copy(held))
        predicted = self._predicted
        self.load_state_dict(numbers)
        self._predicted = predicted

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _count(self) -> int:
        return 1 if self.networks is None else self.networks

    def _build(self, weights: Any) -> None:
        self._engine = select.engine(
            self._topology, self._count, wide=self.dtype == torch.float64, backend=self.backend
        )
        self._predicted = None
        for network, numbers in enumerate(weights):
            self._engine.put(network, {name: value.astype(self._numpy) for name, value in numbers.items()})

    def _collect(self, names: list[str], waiting: bool = False) -> dict[str, Tensor]:
        taken = [self._engine.take(n, names, waiting=waiting) for n in range(self._count)]
        if self.networks is None:
            return {name: torch.from_numpy(taken[0][name]) for name in names}
        return {name: torch.from_numpy(np.stack([numbers[name] for numbers in taken])) for name in names}

    def _stack(self, answers: list[Any], steps: bool = False) -> Tensor:
        found = np.stack([answer if steps else answer[0] for answer in answers])
        return torch.from_numpy(found[0] if self.networks is None else found)

    def _check_rate(self) -> None:
        if not np.isfinite(self.learning_rate) or self.learning_rate < 0:
            raise InputError(f"learning_rate is {self.learning_rate!r}; expected a number of at least 0")

    def _inputs(self, x: ArrayLike, steps: bool = False) -> NDArray[Any]:
        """(networks, T, I) or (networks, T) symbols."""
        return self._values("x", x, self._topology.input_size, self._topology.symbols, steps)

    def _targets(self, y: ArrayLike, steps: int = 0) -> NDArray[Any]:
        value = np.asarray(y)
        symbols = value.dtype.kind in "iu" and value.ndim == (self.networks is not None) + (steps > 0)
        found = self._values("y", value, self._topology.output_size, symbols, steps > 0)
        if steps and found.shape[1] != steps:
            raise InputError(f"ys has {found.shape[1]} steps; expected {steps}, as many as xs")
        return found

    def _values(self, name: str, given: ArrayLike, size: int, symbols: bool, steps: bool) -> NDArray[Any]:
        value = np.asarray(given)
        lead = [] if self.networks is None else [self.networks]
        wanted = [*lead, *(["T"] if steps else []), *([] if symbols else [size])]
        kind = f"symbols 0..{size - 1}" if symbols else "numbers"
        shape = list(value.shape)
        fits = len(shape) == len(wanted) and all(want in ("T", have) for have, want in zip(shape, wanted, strict=True))
        if not fits or value.dtype.kind not in ("iu" if symbols else "fiub"):
            expected = f"({', '.join(map(str, wanted))}{',' * (len(wanted) == 1)})"
            raise InputError(f"{name} is {value.dtype} of shape {value.shape}; expected {kind} of shape {expected}")
        if symbols:
            if value.size and (value.min() < 0 or value.max() >= size):
                raise InputError(f"{name} has a symbol outside 0..{size - 1}: {value.min()} to {value.max()}")
            return value.astype(np.int32).reshape(self._count, -1)
        value = value.astype(self._numpy)
        if not np.isfinite(value).all():
            raise InputError(f"{name} has a NaN or infinite value; expected finite numbers")
        return value.reshape(self._count, -1, size)


def _zeros(shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    return {name: np.zeros(shape, dtype=dtype) for name, shape in shapes.items()}
