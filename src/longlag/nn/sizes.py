"""LayerSizes: how large the layers of an LSTM are, and the shapes that follow. Pure data, no tensors."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

from longlag.cell import CellSpec
from longlag.checks import MOST, true_or_false, whole_number
from longlag.errors import InputError, InputTypeError

__all__ = ["LayerSizes", "ParameterNames"]


class ParameterNames(NamedTuple):
    """Names of the parameters of one layer and direction, suffix included; None for those that it lacks.

    extra : names without and with the suffix of the parameters that options of the cell bring.
    """

    weight_ih: str
    weight_hh: str
    bias_ih: str | None
    bias_hh: str | None
    weight_peephole: str | None
    weight_hr: str | None
    log_sharpness: str | None
    extra: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class LayerSizes:
    """The sizes of a stack of layers, from which the shapes of its parameters, states and outputs follow.

    Parameters
    ----------
    input_size, hidden_size : int
        Features of x_t, and memory cells per layer and direction.
    cell : CellSpec
    num_layers : int
    num_directions : int
        1, or 2 where each layer reads the sequence from its end as well.
    proj_size : int
        Outputs of the projection of the cells; 0 is no projection.
    bias : bool
        Whether units have biases.
    learn_sharpness : bool
        Whether each kind of gate has a parameter for its slope.

    Raises
    ------
    InputError
        When a size is not a whole number, is too small, or makes more than 2**40 weights; when blocks do not divide
        the hidden size.
    """

    input_size: int
    hidden_size: int
    cell: CellSpec
    num_layers: int = 1
    num_directions: int = 1
    proj_size: int = 0
    bias: bool = True
    learn_sharpness: bool = False

    def __post_init__(self) -> None:
        for name, least in (
            ("input_size", 1),
            ("hidden_size", 1),
            ("num_layers", 1),
            ("num_directions", 1),
            ("proj_size", 0),
        ):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("bias", "learn_sharpness"):
            true_or_false(name, getattr(self, name))
        if not isinstance(self.cell, CellSpec):
            raise InputTypeError(f"cell is {self.cell!r}; expected a CellSpec")
        if self.num_directions > 2:
            raise InputError(f"num_directions is {self.num_directions}; expected 1 or 2")
        if self.proj_size >= self.hidden_size:
            raise InputError(f"proj_size is {self.proj_size}; expected less than hidden_size {self.hidden_size}")
        if self.learn_sharpness and not self.cell.gates:
            raise InputError("learn_sharpness needs a gate; input_gate, forget_gate and output_gate are all False")
        if self.weight_count() > MOST:
            raise InputError(
                f"input_size {self.input_size}, hidden_size {self.hidden_size} and num_layers {self.num_layers} make "
                f"layers of more than 2**40 weights; expected fewer"
            )

    @property
    def stack_size(self) -> int:
        """The number of layers times directions: the first dimension of ``hx``."""
        return self.num_layers * self.num_directions

    @property
    def direction_size(self) -> int:
        """Features of the output of one direction: cells (or their projection), then conventional units."""
        return self.cell.output_size(self.hidden_size, self.proj_size)

    @property
    def output_size(self) -> int:
        """Features of the output, all directions together."""
        return self.direction_size * self.num_directions

    @functools.cached_property
    def state_widths(self) -> tuple[int, ...]:
        """Last dimensions of the carried state: outputs, cells, and gate activations with gate recurrence."""
        widths = (self.direction_size, self.hidden_size)
        return (*widths, self.cell.gate_size(self.hidden_size)) if self.cell.gate_recurrence else widths

    @functools.cached_property
    def names(self) -> tuple[tuple[ParameterNames, ...], ...]:
        """Names of the parameters of each layer and, within it, of each direction."""
        return tuple(
            tuple(self._names_of(layer, suffix) for suffix in self.suffixes(layer)) for layer in range(self.num_layers)
        )

    def _names_of(self, layer: int, suffix: str) -> ParameterNames:
        present = {name: f"{name}_{suffix}" for name in self.parameter_shapes(layer)}
        extra = tuple((name, present[name]) for name in self.cell.extra_shapes(self.hidden_size))
        return ParameterNames(
            present["weight_ih"],
            present["weight_hh"],
            present.get("bias_ih"),
            present.get("bias_hh"),
            present.get("weight_peephole"),
            present.get("weight_hr"),
            present.get("log_sharpness"),
            extra,
        )

    def features(self, layer: int) -> int:
        """Return how many features layer number ``layer`` reads: those of the input, or of the layer below."""
        return self.input_size if layer == 0 else self.output_size

    def suffixes(self, layer: int) -> tuple[str, ...]:
        """Return the endings of the names of a layer's parameters, one for each direction, as in torch.nn.LSTM."""
        return (f"l{layer}", f"l{layer}_reverse")[: self.num_directions]

    def parameter_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """Return names (without suffix) and shapes of a layer's parameters, one direction, in torch.nn.LSTM's order."""
        cell, hidden = self.cell, self.hidden_size
        rows = cell.row_count(hidden)
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.features(layer)),
            "weight_hh": (rows, cell.source_size(hidden, self.proj_size)),
        }
        if self.bias:
            shapes["bias_ih"] = (cell.gate_size(hidden) if cell.biases == "gates" else rows,)
            if cell.biases == "double":
                shapes["bias_hh"] = (rows,)
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, hidden)
        if cell.peepholes:
            shapes["weight_peephole"] = (len(cell.gates), hidden)
        if self.learn_sharpness:
            shapes["log_sharpness"] = (len(cell.gates),)
        return shapes | cell.extra_shapes(hidden)

    def weight_count(self) -> int:
        """Return the number of weights of all layers and directions."""
        first, later = (sum(map(math.prod, self.parameter_shapes(layer).values())) for layer in (0, 1))
        return self.num_directions * (first + (self.num_layers - 1) * later)

    def all_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters of all layers and directions, in the order of a ``state_dict``."""
        return {
            f"{name}_{suffix}": shape
            for layer in range(self.num_layers)
            for suffix in self.suffixes(layer)
            for name, shape in self.parameter_shapes(layer).items()
        }
