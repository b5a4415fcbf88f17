"""The kernels and plain PyTorch read the same streams to the same weights; what fills a vector changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equivalence.engines import needs_kernels
from longlag import CellSpec
from longlag.online import reference, select
from longlag.online.streams import ReadOptions, Stream
from longlag.online.topology import Topology
from longlag_lab.benchmarks.machine import memory_peak
from online.nets import random_numbers, random_stream, topologies

pytestmark = needs_kernels
SEEDS = st.integers(0, 2**31 - 1)
LANES = st.sampled_from(["networks", "units"])
UPDATES = st.sampled_from(["step", "sequence"])


def networks(topology, numbers, *, wide=True, lanes=None):
    from longlag.online.networks import Networks

    found = Networks(topology, len(numbers), wide=wide, lanes=lanes)
    for n, values in enumerate(numbers):
        found.load(n, values)
    return found


def after(engine, count, streams, **options):
    answers = engine.read(streams, ReadOptions(outputs=True, **options))
    return answers, [engine.dump(n) for n in range(count)]


@given(topologies(), SEEDS, LANES, UPDATES, st.booleans(), st.booleans())
def test_the_kernels_learn_what_plain_pytorch_learns(topology, seed, lanes, update, every_step, target_symbols):
    rng = np.random.default_rng(seed)
    numbers = [random_numbers(topology, rng, 0.5) for _ in range(2)]
    streams = [
        random_stream(topology, rng, 5, every_step=every_step, target_symbols=target_symbols, sequences=4)
        for _ in range(2)
    ]
    plain = reference.ReferenceNetworks(topology, 2, wide=True)
    for n, values in enumerate(numbers):
        plain.load(n, values)
    options = {"learning_rate": 0.3, "update": update, "every_step": every_step}
    answers, states = after(networks(topology, numbers, lanes=lanes), 2, streams, **options)
    expected_answers, expected = after(plain, 2, streams, **options)
    for ours, theirs in zip(answers, expected_answers, strict=True):
        for name in ("outputs", "largest", "mean"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-10)
    for ours, theirs in zip(states, expected, strict=True):
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-8, atol=1e-9, err_msg=name)


@given(topology=topologies(), seed=SEEDS, wide=st.booleans(), update=UPDATES, every_step=st.booleans())
def test_a_trial_in_a_lane_is_the_trial_alone_bit_for_bit(topology, seed, wide, update, every_step):
    rng = np.random.default_rng(seed)
    count = 19  # more than a vector holds: a second group, partly idle
    numbers = [random_numbers(topology, rng, 0.6) for _ in range(count)]
    streams = [random_stream(topology, rng, 6, every_step=every_step, sequences=3) for _ in range(count)]
    rates = rng.uniform(0.01, 0.5, count)
    options = {"update": update, "every_step": every_step}
    side_by_side = networks(topology, numbers, wide=wide, lanes="networks")
    answers, states = after(side_by_side, count, streams, learning_rate=rates, **options)
    for n in (0, 7, 18):
        alone = networks(topology, [numbers[n]], wide=wide, lanes="networks")
        said, state = after(alone, 1, [streams[n]], learning_rate=rates[n], **options)
        for field in ("outputs", "largest", "mean"):
            np.testing.assert_array_equal(getattr(said[0], field), getattr(answers[n], field))
        for key, value in state[0].items():
            np.testing.assert_array_equal(value, states[n][key], err_msg=key)


@given(topologies(), SEEDS, LANES)
def test_numbers_come_back_as_they_were_put(topology, seed, lanes):
    rng = np.random.default_rng(seed)
    numbers = [
        {k: rng.standard_normal(s) for k, s in (topology.weight_shapes | topology.state_shapes).items()}
        for _ in range(3)
    ]
    if not topology.bias:  # nothing has passed through a bias that is not there
        for values in numbers:
            values["traces"][..., -1] = 0.0
    held = networks(topology, numbers, lanes=lanes)
    for n, values in enumerate(numbers):
        for name, value in held.dump(n).items():
            expected = values[name]
            np.testing.assert_array_equal(value, expected, err_msg=name)


@given(topologies(), SEEDS, LANES)
def test_peeking_and_answering_leave_everything_as_it_was(topology, seed, lanes):
    rng = np.random.default_rng(seed)
    numbers = [random_numbers(topology, rng)]
    held = networks(topology, numbers, lanes=lanes)
    held.read([random_stream(topology, rng, 3)], ReadOptions(learning_rate=0.1))
    before = held.dump(0)
    first = held.read(
        [random_stream(topology, np.random.default_rng(1), 1)],
        ReadOptions(learn=False, outputs=True, restore_state=True),
    )
    again = held.read(
        [random_stream(topology, np.random.default_rng(1), 1)],
        ReadOptions(learn=False, outputs=True, restore_state=True),
    )
    np.testing.assert_array_equal(first[0].outputs, again[0].outputs)
    for name, value in held.dump(0).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.parametrize("lanes", ["networks", "units"])
def test_memory_does_not_grow_with_the_sequence(lanes):
    topology = Topology(input_size=1, output_size=1, hidden_size=8, cell=CellSpec.hochreiter1997())
    rng = np.random.default_rng(0)
    held = networks(topology, [random_numbers(topology, rng)], lanes=lanes)
    held.read([random_stream(topology, rng, 50, every_step=False)], ReadOptions(learning_rate=0.01, every_step=False))
    stream = random_stream(topology, rng, 200_000, every_step=False)  # a tape of it would be 50 MB
    with memory_peak() as peak:
        held.read([stream], ReadOptions(learning_rate=0.01, every_step=False))
    if not peak:
        pytest.skip("this system does not tell a process its peak")
    assert peak[0] < 2**20
    assert held.memory() < 40 * 8 * topology.weight_count() * (8 if lanes == "networks" else 1)


def test_a_saturated_gate_keeps_a_gradient_in_single_precision():
    # sigma(25) is 1 in float32; 1 - sigma(25) is not 0
    topology = Topology(input_size=1, output_size=1, hidden_size=1, cell=CellSpec.hochreiter1997())
    numbers = {name: np.full(shape, 0.5) for name, shape in topology.weight_shapes.items()}
    numbers["bias"][:] = 25.0
    for lanes in ("networks", "units"):
        held = networks(topology, [numbers], wide=False, lanes=lanes)
        stream = Stream(inputs=np.ones((1, 1)), targets=np.zeros((1, 1)))
        held.read([stream], ReadOptions(learning_rate=1.0, update="sequence"))
        waits = held.dump(0, ["bias"], pending=True)["bias"]
        assert (waits != 0).all()
        assert (np.abs(waits) < 1e-9).all()


def test_the_backend_that_is_asked_for_runs():
    topology = Topology(input_size=1, output_size=1, hidden_size=1, cell=CellSpec.hochreiter1997())
    assert isinstance(select.engine(topology, 1, backend="reference"), reference.ReferenceNetworks)
    assert not isinstance(select.engine(topology, 1, backend="native"), reference.ReferenceNetworks)
