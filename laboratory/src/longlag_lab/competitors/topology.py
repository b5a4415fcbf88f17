"""Topologies of plain recurrent nets and of the chunker. Pure data."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from longlag.checks import whole_number
from longlag.errors import InputError

__all__ = ["ChunkerTopology", "Method", "RecurrentTopology", "uniform_weights"]

Method = Literal["rtrl", "bptt", "elman"]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class RecurrentTopology:
    """A net of logistic units, one layer of which is fully recurrent (1997 paper, sections 5.1 and 5.2).

    Parameters
    ----------
    input_size, output_size : int
    hidden_size : int
        Units that are recurrent among themselves and read the inputs; in a flat net all units.
    flat : bool
        Smith and Zipser's net: no layer behind the recurrent one, whose first units are the outputs.
    reads_inputs : bool
        Output units read the inputs of the step besides the hidden units' activations at that step (Table 2).
    symbols : bool
        Inputs are symbols 0..input_size-1 and stand for one-hot vectors.
    bias : bool
        All units have a bias. The nets of Tables 1 and 2 have none.
    feedback : bool
        All units read the output units' last activations, output units included: the fully connected net, with hidden
        units before output units, whose weights are guessed. Such a net does not learn.

    Raises
    ------
    InputError
        If a size is impossible, or options that exclude each other are combined.
    """

    input_size: int
    output_size: int
    hidden_size: int
    flat: bool = False
    reads_inputs: bool = False
    symbols: bool = True
    bias: bool = False
    feedback: bool = False

    def __post_init__(self) -> None:
        for name in ("input_size", "output_size", "hidden_size"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), 1))
        if self.flat and (self.reads_inputs or self.feedback):
            raise InputError("a flat net has no output layer: expected reads_inputs=False and feedback=False")
        if self.flat and self.hidden_size < self.output_size:
            raise InputError(
                f"hidden_size is {self.hidden_size}; expected at least the {self.output_size} output units"
            )

    @property
    def loss(self) -> str:
        """Half the squared error: e_k = f'(net_k) (t_k - y_k), eq. A.17."""
        return "squared"

    @functools.cached_property
    def weight_shapes(self) -> Shapes:
        """Weights by name; columns of ``weight_hh`` are hidden units, then output units if they feed back; columns of
        ``readout.weight`` are hidden units, inputs, output units."""
        fed = self.output_size if self.feedback else 0
        shapes: Shapes = {
            "weight_ih": (self.hidden_size, self.input_size),
            "weight_hh": (self.hidden_size, self.hidden_size + fed),
        }
        if self.bias:
            shapes["bias"] = (self.hidden_size,)
        if not self.flat:
            seen = self.hidden_size + (self.input_size if self.reads_inputs else 0) + fed
            shapes["readout.weight"] = (self.output_size, seen)
            if self.bias:
                shapes["readout.bias"] = (self.output_size,)
        return shapes

    @functools.cached_property
    def state_shapes(self) -> Shapes:
        """Shapes of ``state``, the hidden units' activations, and of ``answers``, those of outputs that feed back."""
        shapes: Shapes = {"state": (self.hidden_size,)}
        if self.feedback:
            shapes["answers"] = (self.output_size,)
        return shapes

    @functools.cached_property
    def trace_shapes(self) -> Shapes:
        """The shape of RTRL's ``traces``: derivatives of the activation of unit k by the weights [x h 1] of unit i."""
        columns = self.input_size + self.hidden_size + (1 if self.bias else 0)
        return {"traces": (self.hidden_size, self.hidden_size, columns)}

    def weight_count(self) -> int:
        """Return the number of trainable numbers."""
        return sum(prod(shape) for shape in self.weight_shapes.values())


@dataclass(frozen=True, kw_only=True)
class ChunkerTopology:
    """The two-net sequence chunker (Schmidhuber 1992): automatizer and chunker, both as in Table 2.

    Names of the chunker's weights begin with "chunker."; the automatizer has an output unit for each of the chunker's
    hidden units behind its own.

    Parameters
    ----------
    input_size : int
        The alphabet: inputs are symbols, and the symbols to come are what is predicted.
    hidden_size : int
        Hidden units of each net.
    threshold : float
        A symbol was foreseen when all output units were off by no more than this.
    """

    input_size: int
    hidden_size: int = 1
    threshold: float = 0.25

    @property
    def output_size(self) -> int:
        """The number of output units: one for each symbol."""
        return self.input_size

    @property
    def loss(self) -> str:
        """Half the squared error, as in ``RecurrentTopology``."""
        return "squared"

    @property
    def symbols(self) -> bool:
        """Inputs are always symbols."""
        return True

    @functools.cached_property
    def net(self) -> RecurrentTopology:
        """One of the two nets, without the automatizer's additional outputs."""
        return RecurrentTopology(
            input_size=self.input_size, output_size=self.input_size, hidden_size=self.hidden_size, reads_inputs=True
        )

    @functools.cached_property
    def weight_shapes(self) -> Shapes:
        """Weights by name: those of the automatizer, then those of the chunker."""
        one = self.net.weight_shapes
        rows, seen = one["readout.weight"]
        below = one | {"readout.weight": (rows + self.hidden_size, seen)}
        return below | {f"chunker.{name}": shape for name, shape in one.items()}

    @functools.cached_property
    def state_shapes(self) -> Shapes:
        """Activations of both nets' hidden units."""
        return {"state": (self.hidden_size,), "chunker.state": (self.hidden_size,)}

    @functools.cached_property
    def trace_shapes(self) -> Shapes:
        """RTRL's traces of both nets."""
        one = self.net.trace_shapes["traces"]
        return {"traces": one, "chunker.traces": one}

    def weight_count(self) -> int:
        """Return the number of the automatizer's weights, as in Table 2.

        The chunker has as many, without additional ones.
        """
        return sum(prod(shape) for name, shape in self.weight_shapes.items() if not name.startswith("chunker."))


def uniform_weights(
    topology: Any, rng: np.random.Generator, interval: float, *, count: int | None = None
) -> dict[str, NDArray[np.float64]]:
    """Return weights from U(-interval, interval) of one net, or with one more axis in front of ``count`` nets."""
    lead = () if count is None else (count,)
    return {name: rng.uniform(-interval, interval, (*lead, *shape)) for name, shape in topology.weight_shapes.items()}
