"""Forward and backward pass of one layer over plain tensors: the large products, and the kernels between them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from longlag.ops.layer import State, Weights
from longlag.ops.triton import rehearsal, tuning
from longlag.ops.triton.backward import backward_kernel
from longlag.ops.triton.forward import forward_kernel
from longlag.ops.triton.graphs import Pass, replayed
from longlag.ops.triton.launch import Call, Kept, Launch, Recurrent, all_lengths, blank, number
from longlag.ops.triton.tiles import Kernel, Tile, candidates, chip_of, precision, state_type

__all__ = ["Call", "Errors", "Kept", "backward", "forward"]


def _launch(kernel: Kernel, call: Call, like: Tensor, hidden: int, columns: int) -> Launch:
    """How the layer's kernel is launched: as ``tiles`` says, or as was measured to be fastest if that is wanted.

    Only launches for all steps are timed: a single step is over before the next one can be launched.
    """
    usual = Launch.of(call, like, hidden, columns)
    if not (call.resident and tuning.wanted(like)):
        return usual
    chip = chip_of(like.device)
    rounding = precision(like.dtype, chip)

    def prepare(tile: Tile) -> Callable[[], object]:
        launch = Launch.of(call, like, hidden, columns, tile)
        compute: Pass = functools.partial(_backward_pass, call, launch)
        if kernel == "forward":
            compute = functools.partial(_forward_pass, call, launch, True)
        return functools.partial(compute, *rehearsal.given(kernel, usual.geo, like))

    name = tuning.key(kernel, usual.geo, like.dtype, rounding, like.device)
    worth = candidates(usual.geo, like.dtype, rounding, chip)
    with torch.cuda.device_of(like):
        return Launch.of(call, like, hidden, columns, tuning.fastest(name, worth, prepare))


def _side_by_side(output: Tensor, gates: Tensor) -> Tensor:
    """The source, (B, width). Not a copy where gates are no part of it."""
    return torch.cat([output, gates], dim=1) if gates.shape[1] else output.contiguous()


# ---------------------------------------------------------------- forward


def forward(
    call: Call, keep: bool, inputs: Tensor, state: State, weights: Weights, lengths: Tensor | None
) -> tuple[Tensor, State, Kept]:
    """Outputs, the state after each sequence's last step and, with ``keep``, what the way back needs."""
    steps, samples, _ = inputs.shape
    width = state.output.shape[1]
    # W x_t + b for all steps at once: it waits for nothing
    flat = inputs.flatten(0, 1)
    net = flat @ weights.input.T if weights.bias is None else torch.addmm(weights.bias, flat, weights.input.T)
    given = (
        net.view(steps, samples, net.shape[1]),
        _side_by_side(state.output, state.gates),
        state.cells.to(state_type(inputs.dtype)),
        lengths,
        *weights[1:2],
        *weights[3:],
    )
    columns = 0 if weights.projection is None else weights.projection.shape[0]
    launch = _launch("forward", call, net, state.cells.shape[1], columns)
    compute = functools.partial(_forward_pass, call, launch, keep)
    if call.resident or not samples or not steps:
        found = compute(*given)
    else:
        found = replayed((call, keep, precision(inputs.dtype)), compute, given)
    outputs, source, cells, units, kept_cells = found
    assert outputs is not None and source is not None and cells is not None
    assert units is not None and kept_cells is not None
    final = State(source[:, :width].contiguous(), cells.to(inputs.dtype), source[:, width:].contiguous())
    return outputs, final, Kept(units, kept_cells)


def _forward_pass(
    call: Call,
    launch: Launch,
    keep: bool,
    net: Tensor,
    source: Tensor,
    cells: Tensor,
    lengths: Tensor | None,
    recurrent: Tensor,
    peephole: Tensor | None,
    projection: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """From W x_t + b, which it overwrites: outputs, source and states after each last step, and what is ``Kept``."""
    steps, samples, rows = net.shape
    outputs = blank(net, lengths, steps, samples, launch.geo.columns + launch.geo.conventional)
    kept = Kept(
        blank(net, lengths, steps if keep else 0, samples, rows),
        blank(net, lengths, steps + 1 if keep else 0, *cells.shape, dtype=cells.dtype),
    )
    if keep:
        kept.cells[0] = cells
    if samples and steps:
        weights = Recurrent(recurrent, peephole, projection)
        run = _Forward(call, launch, weights, net, outputs, kept, lengths)
        source, cells = run.sequence(source, cells) if call.resident else run.step_by_step(source, cells)
    return outputs, source, cells, *kept


class _Forward:
    def __init__(
        self,
        call: Call,
        launch: Launch,
        weights: Recurrent,
        net: Tensor,
        outputs: Tensor,
        kept: Kept,
        lengths: Tensor | None,
    ) -> None:
        self.call, self.launch, self.weights = call, launch, weights
        self.net, self.outputs, self.kept, self.lengths = net, outputs, kept, lengths
        self.filled = all_lengths(net, lengths)
        self.sharpness = number(float(call.spec.sharpness), state_type(net.dtype), net.device)

    def sequence(self, source: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """All steps in one launch."""
        last_source, after = torch.empty_like(source), torch.empty_like(cells)
        self._run(source, last_source, cells, after, after, 0, self.net.shape[0])
        return last_source, after

    def step_by_step(self, source: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """A product, then a launch, for each step."""
        source, cells = source.clone(), cells.clone()  # they are written over
        after, keep = torch.empty_like(cells), len(self.kept.cells) > 0
        product = self.net.new_empty(cells.shape if self.weights.projection is not None else (0,))
        for t in range(self.net.shape[0]):
            if self.call.spec.recurrence:
                self.net[t].addmm_(source, self.weights.recurrent.T)
            if keep:
                cells, after = self.kept.cells[t], self.kept.cells[t + 1]
            self._run(source, source, cells, after, product, t, t + 1)
            if self.weights.projection is not None:
                self._project(product @ self.weights.projection.T, source, t)
            cells, after = after, cells
        return source, cells

    def _project(self, projected: Tensor, source: Tensor, t: int) -> None:
        columns = projected.shape[1]
        if self.lengths is not None:
            running = (t < self.lengths)[:, None]
            self.outputs[t, :, :columns] = torch.where(running, projected, 0.0)
            projected = torch.where(running, projected, source[:, :columns])
        else:
            self.outputs[t, :, :columns] = projected
        source[:, :columns] = projected

    def _run(
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
                self.filled,
                source,
                last_source,
                before,
                after,
                self.outputs,
                self.kept.units,
                self.kept.cells,
                product,
                first,
                last,
                samples,
                KEEP=len(self.kept.cells) > 0,
                **self.launch.constants,
            )


# ---------------------------------------------------------------- backward


class Errors(NamedTuple):
    """Of a layer's backward pass.

    delta : (T, B, rows) dE/dnet. columns : (T, B, P) dE/dy of what a projection gives. peephole : (gates, H) dE/dp,
    where the kernel has summed it. state : errors of the state before step 0.
    """

    delta: Tensor
    columns: Tensor | None
    peephole: Tensor | None
    state: State


def backward(
    call: Call,
    inputs: Tensor,
    state: State,
    weights: Weights,
    lengths: Tensor | None,
    kept: Kept,
    grads: tuple[Tensor, ...],
) -> Errors:
    """Errors of net inputs and of the initial state, from those of outputs and final state (3)."""
    steps, samples, _ = inputs.shape
    width = state.output.shape[1]
    d_outputs, d_output, d_cells, d_gates = grads
    given = (
        d_outputs.contiguous(),
        _side_by_side(d_output, d_gates),
        d_cells.to(state_type(inputs.dtype)).contiguous(),
        *kept,
        lengths,
        *weights[1:2],
        *weights[3:],
    )
    columns = 0 if weights.projection is None else weights.projection.shape[0]
    launch = _launch("backward", call, kept.units, state.cells.shape[1], columns)
    compute = functools.partial(_backward_pass, call, launch)
    if call.resident or not samples or not steps:
        found = compute(*given)
    else:
        found = replayed((call, precision(inputs.dtype)), compute, given)
    delta, d_columns, d_peephole, d_source, d_state = found
    assert delta is not None and d_source is not None and d_state is not None
    return Errors(
        delta, d_columns, d_peephole, State(d_source[:, :width], d_state.to(inputs.dtype), d_source[:, width:])
    )


def _backward_pass(
    call: Call,
    launch: Launch,
    d_outputs: Tensor,
    d_source: Tensor,
    d_state: Tensor,
    units: Tensor,
    cells: Tensor,
    lengths: Tensor | None,
    recurrent: Tensor,
    peephole: Tensor | None,
    projection: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """Errors of net inputs, of what a projection gives and of peepholes, then of source and states before step 0."""
    steps, samples, _ = units.shape
    d_peephole = None
    delta = blank(units, lengths, *units.shape)
    columns = None if projection is None else blank(units, lengths, steps, samples, projection.shape[0])
    if samples and steps:
        weights = Recurrent(recurrent, peephole, projection)
        run = _Backward(call, launch, weights, Kept(units, cells), d_outputs, delta, columns, lengths)
        d_source, d_state = run.sequence(d_source, d_state) if call.resident else run.step_by_step(d_source, d_state)
        d_peephole = None if run.peephole is None else run.peephole.sum(0).to(units.dtype)
    return delta, columns, d_peephole, d_source, d_state


class _Backward:
    def __init__(
        self,
        call: Call,
        launch: Launch,
        weights: Recurrent,
        kept: Kept,
        d_outputs: Tensor,
        delta: Tensor,
        columns: Tensor | None,
        lengths: Tensor | None,
    ) -> None:
        self.call, self.launch, self.weights, self.kept = call, launch, weights, kept
        self.d_outputs, self.delta, self.columns, self.lengths = d_outputs, delta, columns, lengths
        self.peephole = None
        if call.resident and weights.peephole is not None:
            self.peephole = kept.cells.new_empty(launch.grid(delta.shape[1])[0], *weights.peephole.shape)
        self.filled = all_lengths(d_outputs, lengths)
        self.sharpness = number(float(call.spec.sharpness), kept.cells.dtype, delta.device)

    def sequence(self, d_source: Tensor, d_state: Tensor) -> tuple[Tensor, Tensor]:
        """All steps in one launch."""
        d_before, d_first = torch.empty_like(d_source), torch.empty_like(d_state)
        self._run(d_source, d_before, d_state, d_first, d_first, 0, self.delta.shape[0])
        return d_before, d_first

    def step_by_step(self, d_source: Tensor, d_state: Tensor) -> tuple[Tensor, Tensor]:
        """A launch, then a product, for each step."""
        d_source, d_state = d_source.clone(), d_state.clone()  # they are written over
        d_before, d_first = torch.empty_like(d_source), torch.empty_like(d_state)
        d_product = d_first
        for t in reversed(range(self.delta.shape[0])):
            if self.weights.projection is not None:
                d_product = self._unproject(d_source, d_before, t) @ self.weights.projection
            self._run(d_source, d_before, d_state, d_first, d_product, t, t + 1)
            if self.call.spec.recurrence and self.call.paths.recurrent:
                # Zero where a sequence has ended: what waits for its last step is untouched.
                d_before.addmm_(self.delta[t], self.weights.recurrent)
            d_source, d_before = d_before, d_source
            d_state, d_first = d_first, d_state
        return d_source, d_state

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

    def _run(
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
                self.kept.units,
                self.kept.cells,
                self.weights.recurrent,
                self.weights.peephole,
                self.weights.projection,
                self.sharpness,
                self.filled,
                d_source,
                d_before,
                d_after,
                d_state,
                self.delta,
                self.columns,
                d_product,
                self.peephole,
                first,
                last,
                samples,
                THROUGH_RECURRENCE=self.call.paths.recurrent,
                THROUGH_PEEPHOLES=self.call.paths.peepholes,
                **self.launch.constants,
            )
