"""Steps of csrc/online against 40 digits: states, outputs, and what errors do to every weight.

The oracle knows no traces. It writes the error of a short sequence as a function of the weights, in which the recurrent
sources and the states that gates see are constants (the paths that truncation cuts), and differentiates that function
numerically.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from equivalence.engines import instructions
from longlag import CellSpec
from longlag.online.streams import ReadOptions, Stream
from longlag.online.topology import Topology

_native = pytest.importorskip("longlag._native", reason="the compiled module was not built", exc_type=ImportError)

CELLS = {
    "1997 blocks": CellSpec.hochreiter1997(cells_per_block=2, conventional_units=1, biases="gates"),
    "forget gates and peepholes": CellSpec(
        peepholes=True, gate_recurrence=True, sharpness=1.5, input_squash="logistic_pm2", biases="single"
    ),
    "coupled gates": CellSpec(cells_per_block=2, coupled_gates=True, peepholes=True, biases="single"),
}
STEPS = 3
EXACT = 1e-13
"""Relative; a float64 sum of some twenty terms, a few times over, keeps 14 digits."""


def squash(kind: str, net: Any) -> Any:
    if kind == "identity":
        return net
    if kind == "tanh":
        return mpmath.tanh(net)
    sigma = 1 / (1 + mpmath.exp(-net))
    return {"logistic": sigma, "logistic_pm1": 2 * sigma - 1, "logistic_pm2": 4 * sigma - 2}[kind]


class Oracle:
    """One network in mpmath numbers, lists of lists, step by step."""

    def __init__(self, topology: Topology, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.topology, self.cell, self.inputs, self.targets = topology, topology.cell, inputs, targets
        self.hidden = topology.hidden_size
        self.rows = topology.cell.rows(self.hidden)
        self.size = topology.cell.cells_per_block

    def run(self, weights: dict[str, Any], frozen: list[Any] | None = None) -> tuple[Any, list[Any], list[Any]]:
        """The error of the sequence, its frozen parts step by step, and outputs, cells and gates after each step.

        ``frozen``: recurrent sources and seen states to use instead of this run's own.
        """
        cell, hidden, size = self.cell, self.hidden, self.size
        bias = dict(zip(self.topology.biased_rows, weights["bias"], strict=True))
        output = [mpmath.mpf(0)] * (hidden + cell.conventional_units)
        cells, gates, error = [mpmath.mpf(0)] * hidden, [mpmath.mpf(0)] * cell.gate_size(hidden), mpmath.mpf(0)
        parts, history = [], []
        for t in range(STEPS):
            recurrent = output + gates if cell.gate_recurrence else output
            source, seen, seen_now = (recurrent, cells, None) if frozen is None else frozen[t]
            net = [
                sum(w * float(x) for w, x in zip(weights["weight_ih"][r], self.inputs[t], strict=True))
                + sum(w * x for w, x in zip(weights["weight_hh"][r], source, strict=True))
                + bias.get(r, 0)
                for r in range(cell.row_count(hidden))
            ]

            def gate(kind: str, states: Any, net: Any = net) -> list[Any]:
                found = []
                for b, row in enumerate(range(self.rows[kind].start, self.rows[kind].stop)):
                    total = net[row]
                    if cell.peepholes:
                        peephole = weights["weight_peephole"][cell.gates.index(kind)]
                        total += sum(peephole[c] * states[c] for c in range(b * size, (b + 1) * size))
                    found.append(squash("logistic", cell.sharpness * total))
                return found

            by_kind = {kind: gate(kind, seen) for kind in cell.gates if kind != "o"}
            i = by_kind["i"]
            f = [1 - a for a in i] if cell.coupled_gates else by_kind.get("f", [mpmath.mpf(1)] * len(i))
            g = [squash(cell.input_squash, net[row]) for row in range(self.rows["g"].start, self.rows["g"].stop)]
            cells = [f[c // size] * cells[c] + i[c // size] * g[c] for c in range(hidden)]
            by_kind["o"] = gate("o", cells if seen_now is None else seen_now)
            o, h = by_kind["o"], [squash(cell.output_squash, state) for state in cells]
            units = [squash(cell.unit_squash, net[row]) for row in range(self.rows["u"].start, self.rows["u"].stop)]
            output = [o[c // size] * h[c] for c in range(hidden)] + units
            gates = [value for kind in cell.gates for value in by_kind[kind]]
            answers = [
                squash(self.topology.output_activation, sum(w * x for w, x in zip(row, output, strict=True)) + b)
                for row, b in zip(weights["readout.weight"], weights["readout.bias"], strict=True)
            ]
            error += sum((float(d) - y) ** 2 for d, y in zip(self.targets[t], answers, strict=True)) / 2
            parts.append((source, seen, cells))
            history.append((answers, output, cells, gates))
        return error, parts, history

    def changes(self, weights: dict[str, Any]) -> dict[str, np.ndarray]:
        """Minus the gradient of the error, by central differences of 10^-15: exact to 30 digits of 40 and more."""
        frozen = self.run(weights)[1]
        step = mpmath.mpf(10) ** -15
        found = {}
        for name, values in weights.items():
            flat = np.array(values, dtype=object)
            change = np.zeros(flat.shape)
            for place in np.ndindex(flat.shape):
                ends = []
                for sign in (1, -1):
                    moved = flat.copy()
                    moved[place] = flat[place] + sign * step
                    ends.append(self.run(weights | {name: moved.tolist()}, frozen)[0])
                change[place] = -(ends[0] - ends[1]) / (2 * step)
            found[name] = change
        return found


@pytest.mark.parametrize("label", CELLS)
def test_states_outputs_and_changes_of_weights_are_those_of_forty_digits(label):
    from longlag.online.networks import Networks

    cell, rng = CELLS[label], np.random.default_rng(1)
    topology = Topology(input_size=2, output_size=2, hidden_size=2 * cell.cells_per_block, cell=cell)
    numbers = {name: rng.uniform(-1, 1, shape) for name, shape in topology.weight_shapes.items()}
    inputs, targets = rng.uniform(-1, 1, (STEPS, 2)), rng.uniform(0, 1, (STEPS, 2))
    with mpmath.workdps(40):
        oracle = Oracle(topology, inputs, targets)
        weights = {
            name: [[mpmath.mpf(float(w)) for w in row] for row in np.atleast_2d(value)]
            for name, value in numbers.items()
        }
        weights = {name: value if numbers[name].ndim == 2 else value[0] for name, value in weights.items()}
        _, _, history = oracle.run(weights)
        expected = oracle.changes(weights)
    states = {name: [float(value) for value in history[-1][k]] for k, name in ((1, "output"), (2, "cells"))}
    if cell.gates:
        states["gates"] = [float(value) for value in history[-1][3]]
    answers = np.array([[float(y) for y in step[0]] for step in history])
    options = ReadOptions(learning_rate=1.0, update="sequence", outputs=True)
    for name in _native.instruction_sets():
        for lanes in ("networks", "units"):
            with instructions(name):
                made = Networks(topology, 1, wide=True, lanes=lanes)
                made.load(0, numbers)
                found = made.read([Stream(inputs=inputs, targets=targets)], options)[0]
                np.testing.assert_allclose(found.outputs, answers, rtol=EXACT)
                for part, value in states.items():
                    np.testing.assert_allclose(made.dump(0, [part])[part], value, rtol=EXACT, err_msg=part)
                for part, change in made.dump(0, list(numbers), pending=True).items():
                    np.testing.assert_allclose(change, expected[part], rtol=EXACT, atol=1e-16, err_msg=part)
