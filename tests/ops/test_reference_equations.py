"""The reference engine against the equations of the cell, written out number by number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from hypothesis import given

from equivalence.compare import distance
from equivalence.specs import LayerCase, layer_calls, reference_cell_specs
from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL, TRUNCATED
from property_examples import examples


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > 0 else math.exp(x) / (1.0 + math.exp(x))


SQUASHED: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "logistic": logistic,
    "logistic_pm1": lambda x: 2.0 * logistic(x) - 1.0,
    "logistic_pm2": lambda x: 4.0 * logistic(x) - 2.0,
    "identity": lambda x: x,
}


class Naive:
    """One sample, one step at a time, in Python's own numbers."""

    def __init__(self, spec: CellSpec, weights: Weights, hidden: int, extra: Mapping[str, torch.Tensor]) -> None:
        self.spec, self.hidden = spec, hidden
        self.extra = {name: parameter.numpy() for name, parameter in extra.items()}
        self.blocks = hidden // spec.cells_per_block
        self.w = [None if weight is None else weight.numpy() for weight in weights]
        # where each kind of unit begins among the rows: i, f, g, o, u
        self.gates = ["i"] if spec.input_gate else []
        self.gates += ["f"] if spec.forget_gate and not spec.coupled_gates else []
        self.gates += ["o"] if spec.output_gate else []
        self.first, row = {}, 0
        for kind in "ifgou":
            if kind in self.gates or kind in "gu":
                self.first[kind] = row
                row += self.blocks if kind in "ifo" else hidden if kind == "g" else spec.conventional_units

    def net(self, kind: str, number: int, x: list[float], source: list[float]) -> float:
        """sum of W x + sum of R r + b of one unit."""
        w_input, w_recurrent, bias = self.w[:3]
        row = self.first[kind] + number
        total = float(bias[row]) if bias is not None else 0.0
        for m in range(len(x)):
            total += float(w_input[row, m]) * x[m]
        for m in range(len(source)):
            total += float(w_recurrent[row, m]) * source[m]
        return total

    def gate(self, kind: str, block: int, x: list[float], source: list[float], cells: list[float]) -> float:
        """sigma(alpha * (net + peepholes from the cells of the block))."""
        if kind not in self.gates:
            return 1.0
        total = self.net(kind, block, x, source)
        if self.spec.peepholes:
            for v in range(self.spec.cells_per_block):
                cell = block * self.spec.cells_per_block + v
                total += float(self.w[3][self.gates.index(kind), cell]) * cells[cell]
        return logistic(self.spec.sharpness * total)

    def step(
        self, x: list[float], output: list[float], cells: list[float], gates: list[float]
    ) -> tuple[list[float], list[float], list[float]]:
        spec = self.spec
        source = [] if not spec.recurrence else [*output, *gates] if spec.gate_recurrence else output
        opened = {kind: [] for kind in "ifo"}
        new_cells, products = [], []
        for block in range(self.blocks):
            i = self.gate("i", block, x, source, cells)
            f = 1.0 - i if spec.coupled_gates else self.gate("f", block, x, source, cells)
            for v in range(spec.cells_per_block):
                cell = block * spec.cells_per_block + v
                g = SQUASHED[spec.input_squash](self.net("g", cell, x, source))
                new_cells.append(f * cells[cell] + i * g)
            opened["i"].append(i)
            opened["f"].append(f)
        for block in range(self.blocks):
            o = self.gate("o", block, x, source, new_cells)
            for v in range(spec.cells_per_block):
                product = o * SQUASHED[spec.output_squash](new_cells[block * spec.cells_per_block + v])
                products.append(product)
            opened["o"].append(o)
        if self.w[4] is not None:
            products = [
                sum(float(self.w[4][p, cell]) * products[cell] for cell in range(self.hidden))
                for p in range(self.w[4].shape[0])
            ]
        squash = SQUASHED[spec.unit_squash]
        units = [squash(self.net("u", unit, x, source)) for unit in range(spec.conventional_units)]
        carried = [value for kind in self.gates for value in opened[kind]] if spec.gate_recurrence else gates
        return [*products, *units], new_cells, carried


def naive_layer(call: LayerCase) -> tuple[torch.Tensor, State]:
    steps, samples = call.inputs.shape[:2]
    cell = Naive(call.spec, call.weights, call.state.cells.shape[-1], call.extra)
    outputs = np.zeros((steps, samples, call.state.output.shape[-1]))
    final = State(*(part.clone() for part in call.state))
    for sample in range(samples):
        now = tuple(part[sample].tolist() for part in call.state)
        for t in range(steps if call.lengths is None else int(call.lengths[sample])):
            now = cell.step(call.inputs[t, sample].tolist(), *now)
            outputs[t, sample] = now[0]
        for part, value in zip(final, now, strict=True):
            part[sample] = torch.tensor(value, dtype=torch.float64)
    return torch.from_numpy(outputs), final


@examples(200)
@given(layer_calls(reference_cell_specs()))
def test_outputs_and_states_are_those_of_the_equations(call: LayerCase) -> None:
    outputs, state = naive_layer(call)
    found_outputs, found_state = reference.layer(call.along(FULL))
    assert distance([found_outputs, *found_state], [outputs, *state]) <= 1e-12


@examples(30)
@given(layer_calls(reference_cell_specs()))
def test_cutting_error_paths_changes_no_value(call: LayerCase) -> None:
    whole = reference.layer(call.along(FULL))
    cut = reference.layer(call.along(TRUNCATED))
    assert torch.equal(whole[0], cut[0])
    assert all(torch.equal(one, other) for one, other in zip(whole[1], cut[1], strict=True))
