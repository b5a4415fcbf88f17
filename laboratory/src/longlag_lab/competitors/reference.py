"""Plain recurrent nets and the chunker in NumPy, one network and one step at a time: the living definition of the
kernels of laboratory/csrc, and what runs where they could not be built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.online.streams import DEFAULT_OPTIONS, Answers, Numbers, ReadOptions, Stream
from longlag_lab.competitors.reference_net import Net
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology

__all__ = ["ReferenceRecurrentNetworks", "check_reading"]

Array = NDArray[Any]


class _Pair:
    """The two nets of a chunker: automatizer and chunker."""

    def __init__(self, topology: ChunkerTopology, dtype: Any) -> None:
        one, shapes = topology.net, topology.weight_shapes
        self.topology, self.dtype = topology, dtype
        below = {name: shape for name, shape in shapes.items() if not name.startswith("chunker.")}
        self.automatizer, self.chunker = Net(one, below, "rtrl", dtype), Net(one, one.weight_shapes, "rtrl", dtype)

    def reset(self) -> None:
        self.automatizer.reset()
        self.chunker.reset()
        self.prediction: Array | None = None  # the chunker's, after the last symbol that it has read
        self.unforeseen = True


class ReferenceRecurrentNetworks:
    """Some networks, one after the other. An ``Engine``; it runs on one thread."""

    def __init__(
        self,
        topology: RecurrentTopology | ChunkerTopology,
        count: int,
        *,
        method: Method = "rtrl",
        wide: bool = False,
    ) -> None:
        self.topology, self.method = topology, method
        self.dtype: Any = np.dtype(np.float64 if wide else np.float32)
        self._nets: list[Net | _Pair] = [
            _Pair(topology, self.dtype)
            if isinstance(topology, ChunkerTopology)
            else Net(topology, topology.weight_shapes, method, self.dtype)
            for _ in range(count)
        ]
        self._snapshot: list[dict[str, Array]] = []

    def memory(self) -> int:
        """Return bytes that weights, pending changes, states and traces take."""
        return 2 * sum(value.nbytes for n in range(len(self._nets)) for value in self._arrays(n, False).values())

    def _arrays(self, network: int, pending: bool) -> dict[str, Array]:
        net = self._nets[network]
        parts = {"": net} if isinstance(net, Net) else {"": net.automatizer, "chunker.": net.chunker}
        return {
            f"{prefix}{name}": value
            for prefix, part in parts.items()
            for name, value in (part.numbers | (part.pending if pending else part.weights)).items()
        }

    def load(self, network: int | None, numbers: Numbers, *, pending: bool = False) -> None:
        """See ``Engine.load``."""
        for n in range(len(self._nets)) if network is None else [network]:
            for name, value in numbers.items():
                self._arrays(n, pending)[name][...] = value

    def dump(
        self, network: int, names: Sequence[str] | None = None, *, pending: bool = False, from_snapshot: bool = False
    ) -> dict[str, Array]:
        """See ``Engine.dump``."""
        if from_snapshot and not self._snapshot:
            raise InputError("there is no snapshot to dump from; expected snapshot() before")
        arrays = self._snapshot[network] if from_snapshot else self._arrays(network, pending)
        return {name: arrays[name].copy() for name in (arrays if names is None else names)}

    def snapshot(self) -> None:
        """See ``Engine.snapshot``."""
        self._snapshot = [self.dump(n) for n in range(len(self._nets))]

    def read(self, streams: Sequence[Stream], options: ReadOptions = DEFAULT_OPTIONS) -> list[Answers]:
        """See ``Engine.read``. Answers hold outputs whether or not they are wanted."""
        check_reading(self.topology, self.method, streams, options)
        rates = np.broadcast_to(np.asarray(options.learning_rate, self.dtype), len(self._nets))
        answers = []
        for n, (net, stream, rate) in enumerate(zip(self._nets, streams, rates, strict=True)):
            state = self.dump(n, list(self.topology.state_shapes)) if options.restore_state else {}
            answers.append(self._read(net, stream, options, rate))
            self.load(n, state)
        return answers

    def _read(self, net: Net | _Pair, stream: Stream, options: ReadOptions, learning_rate: Any) -> Answers:
        steps = len(stream.inputs)
        ends = {steps - 1} if stream.lengths is None else {int(n) - 1 for n in np.cumsum(stream.lengths)}
        outputs: list[Array] = []
        errors: list[Array] = []
        if stream.lengths is not None:
            net.reset()
        step, at_ends = _step_of(net) if isinstance(net, Net) else _step_of_pair(net), options.update == "sequence"
        for t, symbol in enumerate(stream.inputs):
            target, answers = None, options.every_step or t in ends
            if answers and stream.targets is not None:
                target = self._vector(stream.targets[len(outputs)], self.topology.output_size)
            x = self._vector(symbol, self.topology.input_size)
            y = step(x, target, learning_rate, options.learn, at_ends, t in ends)
            if answers:
                outputs.append(y)
                errors.append(np.zeros_like(y) if target is None else np.abs(target - y))
            if t in ends and stream.lengths is not None:
                for part in [net] if isinstance(net, Net) else [net.automatizer, net.chunker]:
                    if options.learn:
                        part.finish()
                net.reset()
        size = np.array(errors)
        return Answers(np.array(outputs), size.max(axis=1), size.mean(axis=1))

    def _vector(self, value: Any, size: int) -> Array:
        if np.ndim(value):
            return np.asarray(value, self.dtype)
        vector = np.zeros(size, self.dtype)
        vector[int(value)] = 1.0
        return vector


StepOf = Callable[[Array, Array | None, Any, bool, bool, bool], Array]


def _step_of(net: Net) -> StepOf:
    def step(x: Array, target: Array | None, rate: Any, learn: bool, at_ends: bool, ends: bool) -> Array:
        y = net.forward(x)
        if learn:
            net.follow()
            net.learn(rate * (target - y) if target is not None else np.zeros_like(y), at_ends)
        return y

    return step


def _step_of_pair(pair: _Pair) -> StepOf:
    below, above, outputs = pair.automatizer, pair.chunker, pair.topology.output_size

    def step(x: Array, target: Array | None, rate: Any, learn: bool, at_ends: bool, ends: bool) -> Array:
        if learn and pair.unforeseen:
            if pair.prediction is not None:
                above.learn(rate * (x - pair.prediction), at_ends)
            pair.prediction = above.forward(x)
            above.follow()
        y = below.forward(x)
        if learn and target is not None:
            below.follow()
            pair.unforeseen = bool(np.abs(target - y[:outputs]).max() > pair.topology.threshold)
            below.learn(rate * (np.concatenate([target, above.numbers["state"]]) - y), at_ends)
            if ends and pair.unforeseen and pair.prediction is not None:
                above.learn(rate * (target - pair.prediction), at_ends)
        return y[:outputs]

    return step


def check_reading(topology: Any, method: Method, streams: Sequence[Stream], options: ReadOptions) -> None:
    """Raises InputError if such a net cannot read these streams, or cannot learn from them."""
    learn = options.learn
    if learn and getattr(topology, "feedback", False):
        raise InputError("a net with feedback from its outputs does not learn; expected learn=False")
    if learn and method == "bptt" and any(stream.lengths is None for stream in streams):
        raise InputError("back-propagation through time learns from whole sequences; expected streams with lengths")
    if isinstance(topology, ChunkerTopology):
        if any(stream.lengths is None for stream in streams):
            raise InputError("the chunker reads whole sequences; expected streams with lengths")
        if learn and (not options.every_step or any(s.targets is None or s.targets.ndim != 1 for s in streams)):
            raise InputError("the chunker learns to predict symbols; expected a target symbol at every step")
