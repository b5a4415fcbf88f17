"""The online rule in plain PyTorch, one network and one step at a time: the living definition of the kernels of
csrc/online, and what runs where they could not be built (1997 paper, appendix A.1; docs/notation.md has the names)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.cell import Squash
from longlag.errors import InputError
from longlag.online.streams import DEFAULT_OPTIONS, Answers, Numbers, ReadOptions, Stream
from longlag.online.topology import Topology

__all__ = ["Reference", "ReferenceNetworks"]


def _value_and_slope(squash: Squash, net: Tensor) -> tuple[Tensor, Tensor]:
    """Returns y and dy/dnet. sigma and 1 - sigma are computed apart, so that a saturated unit keeps a slope."""
    if squash == "identity":
        return net, torch.ones_like(net)
    if squash == "logistic":
        y = torch.sigmoid(net)
        return y, y * torch.sigmoid(-net)
    inner, outer = {"tanh": (2.0, 1.0), "logistic_pm1": (1.0, 1.0), "logistic_pm2": (1.0, 2.0)}[squash]
    slope = 2.0 * torch.sigmoid(inner * net) * torch.sigmoid(-inner * net)
    return outer * torch.tanh(0.5 * inner * net), inner * outer * slope


class Reference:
    """One network: weights, state and traces as tensors, named as in ``state_dict``."""

    def __init__(self, topology: Topology, dtype: torch.dtype) -> None:
        self.topology, self.cell, self.dtype = topology, topology.cell, dtype
        self.numbers = {
            name: torch.zeros(shape, dtype=dtype)
            for name, shape in (topology.weight_shapes | topology.state_shapes).items()
        }
        self.pending = {name: torch.zeros(shape, dtype=dtype) for name, shape in topology.weight_shapes.items()}
        self.rows = topology.cell.rows(topology.hidden_size)
        self.block = torch.arange(topology.hidden_size) // topology.cell.cells_per_block  # of each cell
        self.biased = torch.zeros(topology.cell.row_count(topology.hidden_size), dtype=torch.bool)
        self.biased[list(topology.biased_rows)] = True

    def reset(self) -> None:
        """Sets all activations, states and traces to zero: a new sequence begins."""
        for name in self.topology.state_shapes:
            self.numbers[name].zero_()

    # -- forward -------------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Reads x (I,) by eqs A.4-A.7 and returns the net inputs of the output units. Keeps what learning needs."""
        n, cell, rows = self.numbers, self.cell, self.rows
        recurrent = [n["output"], n["gates"]] if cell.gate_recurrence else [n["output"]] if cell.recurrence else []
        self.source = torch.cat([x, *recurrent, torch.ones(1, dtype=self.dtype)])
        weights = torch.cat([n["weight_ih"], n["weight_hh"], self._bias()[:, None]], dim=1)
        net = weights @ self.source
        peephole = iter(n["weight_peephole"]) if cell.peepholes else None
        gates: list[Tensor] = []
        self.gate_slopes: dict[str, Tensor] = {}

        def gate(name: str, seen: Tensor) -> tuple[Tensor, Tensor]:
            """Returns the gate's activation and its slope, for each cell; 1 and 0 without such a gate."""
            if name not in cell.gates:
                ones = torch.ones(len(n["cells"]), dtype=self.dtype)
                return ones, torch.zeros_like(ones)
            at_gate = net[rows[name]]
            if peephole is not None:
                at_gate = at_gate.index_add(0, self.block, next(peephole) * seen)
            activation, slope = _value_and_slope("logistic", cell.sharpness * at_gate)
            gates.append(activation)
            self.gate_slopes[name] = cell.sharpness * slope
            return activation[self.block], cell.sharpness * slope[self.block]

        # s_t = f_t * s_{t-1} + i_t * g(net_g)
        self.cells_before = n["cells"].clone()
        i, i_slope = gate("i", self.cells_before)
        f, f_slope = gate("f", self.cells_before)
        g, g_slope = _value_and_slope(cell.input_squash, net[rows["g"]])
        if cell.coupled_gates:
            f = 1.0 - i
        n["cells"] = f * self.cells_before + i * g

        # y_t = o_t * h(s_t)
        o, _ = gate("o", n["cells"])
        self.squashed, self.output_slope = _value_and_slope(cell.output_squash, n["cells"])
        units, self.unit_slope = _value_and_slope(cell.unit_squash, net[rows["u"]])
        self.forget, self.output_gate = f, o
        # ds/dnet of what reaches the state (A.12): input gate, forget gate, the cell's own input
        d_state = {
            "i": i_slope * (g - self.cells_before if cell.coupled_gates else g),
            "f": f_slope * self.cells_before,
        }
        self.d_state = {name: value for name, value in d_state.items() if name in cell.gates} | {"g": i * g_slope}
        n["output"] = torch.cat([o * self.squashed, units])
        n["gates"] = torch.cat([*gates, n["output"][:0]])
        seen = [n["output"], x] if self.topology.reads == "cells+inputs" else [n["output"]]
        self.seen = torch.cat([*seen, torch.ones(1, dtype=self.dtype)])
        return self._readout() @ self.seen

    def _bias(self) -> Tensor:
        bias = torch.zeros(len(self.biased), dtype=self.dtype)
        if self.topology.bias:
            bias[self.biased] = self.numbers["bias"]
        return bias

    def _readout(self) -> Tensor:
        bias = self.numbers.get("readout.bias", torch.zeros(self.topology.output_size, dtype=self.dtype))
        return torch.cat([self.numbers["readout.weight"], bias[:, None]], dim=1)

    # -- learning ------------------------------------------------------------------------------------------------------

    def update_traces(self) -> None:
        """Adds a step to every trace by eqs A.23 and A.25. A forget gate multiplies what was there."""
        n, block = self.numbers, self.block
        for trace, d_state in zip(n["traces"], self.d_state.values(), strict=True):
            trace.mul_(self.forget[:, None]).add_(torch.outer(d_state, self.source))
        if self.cell.peepholes:
            block_states = self.cells_before.view(-1, self.cell.cells_per_block)[block]  # of each cell's block
            gates = (name for name in self.d_state if name != "g")
            for trace, name in zip(n["peephole_traces"], gates, strict=True):
                trace.mul_(self.forget[:, None]).add_(self.d_state[name][:, None] * block_states)

    def changes(self, error: Tensor) -> dict[str, Tensor]:
        """Changes of the weights by output errors e_k (K,) times the learning rate: eqs A.17-A.22, A.24, A.26."""
        n, rows, hidden = self.numbers, self.rows, self.topology.hidden_size
        seen_error = n["readout.weight"].T @ error
        state_error = seen_error[:hidden] * self.output_gate * self.output_slope
        full = torch.zeros(len(self.biased), len(self.source), dtype=self.dtype)
        output_gate_error = None
        for trace, name in zip(n["traces"], self.d_state, strict=True):
            change = state_error[:, None] * trace
            if name == "g":
                full[rows["g"]] = change
            else:
                full[rows[name]] = full[rows[name]].index_add(0, self.block, change)
        if "o" in self.cell.gates:
            by_block = torch.zeros(len(self.gate_slopes["o"]), dtype=self.dtype)
            by_block = by_block.index_add(0, self.block, self.squashed * seen_error[:hidden])
            output_gate_error = self.gate_slopes["o"] * by_block
            full[rows["o"]] = torch.outer(output_gate_error, self.source)
        units = self.cell.conventional_units
        full[rows["u"]] = torch.outer(seen_error[hidden : hidden + units] * self.unit_slope, self.source)
        inputs = self.topology.input_size
        changes = {"weight_ih": full[:, :inputs], "weight_hh": full[:, inputs:-1]}
        if self.topology.bias:
            changes["bias"] = full[self.biased, -1]
        if self.cell.peepholes:
            changes["weight_peephole"] = self._peephole_changes(state_error, output_gate_error)
        readout = torch.outer(error, self.seen)
        changes["readout.weight"] = readout[:, :-1]
        if self.topology.output_bias:
            changes["readout.bias"] = readout[:, -1]
        return changes

    def _peephole_changes(self, state_error: Tensor, output_gate_error: Tensor | None) -> Tensor:
        size = self.cell.cells_per_block
        changes = []
        for trace in self.numbers["peephole_traces"]:
            by_block = (state_error[:, None] * trace).view(-1, size, size).sum(1)  # over the cells of the gate's block
            changes.append(by_block.reshape(-1))
        if output_gate_error is not None:
            changes.append(output_gate_error[self.block] * self.numbers["cells"])
        return torch.stack(changes)

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, stream: Stream, options: ReadOptions, learning_rate: float) -> Answers:
        """Steps through a stream; see ``Engine.read``."""
        topology, at_ends = self.topology, options.update == "sequence"
        ends = {len(stream.inputs) - 1} if stream.lengths is None else {int(n) - 1 for n in np.cumsum(stream.lengths)}
        outputs: list[Tensor] = []
        errors: list[Tensor] = []
        if stream.lengths is not None:
            self.reset()
        for t, symbol in enumerate(stream.inputs):
            net = self.forward(self._vector(symbol, topology.input_size))
            y, slope = _value_and_slope(topology.output_activation, net)
            if options.learn:
                self.update_traces()
            if options.every_step or t in ends:
                target = y
                if stream.targets is not None:
                    target = self._vector(stream.targets[len(outputs)], topology.output_size)
                outputs.append(y)
                errors.append(target - y)
                if options.learn and stream.targets is not None:
                    error = learning_rate * errors[-1] * (slope if topology.loss == "squared" else 1.0)
                    if not self._learn(error, at_ends):
                        errors[-1] = torch.full_like(errors[-1], torch.nan)
            if t in ends and stream.lengths is not None:
                if options.learn and at_ends and not self._apply_pending():
                    errors[-1] = torch.full_like(errors[-1], torch.nan)
                self.reset()
        size = torch.stack(errors).abs()
        return Answers(torch.stack(outputs).numpy(), size.amax(1).numpy(), size.mean(1).numpy())

    def _learn(self, error: Tensor, at_ends: bool) -> bool:
        """Makes the changes that leave finite numbers; returns whether all of them do."""
        changed = self.pending if at_ends else self.numbers
        finite = torch.isfinite(error)
        changes = self.changes(torch.where(finite, error, 0.0))
        committed = [_commit(changed[name], change) for name, change in changes.items()]
        return bool(finite.all()) and all(committed)

    def _apply_pending(self) -> bool:
        committed = [_commit(self.numbers[name], change) for name, change in self.pending.items()]
        for change in self.pending.values():
            change.zero_()
        return all(committed)

    def _vector(self, value: Any, size: int) -> Tensor:
        if np.ndim(value) == 0:
            return torch.nn.functional.one_hot(torch.tensor(int(value)), size).to(self.dtype)
        return torch.from_numpy(np.asarray(value)).to(self.dtype)


def _commit(weight: Tensor, change: Tensor) -> bool:
    """Adds a change to a weight where the sum is finite; returns whether it is everywhere."""
    after = weight + change
    finite = torch.isfinite(after)
    weight.copy_(torch.where(finite, after, weight))
    return bool(finite.all())


class ReferenceNetworks:
    """Some networks of one topology, one after the other. An ``Engine``; it runs on one thread."""

    def __init__(self, topology: Topology, count: int, *, wide: bool = False) -> None:
        self.topology = topology
        self._nets = [Reference(topology, torch.float64 if wide else torch.float32) for _ in range(count)]
        self._snapshot: list[dict[str, Tensor]] = []

    def memory(self) -> int:
        """Returns bytes that weights, pending changes, states and traces take."""
        return sum(
            value.numel() * value.element_size() for net in self._nets for value in (net.numbers | net.pending).values()
        )

    def load(self, network: int | None, numbers: Numbers, *, pending: bool = False) -> None:
        """See ``Engine.load``."""
        for net in self._nets if network is None else [self._nets[network]]:
            for name, value in numbers.items():
                tensors = net.pending if pending and name in net.pending else net.numbers
                tensors[name].copy_(torch.from_numpy(value))

    def dump(
        self, network: int, names: Sequence[str] | None = None, *, pending: bool = False, from_snapshot: bool = False
    ) -> dict[str, NDArray[Any]]:
        """See ``Engine.dump``."""
        net = self._nets[network]
        tensors: Mapping[str, Tensor] = net.numbers | net.pending if pending else net.numbers
        if from_snapshot and not self._snapshot:
            raise InputError("there is no snapshot to dump from; expected snapshot() before")
        if from_snapshot:
            tensors = self._snapshot[network]
        return {name: tensors[name].numpy().copy() for name in (net.numbers if names is None else names)}

    def snapshot(self) -> None:
        """See ``Engine.snapshot``."""
        self._snapshot = [{name: value.clone() for name, value in net.numbers.items()} for net in self._nets]

    def read(self, streams: Sequence[Stream], options: ReadOptions = DEFAULT_OPTIONS) -> list[Answers]:
        """See ``Engine.read``. Answers hold outputs whether or not they are wanted."""
        rates = np.broadcast_to(options.learning_rate, len(self._nets))
        answers = []
        for net, stream, rate in zip(self._nets, streams, rates, strict=True):
            state = {name: net.numbers[name].clone() for name in self.topology.state_shapes}
            answers.append(net.read(stream, options, float(rate)))
            if options.restore_state:
                net.numbers |= state
        return answers
