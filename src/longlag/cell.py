"""CellSpec: which gates, blocks, peepholes, squashings and sharpness a memory cell has. Pure data, no tensors."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, fields
from typing import Literal, get_args

from longlag.checks import is_number, one_of, true_or_false, whole_number
from longlag.errors import InputError

__all__ = ["Biases", "CellSpec", "Squash"]

Squash = Literal["tanh", "logistic", "logistic_pm1", "logistic_pm2", "identity"]
Biases = Literal["double", "single", "gates"]


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """The family of memory cells (1997 paper, section 4; batch paper, sections 2-4). The default is torch.nn.LSTM's.

    For layer input ``x_t`` and recurrent source ``r_{t-1}`` (equations in ops/README.md)::

        i_t = sigma(sharpness * (W_i x_t + R_i r_{t-1} + p_i * s_{t-1} + b_i))
        f_t = likewise, or 1 - i_t (coupled_gates), or 1 (no forget gate)
        s_t = f_t * s_{t-1} + i_t * g(W_g x_t + R_g r_{t-1} + b_g)
        o_t = sigma(sharpness * (W_o x_t + R_o r_{t-1} + p_o * s_t + b_o)), or 1 (no output gate)
        y_t = o_t * h(s_t)

    Parameters
    ----------
    cells_per_block : int
        Cells that share their gates (1997 paper, section 4.4). Must divide the hidden size.
    input_gate, forget_gate, output_gate : bool
        An absent gate is the constant 1 and has no weights. The 1997 cell has no forget gate.
    coupled_gates : bool
        The forget gate is ``1 - i_t`` and has no weights of its own.
    peepholes : bool
        Gates see the states of their own block: input and forget gates ``s_{t-1}``, the output gate ``s_t``.
    gate_recurrence : bool
        The gate activations of the step before are part of the recurrent source (1997 paper, section 4.3). The carried
        state then has a third tensor.
    input_squash, output_squash : {"tanh", "logistic", "logistic_pm1", "logistic_pm2", "identity"}
        g and h. ``logistic_pm1`` = 2 sigma - 1 (eq. A.2), ``logistic_pm2`` = 4 sigma - 2 (eq. A.3).
    sharpness : float
        Slope alpha of the gates (batch paper, section 4). ``LSTM(learn_sharpness=True)`` learns a factor on it.
    recurrence : bool
        False: nothing of the step before enters a net input; only the state remembers (1997 paper, Table 10, row 2a).
    biases : {"double", "single", "gates"}
        "double": torch's two bias vectors; "single": one bias per unit; "gates": one per gate unit only
        (Table 10, column 12, "ga").
    conventional_units : int
        Ordinary recurrent units beside the blocks (1997 paper, section 4.3), after the cells in the layer's output.
    unit_squash : str
        The squashing of the conventional units.

    Raises
    ------
    InputError
        When a combination means nothing, e.g. coupled gates without a forget gate.
    """

    cells_per_block: int = 1
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    coupled_gates: bool = False
    peepholes: bool = False
    gate_recurrence: bool = False
    input_squash: Squash = "tanh"
    output_squash: Squash = "tanh"
    sharpness: float = 1.0
    recurrence: bool = True
    biases: Biases = "double"
    conventional_units: int = 0
    unit_squash: Squash = "logistic"

    def __post_init__(self) -> None:
        for name in ("input_squash", "output_squash", "unit_squash"):
            one_of(name, getattr(self, name), get_args(Squash))
        one_of("biases", self.biases, get_args(Biases))
        for name, least in (("cells_per_block", 1), ("conventional_units", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for field in fields(self):
            if isinstance(field.default, bool):
                true_or_false(field.name, getattr(self, field.name))
        slope: object = self.sharpness
        if not is_number(slope) or self.sharpness <= 0:
            raise InputError(f"sharpness is {self.sharpness!r}; expected a positive finite number")
        if not isinstance(slope, (int, float)):  # NumPy's, which JSON does not know
            object.__setattr__(self, "sharpness", float(self.sharpness))
        if self.coupled_gates and not (self.forget_gate and self.input_gate):
            raise InputError("coupled_gates needs both an input gate and a forget gate: the one is 1 minus the other")
        if not self.gates:
            for name in ("peepholes", "gate_recurrence"):
                if getattr(self, name):
                    raise InputError(f"{name} needs a gate; input_gate, forget_gate and output_gate are all False")
            if self.biases == "gates":
                raise InputError("biases='gates' needs a gate; input_gate, forget_gate and output_gate are all False")
        if self.gate_recurrence and not self.recurrence:
            raise InputError("gate_recurrence needs recurrence=True: gate activations are part of the recurrent source")

    # Kernels are looked up by their cell at every call, and adding up fifteen hashes takes longer than a small kernel
    # runs: the sum is kept. It does not travel with a pickle, because strings hash differently in every process.
    def __hash__(self) -> int:
        attributes = self.__dict__
        if "_hash" not in attributes:
            attributes["_hash"] = hash(tuple(getattr(self, field.name) for field in fields(self)))
        value: int = attributes["_hash"]
        return value

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    @functools.cached_property
    def departures(self) -> frozenset[str]:
        """Names of the fields that differ from the default cell, torch.nn.LSTM's."""
        return frozenset(field.name for field in fields(self) if getattr(self, field.name) != field.default)

    def beyond(self, implemented: frozenset[str]) -> str:
        """Return what this cell asks for beyond the fields ``implemented`` of some code, such as "zoneout=0.1".

        Empty where nothing is. A field at its default value asks for nothing, so whoever computes a cell need not know
        fields that were added later: it names those it does know, and refuses the rest.
        """
        if self.departures <= implemented:
            return ""
        names = [field.name for field in fields(self) if field.name in self.departures - implemented]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    @functools.cached_property
    def text(self) -> str:
        """The cell as JSON: the fields that differ from the default. ``from_text`` reads it."""
        return json.dumps({f.name: getattr(self, f.name) for f in fields(self) if f.name in self.departures})

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def from_text(text: str) -> CellSpec:
        """Return the cell that the property ``text`` of a cell describes."""
        return CellSpec(**json.loads(text))

    # -- presets ---------------------------------------------------------------------------------------------------

    @classmethod
    def hochreiter1997(
        cls,
        *,
        cells_per_block: int = 1,
        output_gate: bool = True,
        recurrence: bool = True,
        output_squash: Squash = "logistic_pm1",
        input_squash: Squash = "logistic_pm2",
        biases: Biases = "single",
        conventional_units: int = 0,
    ) -> CellSpec:
        """Return the 1997 block: input and output gates, no forget gate, gate units as sources; |g| <= 2, |h| <= 1."""
        return cls(
            cells_per_block=cells_per_block,
            forget_gate=False,
            output_gate=output_gate,
            gate_recurrence=recurrence,
            recurrence=recurrence,
            input_squash=input_squash,
            output_squash=output_squash,
            biases=biases,
            conventional_units=conventional_units,
        )

    @classmethod
    def batch2013(cls, *, cells_per_block: int = 2, sharpness: float = 3.75, forget_gate: bool = False) -> CellSpec:
        """Return the batch paper's cell (5.1): 1997 squashings, peepholes, densely connected gates, sharp gates."""
        return cls(
            cells_per_block=cells_per_block,
            forget_gate=forget_gate,
            peepholes=True,
            gate_recurrence=True,
            input_squash="logistic_pm2",
            output_squash="logistic_pm1",
            sharpness=sharpness,
            biases="single",
        )

    @classmethod
    def gers2000(cls, *, cells_per_block: int = 1) -> CellSpec:
        """Return the 1997 squashings with forget gates (Gers, Schmidhuber & Cummins 2000), recurrence from cells."""
        return cls(
            cells_per_block=cells_per_block,
            input_squash="logistic_pm2",
            output_squash="logistic_pm1",
            biases="single",
        )

    @classmethod
    def graves2005(cls) -> CellSpec:
        """Return the tanh cell with forget gates and peepholes (Graves & Schmidhuber 2005), one bias per unit."""
        return cls(peepholes=True, biases="single")

    @classmethod
    def coupled(cls) -> CellSpec:
        """Return the cell whose input and forget gates are coupled: ``f = 1 - i``."""
        return cls(coupled_gates=True)

    # -- geometry: everything that follows from a hidden size ---------------------------------------------------------

    @functools.cached_property
    def gates(self) -> tuple[str, ...]:
        """The gates that have weights of their own, in the order "i", "f", "o"."""
        present = (self.input_gate, self.forget_gate and not self.coupled_gates, self.output_gate)
        return tuple(name for name, is_present in zip("ifo", present, strict=True) if is_present)

    def blocks(self, hidden_size: int) -> int:
        """Return the number of blocks in a layer of ``hidden_size`` cells; refuse a size that they do not divide."""
        if hidden_size % self.cells_per_block:
            raise InputError(f"hidden_size {hidden_size} is not a multiple of cells_per_block {self.cells_per_block}")
        return hidden_size // self.cells_per_block

    def rows(self, hidden_size: int) -> dict[str, slice]:
        """Weight rows by unit: gates "i", "f", "o" have one per block, cells "g" one each, conventional units "u".

        They stand in the order i, f, g, o, u; absent gates are left out, so the default order is torch's.
        """
        blocks = self.blocks(hidden_size)
        sizes = {"i": blocks, "f": blocks, "g": hidden_size, "o": blocks, "u": self.conventional_units}
        rows, start = {}, 0
        for name, size in sizes.items():
            if name in self.gates or name in "gu":
                rows[name] = slice(start, start + size)
                start = start + size  # not in place: while torch.jit traces, sizes are tensors
        return rows

    def row_count(self, hidden_size: int) -> int:
        """Return the number of weight rows of a layer: one per unit that has a net input."""
        return self.gate_size(hidden_size) + hidden_size + self.conventional_units

    def gate_size(self, hidden_size: int) -> int:
        """Return the number of gate units of a layer."""
        return len(self.gates) * self.blocks(hidden_size)

    def source_size(self, hidden_size: int, proj_size: int = 0) -> int:
        """Return the length of the recurrent source: the layer's output, then gate activations i, f, o."""
        if not self.recurrence:
            return 0
        return self.output_size(hidden_size, proj_size) + (self.gate_size(hidden_size) if self.gate_recurrence else 0)

    def output_size(self, hidden_size: int, proj_size: int = 0) -> int:
        """Return the length of the layer's output: cell outputs (or their projection), then conventional units."""
        return (proj_size or hidden_size) + self.conventional_units

    def extra_shapes(self, hidden_size: int) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the parameters that options bring beside weights, biases, peepholes, projection.

        None of today's options has any. A layer registers them as its own, for each layer and direction, and engines
        find them by these names in ``LayerCall.extra``.
        """
        return {}
