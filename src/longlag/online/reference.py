"""The online rule in plain PyTorch, one network and one step at a time: the living definition of the kernels of
csrc/online, and what runs where they could not be built (1997 paper, appendix A.1; docs/notation.md has the names)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.cell import Squash
from longlag.online.streams import Answers, Numbers, Stream, Update
from longlag.online.topology import Topology

__all__ = ["Reference", "ReferenceNetworks"]


def _answer(kind: Squash, net: Tensor) -> tuple[Tensor, Tensor]:
    """y and dy/dnet. sigma and 1 - sigma are computed apart, so that a saturated unit keeps a slope."""
    if kind == "identity":
        return net, torch.ones_like(net)
    if kind == "logistic":
        y = torch.sigmoid(net)
        return y, y * torch.sigmoid(-net)
    inner, outer = {"tanh": (2.0, 1.0), "logistic_pm1": (1.0, 1.0), "logistic_pm2": (1.0, 2.0)}[kind]
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
        self.waiting = {name: torch.zeros(shape, dtype=dtype) for name, shape in topology.weight_shapes.items()}
        self.rows = topology.cell.rows(topology.hidden_size)
        self.block = torch.arange(topology.hidden_size) // topology.cell.cells_per_block  # of each cell
        self.biased = torch.zeros(topology.cell.row_count(topology.hidden_size), dtype=torch.bool)
        self.biased[list(topology.biased_rows)] = True

    def reset(self) -> None:
        """All activations, states and traces to zero: a new sequence."""
        for name in self.topology.state_shapes:
            self.numbers[name].zero_()

    # -- forward -------------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Reads x (I,): eqs A.4-A.7. Returns the net inputs of the output units; keeps what learning needs."""
        n, cell, rows = self.numbers, self.cell, self.rows
        source = [n["output"], n["gates"]] if cell.gate_recurrence else [n["output"]] if cell.recurrence else []
        self.source = torch.cat([x, *source, torch.ones(1, dtype=self.dtype)])
        weights = torch.cat([n["weight_ih"], n["weight_hh"], self._bias()[:, None]], dim=1)
        net = weights @ self.source
        peep = iter(n["weight_peephole"]) if cell.peepholes else None

        def gate(kind: str, seen: Tensor) -> tuple[Tensor, Tensor]:
            if kind not in cell.gates:
                ones = torch.ones(len(n["cells"]), dtype=self.dtype)
                return ones, torch.zeros_like(ones)
            total = net[rows[kind]]
            if peep is not None:
                total = total.index_add(0, self.block, next(peep) * seen)
            y, slope = _answer("logistic", cell.sharpness * total)
            self.gate_activations.append(y)
            self.gate_slopes[kind] = cell.sharpness * slope
            return y[self.block], cell.sharpness * slope[self.block]

        self.gate_activations: list[Tensor] = []
        self.gate_slopes: dict[str, Tensor] = {}
        self.before = n["cells"].clone()
        i, i_slope = gate("i", self.before)
        f, f_slope = gate("f", self.before)
        g, g_slope = _answer(cell.input_squash, net[rows["g"]])
        if cell.coupled_gates:
            f = 1.0 - i
        n["cells"] = f * self.before + i * g
        o, _ = gate("o", n["cells"])
        self.squashed, self.state_slope = _answer(cell.output_squash, n["cells"])
        units, self.unit_slope = _answer(cell.unit_squash, net[rows["u"]])
        self.open, self.decay = o, f
        # ds/dnet of whatever reaches the state (A.12): input gate, forget gate, the cell's own input
        self.added = {"i": i_slope * (g - self.before if cell.coupled_gates else g), "f": f_slope * self.before}
        self.added = {kind: v for kind, v in self.added.items() if kind in cell.gates} | {"g": i * g_slope}
        n["output"] = torch.cat([o * self.squashed, units])
        n["gates"] = torch.cat([*self.gate_activations, n["output"][:0]])
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

    def follow(self) -> None:
        """Adds a step to every trace: eqs A.23 and A.25, times f where the cell forgets."""
        n, block = self.numbers, self.block
        for trace, added in zip(n["traces"], self.added.values(), strict=True):
            trace.mul_(self.decay[:, None]).add_(torch.outer(added, self.source))
        if self.cell.peepholes:
            own = self.before.view(-1, self.cell.cells_per_block)[block]  # states of the cell's block
            for trace, kind in zip(n["peephole_traces"], (k for k in self.added if k != "g"), strict=True):
                trace.mul_(self.decay[:, None]).add_(self.added[kind][:, None] * own)

    def change(self, error: Tensor) -> dict[str, Tensor]:
        """What output errors e_k (K,), times the rate, do to each weight: eqs A.17-A.22, A.24, A.26."""
        n, rows, hidden = self.numbers, self.rows, self.topology.hidden_size
        towards = n["readout.weight"].T @ error
        state_error = towards[:hidden] * self.open * self.state_slope
        full = torch.zeros(len(self.biased), len(self.source), dtype=self.dtype)
        by_gate = {}
        for trace, kind in zip(n["traces"], self.added, strict=True):
            share = state_error[:, None] * trace
            if kind == "g":
                full[rows["g"]] = share
            else:
                full[rows[kind]] = full[rows[kind]].index_add(0, self.block, share)
        if "o" in self.cell.gates:
            e = torch.zeros(len(self.gate_slopes["o"]), dtype=self.dtype)
            by_gate["o"] = self.gate_slopes["o"] * e.index_add(0, self.block, self.squashed * towards[:hidden])
            full[rows["o"]] = torch.outer(by_gate["o"], self.source)
        units = self.cell.conventional_units
        full[rows["u"]] = torch.outer(towards[hidden : hidden + units] * self.unit_slope, self.source)
        inputs = self.topology.input_size
        found = {"weight_ih": full[:, :inputs], "weight_hh": full[:, inputs:-1]}
        if self.topology.bias:
            found["bias"] = full[self.biased, -1]
        if self.cell.peepholes:
            found["weight_peephole"] = self._peephole_change(state_error, by_gate)
        readout = torch.outer(error, self.seen)
        found["readout.weight"] = readout[:, :-1]
        if self.topology.output_bias:
            found["readout.bias"] = readout[:, -1]
        return found

    def _peephole_change(self, state_error: Tensor, by_gate: Mapping[str, Tensor]) -> Tensor:
        n, size = self.numbers, self.cell.cells_per_block
        found = []
        for trace in n["peephole_traces"]:
            blocks = (state_error[:, None] * trace).view(-1, size, size).sum(1)  # over the cells it changes
            found.append(blocks.reshape(-1))
        if "o" in by_gate:
            found.append(by_gate["o"][self.block] * n["cells"])
        return torch.stack(found)

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, stream: Stream, manner: Manner) -> Answers:
        """Steps through a stream; see ``Engine.read``."""
        topology = self.topology
        ends = {len(stream.inputs) - 1} if stream.lengths is None else {int(n) - 1 for n in np.cumsum(stream.lengths)}
        said: list[Tensor] = []
        offs: list[Tensor] = []
        if stream.lengths is not None:
            self.reset()
        for t, symbol in enumerate(stream.inputs):
            y, slope = _answer(topology.output_activation, self.forward(self._vector(symbol, topology.input_size)))
            if manner.learn:
                self.follow()
            if manner.every_step or t in ends:
                target = y if stream.targets is None else self._vector(stream.targets[len(said)], topology.output_size)
                said.append(y)
                offs.append(target - y)
                if manner.learn and stream.targets is not None:
                    error = manner.rate * offs[-1] * (slope if topology.loss == "squared" else 1.0)
                    if not self._learn(error, manner.at_ends):
                        offs[-1] = torch.full_like(offs[-1], torch.nan)
            if t in ends and stream.lengths is not None:
                if manner.learn and manner.at_ends and not self._apply():
                    offs[-1] = torch.full_like(offs[-1], torch.nan)
                self.reset()
        size = torch.stack(offs).abs()
        return Answers(torch.stack(said).numpy(), size.amax(1).numpy(), size.mean(1).numpy())

    def _learn(self, error: Tensor, at_ends: bool) -> bool:
        """Makes the changes that leave finite numbers; whether that is all of them."""
        into = self.waiting if at_ends else self.numbers
        fine = torch.isfinite(error)
        changes = self.change(torch.where(fine, error, 0.0))
        made = [_commit(into[name], change) for name, change in changes.items()]
        return bool(fine.all()) and all(made)

    def _apply(self) -> bool:
        made = [_commit(self.numbers[name], change) for name, change in self.waiting.items()]
        for change in self.waiting.values():
            change.zero_()
        return all(made)

    def _vector(self, value: Any, size: int) -> Tensor:
        if np.ndim(value) == 0:
            return torch.nn.functional.one_hot(torch.tensor(int(value)), size).to(self.dtype)
        return torch.from_numpy(np.asarray(value)).to(self.dtype)


def _commit(weight: Tensor, change: Tensor) -> bool:
    """Adds what leaves finite numbers; whether that is everything."""
    after = weight + change
    fine = torch.isfinite(after)
    weight.copy_(torch.where(fine, after, weight))
    return bool(fine.all())


class ReferenceNetworks:
    """Some networks of one topology, one after the other. The interface of ``networks.Networks``."""

    def __init__(self, topology: Topology, count: int, *, wide: bool = False) -> None:
        self.topology = topology
        self._nets = [Reference(topology, torch.float64 if wide else torch.float32) for _ in range(count)]

    def memory(self) -> int:
        """Bytes that weights, waiting changes, states and traces take."""
        return sum(
            value.numel() * value.element_size() for net in self._nets for value in (net.numbers | net.waiting).values()
        )

    def put(self, network: int | None, numbers: Numbers, *, waiting: bool = False) -> None:
        """Sets the numbers that are named, of one network or (None) of all."""
        for net in self._nets if network is None else [self._nets[network]]:
            for name, value in numbers.items():
                into = net.waiting if waiting and name in net.waiting else net.numbers
                into[name].copy_(torch.from_numpy(value))

    def take(
        self, network: int, names: Sequence[str] | None = None, *, waiting: bool = False, kept: bool = False
    ) -> dict[str, NDArray[Any]]:
        """A copy of a network's numbers; ``kept``: as they were at ``keep``."""
        net = self._nets[network]
        held = self._kept[network] if kept else net.numbers | net.waiting if waiting else net.numbers
        return {name: held[name].numpy().copy() for name in (net.numbers if names is None else names)}

    def keep(self) -> None:
        """Remembers all numbers as they are now."""
        self._kept = [{name: value.clone() for name, value in net.numbers.items()} for net in self._nets]

    def read(
        self,
        streams: Sequence[Stream],
        *,
        learning_rate: float | NDArray[Any] = 0.0,
        learn: bool = True,
        update: Update = "step",
        every_step: bool = True,
        outputs: bool = False,
        peek: bool = False,
        threads: int = 1,
    ) -> list[Answers]:
        """As ``networks.Networks.read``; one thread, and outputs come whether asked for or not."""
        rates = np.broadcast_to(learning_rate, len(self._nets))
        found = []
        for net, stream, rate in zip(self._nets, streams, rates, strict=True):
            before = {name: net.numbers[name].clone() for name in self.topology.state_shapes} if peek else {}
            found.append(net.read(stream, Manner(float(rate), learn, update == "sequence", every_step)))
            net.numbers |= before
        return found


@dataclass(frozen=True)
class Manner:
    """How streams are read; see ``Engine.read``."""

    rate: float
    learn: bool
    at_ends: bool
    every_step: bool
