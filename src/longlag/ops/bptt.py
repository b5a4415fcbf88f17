"""Full BPTT by hand (batch paper, eqs 13-18), extended to forget gates, peepholes, blocks and the rest of CellSpec.

The same function as ``ops.reference.layer``; the backward pass is written out instead of recorded: samples lie in
matrix rows, one product per weight matrix serves all steps (eq. 18). Derivation and names: README.md in this folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops.double_backward import differentiable_gradient, is_followed
from longlag.ops.engine import COMMON_FIELDS, Engine, LayerCall
from longlag.ops.layer import State, Weights, by_cell, by_gate, named_tensors
from longlag.ops.paths import GradientPaths
from longlag.ops.squash import SLOPE
from longlag.ops.tape import Tape, record

__all__ = ["BPTTEngine", "layer"]


class BPTTEngine(Engine):
    """``layer`` as an engine, "bptt": any cell, device and number type."""

    name = "bptt"
    fields = COMMON_FIELDS
    wishes = frozenset({"truncated"})

    def run(self, call: LayerCall) -> tuple[Tensor, State]:
        return layer(call)


def layer(call: LayerCall) -> tuple[Tensor, State]:
    """See ``Engine.run``. Second derivatives are taken through the reference."""
    keep = torch.is_grad_enabled()
    outputs, *final = _Layer.apply(  # type: ignore[no-untyped-call]
        call.spec, call.paths, keep, call.lengths, call.inputs, *call.state, *call.weights
    )
    return outputs, State(*final)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, spec: CellSpec, paths: GradientPaths, keep: bool, lengths: Tensor | None, *tensors: Tensor | None
    ) -> Any:
        inputs, state, weights = named_tensors(tensors)
        keep = keep and any(ctx.needs_input_grad)  # which is True for a parameter under no_grad, too
        outputs, final, tape = record(spec, weights, inputs, state, lengths, keep=keep)
        if keep:
            ctx.spec, ctx.paths = spec, paths
            # The lengths too: whoever changes them in place before the way back is told so by autograd.
            ctx.save_for_backward(*tensors, lengths, *tape)  # autograd lets go of it after the backward pass
        # A final state may be the state that came in (T = 0) or part of the tape: hand out its own copy.
        return outputs, *(part.clone() for part in final)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        saved = ctx.saved_tensors  # once: under a checkpoint each look computes them again
        places = len(Tape._fields)
        *tensors, lengths = saved[:-places]
        if is_followed(grads):
            gradients: Sequence[Tensor | None] = differentiable_gradient(ctx.spec, lengths, ctx.paths, tensors, grads)
        else:
            inputs, _, weights = named_tensors(tensors)
            back = _Backward(ctx.spec, weights, ctx.paths, Tape(*saved[-places:]))
            gradients = back.run(inputs, lengths, *grads)
        return None, None, None, None, *gradients


class _Backward:
    """The error's way back, from the last step to the first.

    delta : (T, B, rows) errors of net inputs, dE/dnet (eqs 14, 16, 17). Where a sequence has ended they are zero and
    the error of its state waits, unchanged, for its last step.
    """

    def __init__(self, spec: CellSpec, weights: Weights, paths: GradientPaths, tape: Tape) -> None:
        self.spec, self.weights, self.paths, self.tape = spec, weights, paths, tape
        self.rows = spec.rows(tape.squashed.shape[-1])
        self.delta = torch.empty_like(tape.units)
        self.d_peephole = None if weights.peephole is None else torch.zeros_like(weights.peephole)
        self.d_projection = None if weights.projection is None else torch.zeros_like(weights.projection)

    def run(
        self, inputs: Tensor, lengths: Tensor | None, d_outputs: Tensor, *d_final: Tensor
    ) -> Sequence[Tensor | None]:
        """Return derivatives by inputs, initial state and weights, from those by outputs and final state."""
        carried = State(*d_final)
        for t in reversed(range(inputs.shape[0])):
            # eq. 13: the error of y_t comes from above, and from t+1 through the recurrent weights
            at_output = d_outputs[t] + carried.output
            if lengths is None:
                carried = self._step(t, at_output, carried, None)
            else:
                running = (t < lengths)[:, None]
                new = self._step(t, torch.where(running, at_output, 0.0), carried, running)
                carried = State(*(torch.where(running, a, b) for a, b in zip(new, carried, strict=True)))
        # eq. 18: one product over all samples and steps
        flat = self.delta.flatten(0, 1)
        return (
            self.delta @ self.weights.input,
            *carried,
            flat.T @ inputs.flatten(0, 1),
            flat.T @ self.tape.source.flatten(0, 1),
            None if self.weights.bias is None else flat.sum(0),
            self.d_peephole,
            self.d_projection,
        )

    def _step(self, t: int, at_output: Tensor, carried: State, running: Tensor | None) -> State:
        """Fill ``delta[t]``; ``carried`` is the error of the state after step t, the result that of the one before."""
        spec, rows, units = self.spec, self.rows, self.tape.units[t]
        before, squashed = self.tape.cells[t], self.tape.squashed[t]

        # y = P (o * h(s)), conventional units beside it
        columns = at_output.shape[-1] - spec.conventional_units
        d_product = at_output[:, :columns]
        opened_out = by_cell(units[:, rows["o"]], spec) if spec.output_gate else None
        if self.weights.projection is not None and self.d_projection is not None:
            self.d_projection += d_product.T @ (squashed if opened_out is None else opened_out * squashed)
            d_product = d_product @ self.weights.projection
        if spec.conventional_units:
            value = units[:, rows["u"]]
            self.delta[t][:, rows["u"]] = at_output[:, columns:] * SLOPE[spec.unit_squash](value)

        # eq. 15: the error of s_t comes from y_t, from s_{t+1}, and from the output gate's peephole
        at_squashed = d_product if opened_out is None else d_product * opened_out
        d_state = torch.addcmul(carried.cells, at_squashed, SLOPE[spec.output_squash](squashed))
        if spec.output_gate:
            d_gate = by_gate(d_product * squashed, spec)
            d_state = self._gate(t, "o", d_gate, self.tape.cells[t + 1], d_state, carried.gates, running)

        # eqs 16, 17: into g, the input and the forget gate; what remains goes on to s_{t-1}
        added = units[:, rows["g"]]
        d_added, d_before = d_state, d_state
        if spec.input_gate:
            opened = by_cell(units[:, rows["i"]], spec)
            d_added = d_state * opened
            if spec.coupled_gates:
                d_before = d_state * (1.0 - opened)
        if "f" in rows:
            d_before = d_state * by_cell(units[:, rows["f"]], spec)
        if spec.input_gate:
            d_gate = by_gate(d_state * (added - before if spec.coupled_gates else added), spec)
            d_before = self._gate(t, "i", d_gate, before, d_before, carried.gates, running)
        if "f" in rows:
            d_gate = by_gate(d_state * before, spec)
            d_before = self._gate(t, "f", d_gate, before, d_before, carried.gates, running)
        error = d_added * SLOPE[spec.input_squash](added)
        self.delta[t][:, rows["g"]] = error if running is None else torch.where(running, error, 0.0)

        # through r_{t-1} to the outputs and gate activations of t-1
        if not (spec.recurrence and self.paths.recurrent):
            return State(torch.zeros_like(carried.output), d_before, torch.zeros_like(carried.gates))
        d_source = self.delta[t] @ self.weights.recurrent
        width = carried.output.shape[-1]
        return State(d_source[:, :width], d_before, d_source[:, width:])

    def _gate(
        self,
        t: int,
        name: str,
        d_gate: Tensor,
        seen: Tensor,
        d_seen: Tensor,
        d_carried: Tensor,
        running: Tensor | None,
    ) -> Tensor:
        """Write a gate's error into ``delta[t]`` (eqs 14, 17); return ``d_seen`` with what its peephole adds.

        ``d_gate`` is the error of its activation from this step, ``d_carried`` that of all activations from t+1.
        """
        number, value = self.spec.gates.index(name), self.tape.units[t][:, self.rows[name]]
        if self.spec.gate_recurrence:
            blocks = value.shape[-1]
            d_gate = d_gate + d_carried[:, number * blocks : (number + 1) * blocks]
        error = d_gate * value * (1.0 - value) * self.spec.sharpness
        if running is not None:
            error = torch.where(running, error, 0.0)
        self.delta[t][:, self.rows[name]] = error
        if self.weights.peephole is None or self.d_peephole is None:
            return d_seen
        at_cells = by_cell(error, self.spec)
        self.d_peephole[number] += (at_cells * seen).sum(0)
        return d_seen + self.weights.peephole[number] * at_cells if self.paths.peepholes else d_seen
