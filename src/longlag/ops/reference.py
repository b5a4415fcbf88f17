"""The equations of one layer in readable PyTorch, differentiated by autograd: the living definition.

Every device and dtype, differentiable any number of times. Every other engine is measured against this one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.ops.engine import COMMON_FIELDS, Engine, LayerCall
from longlag.ops.layer import State, by_cell, by_gate
from longlag.ops.squash import SQUASH

__all__ = ["FIELDS", "ReferenceEngine", "layer", "step"]

FIELDS = COMMON_FIELDS
"""The fields of ``CellSpec`` that the equations below implement. One that no other engine knows is added here."""


class ReferenceEngine(Engine):
    """``layer`` as an engine, "reference": any cell, device and number type."""

    name = "reference"
    fields = FIELDS
    wishes = frozenset({"truncated"})

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        return layer(call)


def layer(call: LayerCall) -> tuple[Tensor, State]:
    """See ``Engine.run``. Time and memory grow with T; autograd keeps every step."""
    weights, state, lengths = call.weights, call.state, call.lengths
    net = call.inputs @ weights.input.T  # W x_t for all t at once: it waits for nothing
    if weights.bias is not None:
        net = net + weights.bias
    outputs = []
    for t, net_t in enumerate(net.unbind(0)):  # not net[t], whose gradients would each fill the whole tensor
        new = step(call, net_t, state)
        if lengths is None:
            state = new
            outputs.append(new.output)
        else:
            running = (t < lengths)[:, None]
            state = State(*(torch.where(running, after, before) for after, before in zip(new, state, strict=True)))
            outputs.append(torch.where(running, new.output, 0.0))
    if not outputs:
        return call.inputs.new_zeros((0, *state.output.shape)), state
    return torch.stack(outputs), state


def step(call: LayerCall, net: Tensor, state: State) -> State:
    """Compute one time step; return the state after it. ``net`` (B, rows) is W x_t + b; ``state``: after step t-1.

    ``call.options`` says whether it is training and what random numbers come from; ``call.extra`` has the parameters
    that options of the cell bring.
    """
    spec, weights, paths = call.spec, call.weights, call.paths
    # r_{t-1} = y_{t-1}, or [y_{t-1}, gate activations_{t-1}]
    if spec.recurrence:
        source = torch.cat([state.output, state.gates], dim=-1) if spec.gate_recurrence else state.output
        net = net + paths.through_recurrence(source) @ weights.recurrent.T
    rows = spec.rows(state.cells.shape[-1])
    gates: dict[str, Tensor] = {}

    def gate(name: str, seen: Tensor) -> Tensor:
        # sigma(alpha * (net + sum over the block's cells of p * s))
        at_gate = net[:, rows[name]]
        if weights.peephole is not None:
            peephole = weights.peephole[spec.gates.index(name)]
            at_gate = at_gate + by_gate(peephole * paths.through_peepholes(seen), spec)
        gates[name] = torch.sigmoid(spec.sharpness * at_gate)
        return by_cell(gates[name], spec)

    # s_t = f_t * s_{t-1} + i_t * g(net_g)
    added = SQUASH[spec.input_squash](net[:, rows["g"]])
    retained = state.cells
    if spec.input_gate:
        opened = gate("i", state.cells)
        added = opened * added
        if spec.coupled_gates:
            retained = (1.0 - opened) * retained
    if "f" in spec.gates:
        retained = gate("f", state.cells) * retained
    cells = retained + added

    # y_t = o_t * h(s_t)
    output = SQUASH[spec.output_squash](cells)
    if spec.output_gate:
        output = gate("o", cells) * output
    if weights.projection is not None:
        output = output @ weights.projection.T
    if spec.conventional_units:
        units = SQUASH[spec.unit_squash](net[:, rows["u"]])
        output = torch.cat([output, units], dim=-1)
    activations = torch.cat([gates[name] for name in spec.gates], dim=-1) if spec.gate_recurrence else state.gates
    return State(output, cells, activations)
