"""Any plain recurrent net, streams for it, and autograd's answer: the tests' oracle."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from longlag.online.streams import Stream
from longlag_lab.competitors.topology import ChunkerTopology, RecurrentTopology, uniform_weights


@st.composite
def topologies(draw, feedback: bool = False) -> RecurrentTopology:
    """Any net that learns, up to 5 recurrent units; with ``feedback`` one that does not."""
    flat = not feedback and draw(st.booleans())
    hidden = draw(st.sampled_from([1, 3, 2, 4, 5]))
    return RecurrentTopology(
        input_size=draw(st.integers(1, 4)),
        output_size=draw(st.integers(1, hidden if flat else 20)),
        hidden_size=hidden,
        flat=flat,
        reads_inputs=not flat and draw(st.booleans()),
        symbols=draw(st.booleans()),
        bias=draw(st.booleans()),
        feedback=feedback,
    )


def random_stream(topology, rng, *, every_step=True, sequences=4, steps=6) -> Stream:
    """Sequences of 1 to ``steps`` steps; targets are symbols."""
    lengths = rng.integers(1, steps + 1, sequences)
    total = int(lengths.sum())
    inputs = (
        rng.integers(0, topology.input_size, total).astype(np.int32)
        if topology.symbols
        else rng.uniform(-1, 1, (total, topology.input_size))
    )
    targets = rng.integers(0, topology.output_size, total if every_step else sequences).astype(np.int32)
    return Stream(inputs=inputs, lengths=lengths, targets=targets)


def random_nets(topology, rng, count, scale=1.0):
    """Weights large enough for every path to matter."""
    return [uniform_weights(topology, rng, scale) for _ in range(count)]


def gradient(topology: RecurrentTopology, numbers, stream: Stream, every_step: bool, *, context_is_given: bool = False):
    """Minus the gradient of half the squared error, summed over all sequences; and the outputs.

    ``context_is_given``: what the hidden units did a step before is no function of the weights (Elman's procedure).
    """
    w = {name: torch.tensor(value, requires_grad=True) for name, value in numbers.items()}
    inputs = np.eye(topology.input_size)[stream.inputs] if topology.symbols else stream.inputs
    zero = torch.zeros((), dtype=torch.float64)
    total, said, t = zero, [], 0
    for length in stream.lengths:
        h = torch.zeros(topology.hidden_size, dtype=torch.float64)
        for step in range(length):
            x, h = torch.tensor(inputs[t], dtype=torch.float64), h.detach() if context_is_given else h
            h = torch.sigmoid(w["weight_ih"] @ x + w["weight_hh"] @ h + w.get("bias", zero))
            y = h[: topology.output_size]
            if not topology.flat:
                seen = torch.cat([h, x]) if topology.reads_inputs else h
                y = torch.sigmoid(w["readout.weight"] @ seen + w.get("readout.bias", zero))
            t += 1
            if every_step or step == length - 1:
                target = np.eye(topology.output_size)[stream.targets[len(said)]]
                total = total + 0.5 * (torch.tensor(target) - y).square().sum()
                said.append(y.detach().numpy())
    found = torch.autograd.grad(total, list(w.values()), allow_unused=True, materialize_grads=True)
    return {name: -grad.numpy() for name, grad in zip(w, found, strict=True)}, np.array(said)


def chunker(symbols: int, hidden: int = 1, threshold: float = 0.6) -> ChunkerTopology:
    """A small chunker; the threshold is such that random nets foresee some symbols and others not."""
    return ChunkerTopology(input_size=symbols, hidden_size=hidden, threshold=threshold)
