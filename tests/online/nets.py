"""Any online learner, the same network in PyTorch, and autograd's answer on the cut graph: the tests' oracle."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from equivalence.specs import SQUASHES, YES_FIRST, cell_specs
from longlag import LSTM, Network
from longlag.online.streams import Stream
from longlag.online.topology import Topology
from longlag.ops.paths import TRUNCATED


@st.composite
def topologies(draw) -> Topology:
    """Any topology there can be, up to 5 blocks."""
    cell = draw(cell_specs())
    activation = draw(SQUASHES)
    losses = ["squared", "cross_entropy"] if activation in ("logistic", "identity") else ["squared"]
    return Topology(
        input_size=draw(st.integers(1, 4)),
        output_size=draw(st.integers(1, 5)),
        hidden_size=cell.cells_per_block * draw(st.integers(1, 5)),
        cell=cell,
        symbols=draw(st.booleans()),
        reads=draw(st.sampled_from(["cells", "cells+inputs"])),
        output_activation=activation,
        bias=draw(YES_FIRST),
        output_bias=draw(st.booleans()),
        loss=draw(st.sampled_from(losses)),
    )


def random_numbers(topology: Topology, rng: np.random.Generator, scale: float = 0.8) -> dict[str, np.ndarray]:
    """Weights large enough for every path to matter."""
    return {name: rng.uniform(-scale, scale, shape) for name, shape in topology.weight_shapes.items()}


def random_stream(topology, rng, steps, *, every_step=True, target_symbols=False, sequences=1):
    """A stream of one open sequence, or of several of ``steps`` at most."""
    lengths = None if sequences == 1 else rng.integers(1, steps + 1, sequences)
    total = steps if lengths is None else int(lengths.sum())
    asked = total if every_step else (1 if lengths is None else sequences)
    inputs = (
        rng.integers(0, topology.input_size, total).astype(np.int32)
        if topology.symbols
        else rng.uniform(-1, 1, (total, topology.input_size))
    )
    targets = (
        rng.integers(0, topology.output_size, asked).astype(np.int32)
        if target_symbols
        else rng.uniform(0, 1, (asked, topology.output_size))
    )
    return Stream(inputs=inputs, lengths=lengths, targets=targets)


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """To the last bit."""
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def dense(values: np.ndarray, size: int) -> Tensor:
    """(N, size) float64, symbols as one-hot vectors."""
    return torch.from_numpy(np.eye(size)[values] if values.ndim == 1 else values.astype(np.float64))


def torch_network(topology: Topology, numbers: dict[str, np.ndarray]) -> Network:
    """The same network in PyTorch, float64, reference engine."""
    lstm = LSTM(
        topology.input_size,
        topology.hidden_size,
        bias=topology.bias,
        cell=topology.cell,
        dtype=torch.float64,
        backend="reference",
    )
    net = Network(
        lstm,
        topology.output_size,
        output_activation=topology.output_activation,
        reads=topology.reads,
        bias=topology.output_bias,
    )
    with torch.no_grad():
        for name, value in parameters(topology, net).items():
            value.copy_(torch.from_numpy(numbers[name]))
        if topology.bias and topology.cell.biases == "double":
            lstm.bias_hh_l0.zero_()
    return net


def parameters(topology: Topology, net: Network) -> dict[str, nn.Parameter]:
    """A network's parameters under the online learner's names."""
    names = {
        "weight_ih": net.lstm.weight_ih_l0,
        "weight_hh": net.lstm.weight_hh_l0,
        "readout.weight": net.readout.weight,
    }
    if topology.bias:
        names["bias"] = net.lstm.bias_ih_l0
    if topology.cell.peepholes:
        names["weight_peephole"] = net.lstm.weight_peephole_l0
    if topology.output_bias:
        names["readout.bias"] = net.readout.bias
    return names


def outputs_of(topology: Topology, net: Network, inputs: np.ndarray) -> Tensor:
    """(N, K) of one sequence."""
    answers, _ = net(dense(inputs, topology.input_size).unsqueeze(1), paths=TRUNCATED)
    return answers.squeeze(1)


def gradient(topology: Topology, net: Network, stream: Stream, every_step: bool) -> dict[str, np.ndarray]:
    """Minus the gradient, summed over a sequence, along the paths that truncation leaves.

    The error of an output is f' (t - y): of half the squared error (A.17), or, with cross entropy, t - y.
    """
    said = outputs_of(topology, net, stream.inputs)
    targets = dense(stream.targets, topology.output_size)
    chosen = said if every_step else said[-1:]
    if topology.loss == "squared" or topology.output_activation == "identity":
        loss = 0.5 * (chosen - targets).square().sum()
    else:
        loss = nn.functional.binary_cross_entropy(chosen, targets, reduction="sum")
    names = parameters(topology, net)
    found = torch.autograd.grad(loss, list(names.values()), allow_unused=True, materialize_grads=True)
    return {name: -grad.numpy() for name, grad in zip(names, found, strict=True)}
