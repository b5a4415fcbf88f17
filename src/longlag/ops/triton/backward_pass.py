"""The backward pass of one layer over plain tensors: the kernel between errors from above and errors of net inputs."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from longlag.ops.layer import State, Weights
from longlag.ops.triton.backward_kernel import backward_kernel
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

__all__ = ["Errors", "backward"]


class Errors(NamedTuple):
    """What a layer's backward pass computes; gradients of the weights follow from it.

    delta : (T, B, rows) dE/dnet. columns : (T, B, P) dE/dy of what a projection gives. peephole : (gates, H) dE/dp,
    where the kernel has summed it. state : errors of the state before step 0.
    """

    delta: Tensor
    columns: Tensor | None
    peephole: Tensor | None
    state: State


def backward(
    plan: Plan,
    inputs: Tensor,
    state: State,
    weights: Weights,
    lengths: Tensor | None,
    tape: KernelTape,
    grads: tuple[Tensor, ...],
) -> Errors:
    """Return errors of net inputs and of the initial state, from those of outputs and the three parts of a state."""
    steps, samples, _ = inputs.shape
    width = state.output.shape[1]
    d_outputs, d_output, d_cells, d_gates = grads
    tensors = (
        d_outputs.contiguous(),
        side_by_side(d_output, d_gates),
        d_cells.to(state_dtype(inputs.dtype)).contiguous(),
        *tape,
        lengths,
        weights.recurrent,
        weights.peephole,
        weights.projection,
    )
    columns = 0 if weights.projection is None else weights.projection.shape[0]
    launch = choose_launch(
        "backward",
        plan,
        tape.activations,
        state.cells.shape[1],
        columns,
        lambda candidate, dummies: _pass(plan, candidate, *dummies),  # type: ignore[arg-type]
    )
    compute = functools.partial(_pass, plan, launch)
    if plan.resident or not samples or not steps:
        results = compute(*tensors)
    else:
        results = replay((plan, product_rounding(inputs.dtype)), compute, tensors)
    delta, d_columns, d_peephole, d_source, d_states = results
    assert delta is not None and d_source is not None and d_states is not None
    d_state = State(d_source[:, :width], d_states.to(inputs.dtype), d_source[:, width:])
    return Errors(delta, d_columns, d_peephole, d_state)


def _pass(
    plan: Plan,
    launch: Launch,
    d_outputs: Tensor,
    d_source: Tensor,
    d_states: Tensor,
    activations: Tensor,
    states: Tensor,
    lengths: Tensor | None,
    recurrent: Tensor,
    peephole: Tensor | None,
    projection: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """Return errors of net inputs, projected outputs and peepholes, then of source and states before step 0."""
    steps, samples, _ = activations.shape
    d_peephole = None
    delta = output_buffer(activations, lengths, *activations.shape)
    columns = None if projection is None else output_buffer(activations, lengths, steps, samples, projection.shape[0])
    if samples and steps:
        weights, tape = RecurrentWeights(recurrent, peephole, projection), KernelTape(activations, states)
        run = _BackwardRun(plan, launch, weights, tape, d_outputs, delta, columns, lengths)
        through = run.all_steps if plan.resident else run.step_by_step
        d_source, d_states = through(d_source, d_states)
        d_peephole = None if run.d_peephole is None else run.d_peephole.sum(0).to(activations.dtype)
    return delta, columns, d_peephole, d_source, d_states


class _BackwardRun:
    """The tensors of one pass, with which the kernel is launched once or step by step."""

    def __init__(
        self,
        plan: Plan,
        launch: Launch,
        weights: RecurrentWeights,
        tape: KernelTape,
        d_outputs: Tensor,
        delta: Tensor,
        columns: Tensor | None,
        lengths: Tensor | None,
    ) -> None:
        self.plan, self.launch, self.weights, self.tape = plan, launch, weights, tape
        self.d_outputs, self.delta, self.columns, self.lengths = d_outputs, delta, columns, lengths
        self.d_peephole = None
        if plan.resident and weights.peephole is not None:
            self.d_peephole = tape.states.new_empty(launch.grid(delta.shape[1])[0], *weights.peephole.shape)
        self.full_lengths = full_lengths(d_outputs, lengths)
        self.sharpness = constant(float(plan.spec.sharpness), tape.states.dtype, delta.device)

    def all_steps(self, d_source: Tensor, d_states: Tensor) -> tuple[Tensor, Tensor]:
        """Run all steps in one launch."""
        d_before, d_first = torch.empty_like(d_source), torch.empty_like(d_states)
        self._launch(d_source, d_before, d_states, d_first, d_first, 0, self.delta.shape[0])
        return d_before, d_first

    def step_by_step(self, d_source: Tensor, d_states: Tensor) -> tuple[Tensor, Tensor]:
        """Run each step as a launch, then a product."""
        d_source, d_states = d_source.clone(), d_states.clone()  # they are written over
        d_before, d_first = torch.empty_like(d_source), torch.empty_like(d_states)
        d_product = d_first
        for t in reversed(range(self.delta.shape[0])):
            if self.weights.projection is not None:
                d_product = self._unproject(d_source, d_before, t) @ self.weights.projection
            self._launch(d_source, d_before, d_states, d_first, d_product, t, t + 1)
            if self.plan.spec.recurrence and self.plan.paths.recurrent:
                # Delta is zero where a sequence has ended, so what waits for its last step is untouched.
                d_before.addmm_(self.delta[t], self.weights.recurrent)
            d_source, d_before = d_before, d_source
            d_states, d_first = d_first, d_states
        return d_source, d_states

    def _unproject(self, d_source: Tensor, d_before: Tensor, t: int) -> Tensor:
        assert self.columns is not None
        columns = self.columns.shape[2]
        error, waiting = self.d_outputs[t, :, :columns] + d_source[:, :columns], torch.zeros_like(d_source[:, :columns])
        if self.lengths is not None:
            running = (t < self.lengths)[:, None]
            error, waiting = torch.where(running, error, 0.0), torch.where(running, 0.0, d_source[:, :columns])
        d_before[:, :columns] = waiting
        self.columns[t] = error
        return error

    def _launch(
        self,
        d_source: Tensor,
        d_before: Tensor,
        d_after: Tensor,
        d_state: Tensor,
        d_product: Tensor,
        first: int,
        last: int,
    ) -> None:
        samples = self.delta.shape[1]
        with torch.cuda.device_of(self.delta):
            backward_kernel[self.launch.grid(samples)](
                self.d_outputs,
                self.tape.activations,
                self.tape.states,
                self.weights.recurrent,
                self.weights.peephole,
                self.weights.projection,
                self.sharpness,
                self.full_lengths,
                d_source,
                d_before,
                d_after,
                d_state,
                self.delta,
                self.columns,
                d_product,
                self.d_peephole,
                first,
                last,
                samples,
                THROUGH_RECURRENCE=self.plan.paths.recurrent,
                THROUGH_PEEPHOLES=self.plan.paths.peepholes,
                **self.launch.constants,
            )
