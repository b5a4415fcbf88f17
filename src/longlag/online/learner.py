"""OnlineLSTM: learns while it reads, in memory that does not depend on how long the stream is."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from longlag.cell import CellSpec, Squash
from longlag.checks import MOST, not_negative, whole_number
from longlag.errors import DivergenceError, InputError
from longlag.online import select
from longlag.online.generator import generator_state, set_generator
from longlag.online.growth import ErrorWatch, Growth, widen
from longlag.online.init import initial_weights
from longlag.online.inputs import InputChecker
from longlag.online.state import PENDING, LearnerState, grown_topology, parse_state
from longlag.online.streams import Answers, Engine, ReadOptions, Stream, Update
from longlag.online.topology import Loss, Reads, Topology

__all__ = ["OnlineLSTM"]

_DIVERGED = "an answer is not finite; nothing was learned from it. Expected a smaller learning_rate"
_OVERFLOWN = "the changes of this sequence are not finite; none was made. Expected a smaller learning_rate"
_SHARED = "needs networks=None: networks that share vectors have one shape"
_PREDICT = ReadOptions(learn=False, outputs=True, restore_state=True)


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
        Memory-cell blocks; each has ``cell.cells_per_block`` cells. 0 needs ``growth``, and something else for output
        units to read: ``reads="cells+inputs"`` or conventional units.
    cell : CellSpec
        Any cell. The default is the 1997 one.
    learning_rate : float
        Like ``update`` it may be set again later.
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
        First biases, one per block. None: random as all others; a forget gate starts at 1, and so does that of a block
        added later.
    growth : Growth, optional
        Add blocks when the error stops decreasing, at the target that ends a window of ``growth.window``: one by one
        and in ``learn_many`` alike.
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
        If an answer is not finite; nothing is learned from it. Or if the changes that ``reset`` makes are not: then
        the network they belong to keeps its weights.
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
        if not isinstance(cell, CellSpec):
            raise InputError(f"cell is {cell!r}; expected a CellSpec")
        blocks = whole_number("blocks", blocks, 0)
        networks = None if networks is None else whole_number("networks", networks, 1)
        seed = whole_number("seed", seed, 0)
        if not isinstance(dtype, torch.dtype) or dtype not in (torch.float32, torch.float64):
            raise InputError(f"dtype is {dtype}; expected torch.float32 or torch.float64")
        if growth is not None and not isinstance(growth, Growth):
            raise InputError(f"growth is {growth!r}; expected Growth(max_blocks=...)")
        if growth is not None and networks is not None:
            raise InputError(f"growth {_SHARED}")
        if growth is not None and growth.max_blocks < max(blocks, 1):
            raise InputError(f"growth stops at {growth.max_blocks} blocks; expected at least {max(blocks, 1)}")
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
        if (networks or 1) * self._topology.weight_count() > MOST:
            raise InputError(f"networks is {networks}: more than 2**40 numbers in all; expected fewer networks")
        if blocks == 0 and growth is None:
            raise InputError("blocks is 0 without growth; expected at least 1, or growth to add the first")
        self.learning_rate, self.update, self.interval = learning_rate, update, interval
        self.networks, self.dtype, self.growth, self.backend = networks, dtype, growth, select.engine_for(backend)
        if forget_gate_bias is None:
            forget_gate_bias = self._forget_gate_biases(blocks)
        biases = {"i": input_gate_bias, "f": forget_gate_bias, "o": output_gate_bias}
        self._rng = np.random.default_rng(seed)
        self._numpy = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        self._watch = None if growth is None else ErrorWatch(growth)
        self._inputs = InputChecker(
            input_size=self._topology.input_size,
            output_size=self._topology.output_size,
            symbols=symbols,
            networks=networks,
            dtype=self._numpy,
        )
        try:
            engine = self._new_engine(self._topology)
            for network in range(self._count):
                self._fill(engine, network, initial_weights(self._topology, self._rng, interval, biases))
        except MemoryError:
            raise InputError(
                f"{self._count} x {self.weight_count()} weights and their traces do not fit into memory; expected fewer"
            ) from None
        self._engine = engine

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("learning_rate", "interval"):
            not_negative(name, value)
        elif name == "update" and not (isinstance(value, str) and value in ("step", "sequence")):
            raise InputError(f"update is {value!r}; expected 'step' or 'sequence'")
        super().__setattr__(name, value)

    # -- one event at a time -------------------------------------------------------------------------------------------

    def predict_one(self, x: ArrayLike) -> Tensor:
        """Returns the answer (output_size,) to ``x`` (input_size,), or to a symbol; the net is left as it was."""
        self._predicted = inputs = self._inputs.inputs(x)
        answers = self._engine.read([Stream(inputs=row) for row in inputs], _PREDICT)
        _refuse_infinite(answers)
        return self._stack([answer.outputs[0] for answer in answers if answer.outputs is not None])

    def learn_one(self, x: ArrayLike, y: ArrayLike | None = None) -> OnlineLSTM:
        """Reads ``x``; with a target ``y`` changes the weights.

        ``y``: (output_size,), or the number of the unit to be on. Of one output unit ``y`` is the value itself, whole
        or not: 0 is 0.0 and 1 is 1.0. A target needs a prediction first: ``predict_one(x)`` of the same ``x``, which
        is what it is compared with.
        """
        inputs = self._inputs.inputs(x)
        if y is None:
            self._read(inputs, [None] * self._count, outputs=True)
            return self
        if self._predicted is None or not np.array_equal(self._predicted, inputs):
            raise InputError(
                "a target came for an x that was not predicted; expected predict_one(x) before learn_one(x, y)"
            )
        self._read(inputs, self._inputs.targets(y), outputs=False)
        return self

    def reset(self) -> OnlineLSTM:
        """Begins a new sequence: states and traces are zero. With ``update="sequence"`` the weights change now."""
        finite = True
        for network in range(self._count):
            if self.update == "sequence":
                weights = self._engine.dump(network, list(self._topology.weight_shapes))
                changes = self._engine.dump(network, list(weights), pending=True)
                with np.errstate(over="ignore", invalid="ignore"):
                    changed = {name: weights[name] + changes[name] for name in weights}
                if all(np.isfinite(value).all() for value in changed.values()):
                    self._engine.load(network, changed)
                else:
                    finite = False
                self._engine.load(network, {name: np.zeros_like(weights[name]) for name in weights}, pending=True)
            self._engine.load(network, _zeros(self._topology.state_shapes, self._numpy))
        self._predicted = None
        if not finite:
            raise DivergenceError(_OVERFLOWN)
        return self

    # -- many steps in one call ----------------------------------------------------------------------------------------

    def learn_many(self, xs: ArrayLike, ys: ArrayLike | None = None) -> Tensor:
        """Reads T steps ``xs`` (T, input_size), or T symbols, of the sequence that goes on, and learns at each of them.

        Predicts, then learns, step by step, at the kernels' speed. ``ys``: (T, output_size), or T symbols; of one
        output unit T values; None: read on. With several networks both have a leading dimension. Returns the
        predictions (T, output_size).
        """
        inputs = self._inputs.inputs(xs, steps=True)
        steps = inputs.shape[1]
        targets = None if ys is None else self._inputs.targets(ys, steps)
        predictions, start = [self._empty()], 0
        while start < steps:  # blocks come where a window of errors ends
            stop = steps if self._watch is None or targets is None else start + self._watch.left
            goals = [None] * self._count if targets is None else targets[:, start:stop]
            answers = self._read(inputs[:, start:stop], goals, outputs=True)
            predictions.append(self._stack([answer.outputs for answer in answers if answer.outputs is not None]))
            start = stop
        return torch.cat(predictions, dim=-2)

    def _read(self, inputs: NDArray[Any], targets: Any, outputs: bool) -> list[Answers]:
        """Reads, learns where there are targets, and grows when the error has stopped decreasing."""
        streams = [Stream(inputs=row, targets=goal) for row, goal in zip(inputs, targets, strict=True)]
        answers = self._engine.read(streams, _learning(self.learning_rate, self.update, outputs))
        self._predicted = None
        _refuse_infinite(answers)
        stalled = self._watch is not None and targets[0] is not None and self._watch.stalls(*answers[0].mean.tolist())
        if self.growth is not None and stalled and self.blocks < self.growth.max_blocks:
            self.add_block()
        return answers

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
        """Returns all trainable numbers of one network."""
        return self._topology.weight_count()

    def memory(self) -> int:
        """Returns bytes that weights, traces and states take."""
        return self._engine.memory()

    def add_block(self) -> OnlineLSTM:
        """Adds a block with random weights; everything learned, read and traced so far stays."""
        if self.networks is not None:
            raise InputError(f"add_block {_SHARED}")
        if self.growth is not None and self.blocks >= self.growth.max_blocks:
            raise InputError(f"there are {self.blocks} blocks; expected fewer than growth.max_blocks to add one")
        old = self._topology
        wider = replace(old, hidden_size=old.hidden_size + self.cell.cells_per_block)
        engine = self._new_engine(wider)
        numbers = self._engine.dump(0)
        changes = self._engine.dump(0, list(old.weight_shapes), pending=True)
        biases = {"f": self._forget_gate_biases(self.blocks + 1)}
        fresh = initial_weights(wider, self._rng, self.interval, biases) | _zeros(wider.state_shapes, self._numpy)
        self._fill(engine, 0, widen(old, wider, numbers, fresh))
        engine.load(0, widen(old, wider, changes, _zeros(wider.weight_shapes, self._numpy)), pending=True)
        self._topology, self._engine, self._predicted = wider, engine, None
        return self

    # -- saving --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything that a learner holds, as copies: load it and the same bits go on.

        ``weight_ih``, ``weight_hh``, ``bias``, ``weight_peephole``, ``readout.weight``, ``readout.bias`` (rows in the
        order i, f, g, o, u); with ``state.`` before their names activations, states and traces; with ``waiting.`` the
        changes that ``reset`` will make; ``growth`` and ``generator``.
        """
        weights = list(self._topology.weight_shapes)
        state = self._collect(weights)
        state |= {f"state.{name}": value for name, value in self._collect(list(self._topology.state_shapes)).items()}
        if self.update == "sequence":
            state |= {f"{PENDING}{name}": value for name, value in self._collect(weights, pending=True).items()}
        if self._watch is not None:
            state["growth"] = torch.from_numpy(self._watch.state.copy())
        state["generator"] = generator_state(self._rng)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> OnlineLSTM:
        """Takes over a ``state_dict``; one without ``state.`` starts a new sequence.

        Raises InputError, and changes nothing, if a name is missing or unknown, or a value is no tensor of the right
        type and shape, or a weight is not finite. A net that has grown is recognised by its shapes.
        """
        if not isinstance(state, Mapping):
            raise InputError(f"the state is a {type(state).__name__}; expected a state_dict")
        topology = grown_topology(state, self._topology, self.growth)
        self._restore(
            topology, parse_state(state, topology, self.networks, self._numpy, has_pending=self.update == "sequence")
        )
        return self

    def _restore(self, topology: Topology, saved: LearnerState) -> None:
        engine = self._new_engine(topology)
        for network in range(self._count):
            numbers = saved.weights | saved.state
            self._fill(engine, network, {name: value[network] for name, value in numbers.items()})
            engine.load(network, {name: value[network] for name, value in saved.pending.items()}, pending=True)
        self._topology, self._engine, self._predicted = topology, engine, None
        if saved.generator is not None:
            set_generator(self._rng, saved.generator)
        if self._watch is not None and saved.growth is not None:
            self._watch.state[:] = saved.growth

    def __getstate__(self) -> dict[str, Any]:
        attributes = {name: value for name, value in self.__dict__.items() if name != "_engine"}
        return attributes | {"_numbers": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state)
        numbers = attributes.pop("_numbers")
        self.__dict__.update(attributes)
        self._rng, self._watch = copy.deepcopy(self._rng), copy.deepcopy(self._watch)  # a shallow copy's are shared
        topology, predicted, pending = self._topology, self._predicted, self.update == "sequence"
        saved = parse_state(numbers, topology, self.networks, self._numpy, has_pending=pending, finite=False)
        self._restore(topology, saved)
        self._predicted = predicted

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _count(self) -> int:
        return 1 if self.networks is None else self.networks

    def _new_engine(self, topology: Topology) -> Engine:
        return select.engine(topology, self._count, wide=self.dtype == torch.float64, backend=self.backend)

    def _fill(self, engine: Engine, network: int, numbers: Mapping[str, NDArray[Any]]) -> None:
        engine.load(network, {name: value.astype(self._numpy) for name, value in numbers.items()})

    def _forget_gate_biases(self, blocks: int) -> list[float] | None:
        """Returns initial biases of forget gates that remember: 1 for each block."""
        return [1.0] * blocks if "f" in self.cell.gates and self._topology.bias else None

    def _collect(self, names: list[str], pending: bool = False) -> dict[str, Tensor]:
        by_network = [self._engine.dump(n, names, pending=pending) for n in range(self._count)]
        if self.networks is None:
            return {name: torch.from_numpy(by_network[0][name]) for name in names}
        return {name: torch.from_numpy(np.stack([numbers[name] for numbers in by_network])) for name in names}

    def _stack(self, answers: list[NDArray[Any]]) -> Tensor:
        return torch.from_numpy(answers[0] if self.networks is None else np.stack(answers))

    def _empty(self) -> Tensor:
        lead = () if self.networks is None else (self.networks,)
        return torch.empty((*lead, 0, self._topology.output_size), dtype=self.dtype)


@functools.lru_cache(maxsize=64)
def _learning(learning_rate: float, update: Update, outputs: bool) -> ReadOptions:
    """Options are looked up because making them takes longer than a small network's step."""
    return ReadOptions(learning_rate=learning_rate, update=update, outputs=outputs)


def _refuse_infinite(answers: list[Answers]) -> None:
    for answer in answers:
        outputs = answer.largest if answer.outputs is None else answer.outputs
        if not (np.isfinite(outputs).all() and np.isfinite(answer.largest).all()):  # NaN where a change was refused
            raise DivergenceError(_DIVERGED)


def _zeros(shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    return {name: np.zeros(shape, dtype=dtype) for name, shape in shapes.items()}
