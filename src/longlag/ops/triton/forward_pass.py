"""The forward pass of one layer over plain tensors: W x for all steps at once, then the kernel."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from longlag.ops.layer import State, Weights
from longlag.ops.triton.forward_kernel import forward_kernel
from longlag.ops.triton.graphs import replay
from longlag.ops.triton.launch import (
    KernelTape,
    Launch,
    Plan,
    RecurrentWeights,
    choose_launch,
    constant,
    full_lengths,
    output_buffer,
    side_by_side,
)
from longlag.ops.triton.launch_config import product_rounding, state_dtype

__all__ = ["forward"]


def forward(
    plan: Plan, keep: bool, inputs: Tensor, state: State, weights: Weights, lengths: Tensor | None
) -> tuple[Tensor, State, KernelTape]:
    """Return outputs, the state after each sequence's last step and, with ``keep``, the tape for the way back."""
    steps, samples, _ = inputs.shape
    width = state.output.shape[1]
    # W x_t + b for all steps at once, since it waits for nothing.
    flat = inputs.flatten(0, 1)
    net = flat @ weights.input.T if weights.bias is None else torch.addmm(weights.bias, flat, weights.input.T)
    tensors = (
        net.view(steps, samples, net.shape[1]),
        side_by_side(state.output, state.gates),
        state.cells.to(state_dtype(inputs.dtype)),
        lengths,
        weights.recurrent,
        weights.peephole,
        weights.projection,
    )
    columns = 0 if weights.projection is None else weights.projection.shape[0]
    launch = choose_launch(
        "forward",
        plan,
        net,
        state.cells.shape[1],
        columns,
        lambda candidate, dummies: _pass(plan, candidate, True, *dummies),  # type: ignore[arg-type]
    )
    compute = functools.partial(_pass, plan, launch, keep)
    if plan.resident or not samples or not steps:
        results = compute(*tensors)
    else:
        results = replay((plan, keep, product_rounding(inputs.dtype)), compute, tensors)
    outputs, source, states, *tape = results
    final = State(source[:, :width].contiguous(), states.to(inputs.dtype), source[:, width:].contiguous())
    return outputs, final, KernelTape(*tape)


def _pass(
    plan: Plan,
    launch: Launch,
    keep: bool,
    net: Tensor,
    source: Tensor,
    states: Tensor,
    lengths: Tensor | None,
    recurrent: Tensor,
    peephole: Tensor | None,
    projection: Tensor | None,
) -> tuple[Tensor, ...]:
    """From W x_t + b, which it overwrites: outputs, source and states after each last step, and the tape."""
    steps, samples, rows = net.shape
    outputs = output_buffer(net, lengths, steps, samples, launch.geo.columns + launch.geo.conventional)
    tape = KernelTape(
        output_buffer(net, lengths, steps if keep else 0, samples, rows),
        output_buffer(net, lengths, steps + 1 if keep else 0, *states.shape, dtype=states.dtype),
    )
    if keep:
        tape.states[0] = states
    if samples and steps:
        weights = RecurrentWeights(recurrent, peephole, projection)
        run = _ForwardRun(plan, launch, weights, net, outputs, tape, lengths)
        source, states = run.all_steps(source, states) if plan.resident else run.step_by_step(source, states)
    return outputs, source, states, *tape


class _ForwardRun:
    """The tensors of one pass, with which the kernel is launched once or step by step."""

    def __init__(
        self,
        plan: Plan,
        launch: Launch,
        weights: RecurrentWeights,
        net: Tensor,
        outputs: Tensor,
        tape: KernelTape,
        lengths: Tensor | None,
    ) -> None:
        self.plan, self.launch, self.weights = plan, launch, weights
        self.net, self.outputs, self.tape, self.lengths = net, outputs, tape, lengths
        self.full_lengths = full_lengths(net, lengths)
        self.sharpness = constant(float(plan.spec.sharpness), state_dtype(net.dtype), net.device)

    def all_steps(self, source: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Run all steps in one launch."""
        last_source, after = torch.empty_like(source), torch.empty_like(states)
        self._launch(source, last_source, states, after, after, 0, self.net.shape[0])
        return last_source, after

    def step_by_step(self, source: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Run each step as a product, then a launch."""
        source, states = source.clone(), states.clone()  # they are written over
        after, keep = torch.empty_like(states), len(self.tape.states) > 0
        product = self.net.new_empty(states.shape if self.weights.projection is not None else (0,))
        for t in range(self.net.shape[0]):
            if self.plan.spec.recurrence:
                self.net[t].addmm_(source, self.weights.recurrent.T)
            if keep:
                states, after = self.tape.states[t], self.tape.states[t + 1]
            self._launch(source, source, states, after, product, t, t + 1)
            if self.weights.projection is not None:
                self._project(product @ self.weights.projection.T, source, t)
            states, after = after, states
        return source, states

    def _project(self, projected: Tensor, source: Tensor, t: int) -> None:
        columns = projected.shape[1]
        if self.lengths is not None:
            running = (t < self.lengths)[:, None]
            self.outputs[t, :, :columns] = torch.where(running, projected, 0.0)
            projected = torch.where(running, projected, source[:, :columns])
        else:
            self.outputs[t, :, :columns] = projected
        source[:, :columns] = projected

    def _launch(
        self, source: Tensor, last_source: Tensor, before: Tensor, after: Tensor, product: Tensor, first: int, last: int
    ) -> None:
        samples = self.net.shape[1]
        with torch.cuda.device_of(self.net):
            forward_kernel[self.launch.grid(samples)](
                self.net,
                self.weights.recurrent,
                self.weights.peephole,
                self.weights.projection,
                self.sharpness,
                self.full_lengths,
                source,
                last_source,
                before,
                after,
                self.outputs,
                self.tape.activations,
                self.tape.states,
                product,
                first,
                last,
                samples,
                KEEP=len(self.tape.states) > 0,
                **self.launch.constants,
            )
