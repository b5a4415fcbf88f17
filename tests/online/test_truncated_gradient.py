"""The traces that run beside the net give the gradient that autograd finds on the cut graph, sequence by sequence."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from equivalence.engines import needs_kernels
from longlag.online.streams import ReadOptions
from online.nets import gradient, outputs_of, random_numbers, random_stream, topologies, torch_network

pytestmark = needs_kernels
SEEDS = st.integers(0, 2**31 - 1)
STEPS = st.sampled_from([4, 7, 1, 2, 33, 3])
LANES = st.sampled_from(["networks", "units"])


def changes(topology, numbers, streams, *, wide, lanes, every_step):
    """What each network would change at the end of a sequence, at rate 1."""
    from longlag.online.networks import Networks

    networks = Networks(topology, len(streams), wide=wide, lanes=lanes)
    for n, values in enumerate(numbers):
        networks.load(n, values)
    answers = networks.read(
        streams, ReadOptions(learning_rate=1.0, update="sequence", every_step=every_step, outputs=True)
    )
    return [networks.dump(n, list(topology.weight_shapes), pending=True) for n in range(len(streams))], answers


def relative_error(ours, theirs):
    size = max(np.abs(value).max(initial=0) for value in theirs.values())
    return max(np.abs(ours[name] - theirs[name]).max(initial=0) for name in theirs) / max(size, 1e-3)


@given(topologies(), SEEDS, STEPS, LANES, st.booleans(), st.booleans())
def test_the_online_gradient_is_that_of_the_cut_graph(topology, seed, steps, lanes, every_step, target_symbols):
    rng = np.random.default_rng(seed)
    count = 3
    numbers = [random_numbers(topology, rng) for _ in range(count)]
    streams = [
        random_stream(topology, rng, steps, every_step=every_step, target_symbols=target_symbols) for _ in range(count)
    ]
    found, answers = changes(topology, numbers, streams, wide=True, lanes=lanes, every_step=every_step)
    for weights, stream, ours, said in zip(numbers, streams, found, answers, strict=True):
        net = torch_network(topology, weights)
        expected = outputs_of(topology, net, stream.inputs).detach().numpy()
        np.testing.assert_allclose(said.outputs, expected if every_step else expected[-1:], rtol=1e-10, atol=1e-12)
        assert relative_error(ours, gradient(topology, net, stream, every_step)) < 1e-10


@given(topologies(), SEEDS, LANES)
def test_in_single_precision_the_gradient_is_the_same_to_five_digits(topology, seed, lanes):
    rng = np.random.default_rng(seed)
    numbers = [
        {name: v.astype(np.float32).astype(np.float64) for name, v in random_numbers(topology, rng, 0.4).items()}
    ]
    stream = random_stream(topology, rng, 5)
    if not topology.symbols:
        stream.inputs[:] = stream.inputs.astype(np.float32)
    stream.targets[:] = stream.targets.astype(np.float32)
    found, _ = changes(topology, numbers, [stream], wide=False, lanes=lanes, every_step=True)
    net = torch_network(topology, numbers[0])
    assert relative_error(found[0], gradient(topology, net, stream, True)) < 1e-5
