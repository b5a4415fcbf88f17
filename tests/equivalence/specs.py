"""Hypothesis strategies: any cell, any network made of it, any loss with targets that fit, any ragged batch.

Choices of structure are drawn one by one, each from what the choices before it allow: nothing is thrown away.
Hypothesis favours the first of a list, and shrinks to it: the first is a case in which something happens (all
gates, several steps, full lengths). Numbers come from a drawn seed, so that shrinking looks for a smaller
structure and not for a rounder weight.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import get_args

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import Tensor

from equivalence.engines import BUILT
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.cell import Squash
from longlag.nn import CrossEntropy, GaussianNLL, Loss, MeanSquaredError, QuantileLoss, SquaredError
from longlag.nn.losses import Reduction
from longlag.ops.engine import CallOptions, LayerCall
from longlag.ops.layer import State, Weights
from longlag.ops.paths import GradientPaths

SEEDS = st.integers(0, 2**31 - 1)
YES_FIRST = st.sampled_from([True, False])
MOSTLY = st.sampled_from([True, True, True, False])
STEPS = st.sampled_from([4, 3, 6, 2, 5, 1, 0])
SAMPLES = st.sampled_from([2, 1, 3, 4])
SQUASHES: SearchStrategy[Squash] = st.sampled_from(get_args(Squash))
PATHS = [GradientPaths(recurrent=one, peepholes=other) for one in (True, False) for other in (True, False)]


REFERENCE_ONLY: dict[str, SearchStrategy[object]] = {}
"""Values of the options that the reference alone computes, the default first: ``reference_cell_specs`` draws them."""


@st.composite
def reference_cell_specs(draw: DrawFn) -> CellSpec:
    """Any cell there can be, with the options that the reference alone computes."""
    options = {name: draw(values) for name, values in REFERENCE_ONLY.items()}
    return dataclasses.replace(draw(cell_specs()), **options)


@st.composite
def cell_specs(draw: DrawFn) -> CellSpec:
    """Any cell that all engines compute which compute more than the plain one."""
    input_gate, output_gate = draw(MOSTLY), draw(MOSTLY)
    forget = draw(st.sampled_from(["own", "none", "coupled"] if input_gate else ["own", "none"]))
    gated = input_gate or output_gate or forget == "own"
    recurrence = draw(MOSTLY)
    return CellSpec(
        cells_per_block=draw(st.integers(1, 3)),
        input_gate=input_gate,
        forget_gate=forget != "none",
        output_gate=output_gate,
        coupled_gates=forget == "coupled",
        peepholes=gated and draw(st.booleans()),
        gate_recurrence=gated and recurrence and draw(st.booleans()),
        input_squash=draw(SQUASHES),
        output_squash=draw(SQUASHES),
        sharpness=draw(st.sampled_from([1.0, 0.5, 3.75])),
        recurrence=recurrence,
        biases=draw(st.sampled_from(["double", "single", "gates"] if gated else ["double", "single"])),
        conventional_units=draw(st.integers(0, 2)),
        unit_squash=draw(SQUASHES),
    )


def hidden_sizes(spec: CellSpec) -> SearchStrategy[int]:
    """1 to 4 cells, in whole blocks."""
    return st.integers(1, 4 // spec.cells_per_block).map(lambda blocks: blocks * spec.cells_per_block)


@st.composite
def lstms(draw: DrawFn, specs: SearchStrategy[CellSpec], *, bidirectional: bool = False) -> LSTM:
    """Any LSTM of one or two layers, float64, with weights large enough for every path to matter."""
    spec = draw(specs)
    hidden = draw(hidden_sizes(spec))
    lstm = LSTM(
        draw(st.integers(1, 3)),
        hidden,
        draw(st.integers(1, 2)),
        bias=draw(YES_FIRST),
        batch_first=draw(st.booleans()),
        bidirectional=bidirectional and draw(st.booleans()),
        proj_size=draw(st.integers(0, hidden - 1)),
        dtype=torch.float64,
        cell=spec,
        backend=draw(st.sampled_from(["auto", "bptt", "reference", *BUILT])),
        learn_sharpness=bool(spec.gates) and draw(st.booleans()),
    )
    return _fill(lstm, draw(SEEDS))


@st.composite
def networks(draw: DrawFn, specs: SearchStrategy[CellSpec], *, outputs: int, bidirectional: bool = False) -> Network:
    """Any output units on top of any LSTM."""
    network = Network(
        draw(lstms(specs, bidirectional=bidirectional)),
        outputs,
        output_activation=draw(SQUASHES),
        reads=draw(st.sampled_from(["cells", "cells+inputs"])),
        bias=draw(YES_FIRST),
    )
    return _fill(network, draw(SEEDS))


def _fill(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0.0, 0.6, generator=random)
    return module


# ---------------------------------------------------------------- what is learned


@dataclass
class Problem:
    """A network, a loss and a batch that fit together."""

    network: Network
    loss: Loss
    batch: SequenceBatch


LOSSES = (SquaredError, MeanSquaredError, CrossEntropy, GaussianNLL, QuantileLoss)


@st.composite
def losses(draw: DrawFn, kinds: tuple[type[Loss], ...] = LOSSES) -> Loss:
    """Any loss, reduced in any way."""
    kind, reduction = draw(st.sampled_from(kinds)), draw(st.sampled_from(get_args(Reduction)))
    return QuantileLoss([0.1, 0.5, 0.9], reduction) if kind is QuantileLoss else kind(reduction)


def ragged_lengths(steps: int, samples: int) -> SearchStrategy[list[int]]:
    """0 to T steps each."""
    missing = st.lists(st.integers(0, steps), min_size=samples, max_size=samples)
    return missing.map(lambda short: [steps - cut for cut in short])


@st.composite
def masks(draw: DrawFn, steps: int, lengths: list[int]) -> Tensor:
    """(T, B): an answer at the last step, at every step, or at any choice among the real ones."""
    inside = torch.arange(steps)[:, None] < torch.tensor(lengths)[None, :]
    kind = draw(st.sampled_from(["every", "last", "some"]))
    if kind == "every":
        return inside
    if kind == "last":
        return torch.arange(steps)[:, None] == torch.tensor(lengths)[None, :] - 1
    random = torch.Generator().manual_seed(draw(SEEDS))
    return inside & (torch.rand(steps, len(lengths), generator=random) < 0.5)


@st.composite
def problems(
    draw: DrawFn,
    *,
    specs: SearchStrategy[CellSpec] | None = None,
    kinds: tuple[type[Loss], ...] = LOSSES,
    bidirectional: bool = False,
) -> Problem:
    """Any network and loss on any ragged batch: T 0..6, B 1..4, sequences of length zero among them."""
    loss = draw(losses(kinds))
    width = draw(st.integers(2, 3) if isinstance(loss, CrossEntropy) else st.integers(1, 2))
    specs = cell_specs() if specs is None else specs
    network = draw(networks(specs, outputs=loss.outputs_for(width), bidirectional=bidirectional))
    longest, samples = draw(STEPS), draw(SAMPLES)
    lengths = draw(ragged_lengths(longest, samples))
    random = torch.Generator().manual_seed(draw(SEEDS))
    inputs = torch.randn(longest, samples, network.lstm.input_size, generator=random, dtype=torch.float64)
    targets = torch.randn(longest, samples, width, generator=random, dtype=torch.float64)
    if isinstance(loss, CrossEntropy):
        targets = targets.argmax(-1) if draw(st.booleans()) else targets.softmax(-1)
    return Problem(network, loss, SequenceBatch(inputs, torch.tensor(lengths), targets, draw(masks(longest, lengths))))


# ---------------------------------------------------------------- one layer, as the engines take it


@dataclass
class LayerCase:
    """A ``LayerCall`` along any paths, and one cotangent for each of its results."""

    spec: CellSpec
    weights: Weights
    inputs: Tensor
    state: State
    lengths: Tensor | None
    d_outputs: Tensor
    d_state: State
    extra: dict[str, Tensor] = field(default_factory=dict)

    def along(self, paths: GradientPaths, *, checkpoint_every: int = 0) -> LayerCall:
        """What an engine is asked: this case, with the error taken back along ``paths``."""
        options = CallOptions(checkpoint_every=checkpoint_every)
        return LayerCall(self.spec, self.weights, self.inputs, self.state, self.lengths, paths, options, self.extra)

    def leaves(self) -> list[Tensor]:
        """Every tensor that can have a gradient: inputs, the state before step 0, weights."""
        return [tensor for tensor in (self.inputs, *self.state, *self.weights) if tensor is not None]

    def of_nan(self) -> LayerCase:
        """The same shapes and lengths, with NaN for every number."""

        def nan(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else torch.full_like(tensor, torch.nan)

        weights, state, d_state = (kind._make(map(nan, kind)) for kind in (self.weights, self.state, self.d_state))
        inputs, d_outputs = nan(self.inputs), nan(self.d_outputs)
        return LayerCase(self.spec, weights, inputs, state, self.lengths, d_outputs, d_state)


@st.composite
def layer_calls(
    draw: DrawFn,
    specs: SearchStrategy[CellSpec] | None = None,
    *,
    blocks: SearchStrategy[int] | None = None,
    features: SearchStrategy[int] | None = None,
    samples: SearchStrategy[int] = SAMPLES,
    steps: SearchStrategy[int] = STEPS,
    size: float = 0.6,
) -> LayerCase:
    """Any cell on any ragged batch, with a state before step 0 that is not zero; weights of about ``size``."""
    spec = draw(cell_specs() if specs is None else specs)
    hidden = draw(hidden_sizes(spec)) if blocks is None else draw(blocks) * spec.cells_per_block
    projection = draw(st.integers(0, hidden - 1))
    inputs, batch, longest = draw(st.integers(1, 3) if features is None else features), draw(samples), draw(steps)
    bias, ragged = draw(YES_FIRST), draw(YES_FIRST)
    lengths = torch.tensor(draw(ragged_lengths(longest, batch)), dtype=torch.int64)
    random = torch.Generator().manual_seed(draw(SEEDS))

    def some(*shape: int, size: float = 1.0) -> Tensor:
        return size * torch.randn(*shape, generator=random, dtype=torch.float64)

    rows, width = spec.row_count(hidden), spec.output_size(hidden, projection)
    gates = spec.gate_size(hidden) if spec.gate_recurrence else 0
    weights = Weights(
        some(rows, inputs, size=size),
        some(rows, spec.source_size(hidden, projection), size=size),
        some(rows, size=size) if bias else None,
        some(len(spec.gates), hidden, size=size) if spec.peepholes else None,
        some(projection, hidden, size=size) if projection else None,
    )
    return LayerCase(
        spec,
        weights,
        some(longest, batch, inputs),
        State(some(batch, width), some(batch, hidden), some(batch, gates)),
        lengths if ragged else None,
        some(longest, batch, width),
        State(some(batch, width), some(batch, hidden), some(batch, gates)),
        {name: some(*shape, size=size) for name, shape in spec.extra_shapes(hidden).items()},
    )
