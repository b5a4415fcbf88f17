"""The two-net chunker: when it reads, what it learns, what the automatizer learns of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import chunker, random_nets, random_stream

from equivalence.engines import needs_kernels
from longlag.errors import InputError
from longlag.online.streams import ReadOptions, Stream
from longlag.ops import select
from longlag_lab.competitors.select import engine
from longlag_lab.competitors.topology import RecurrentTopology

SEEDS = st.integers(0, 2**31 - 1)
BACKENDS = ["reference", *(["native"] if select.native is not None else [])]
EVERYTHING, NOTHING = -1.0, 2.0  # thresholds above which an error counts: no error is below -1, none is above 2


def pair(topology, nets, *, wide=True, backend="auto"):
    found = engine(topology, len(nets), wide=wide, backend=backend)
    for n, numbers in enumerate(nets):
        found.load(n, numbers)
    return found


def prediction(topology, rng) -> Stream:
    """Sequences whose targets are the symbols to come, as the chunker takes it."""
    lengths = rng.integers(1, 7, 5)
    strings = [rng.integers(0, topology.input_size, length + 1).astype(np.int32) for length in lengths]
    return Stream(
        inputs=np.concatenate([string[:-1] for string in strings]),
        lengths=lengths,
        targets=np.concatenate([string[1:] for string in strings]),
    )


def chunks(numbers):
    """The chunker's weights, under the names of a plain net."""
    return {name.removeprefix("chunker."): v for name, v in numbers.items() if name.startswith("chunker.")}


@needs_kernels
@given(st.integers(2, 20), st.integers(1, 3), SEEDS)
def test_the_kernels_learn_what_numpy_learns(symbols, hidden, seed):
    topology, rng = chunker(symbols, hidden), np.random.default_rng(seed)
    nets = random_nets(topology, rng, 3)
    streams = [random_stream(topology, rng, sequences=8) for _ in nets]
    ours, theirs = (pair(topology, nets, backend=name) for name in ("native", "reference"))
    answers = [held.read(streams, ReadOptions(learning_rate=0.5, outputs=True)) for held in (ours, theirs)]
    for said, expected in zip(*answers, strict=True):
        np.testing.assert_allclose(said.outputs, expected.outputs, rtol=1e-8, atol=1e-10)
    for n in range(3):
        for name, value in theirs.dump(n, list(topology.weight_shapes)).items():
            np.testing.assert_allclose(ours.dump(n, [name])[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


@needs_kernels
@given(SEEDS, st.booleans())
def test_a_trial_in_a_lane_is_the_trial_alone_bit_for_bit(seed, wide):
    topology, rng = chunker(6), np.random.default_rng(seed)
    nets = random_nets(topology, rng, 19)
    streams = [random_stream(topology, rng, sequences=5) for _ in nets]
    together = pair(topology, nets, wide=wide)
    together.read(streams, ReadOptions(learning_rate=0.5))
    for n in (0, 18):
        alone = pair(topology, [nets[n]], wide=wide)
        alone.read([streams[n]], ReadOptions(learning_rate=0.5))
        for name, value in alone.dump(0).items():
            np.testing.assert_array_equal(value, together.dump(n, [name])[name], err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_chunker_to_whom_nothing_is_foreseen_learns_like_a_net_that_reads_everything(backend):
    topology, rng = chunker(5, threshold=EVERYTHING), np.random.default_rng(0)
    numbers, stream = random_nets(topology, rng, 1)[0], prediction(topology, rng)
    held = pair(topology, [numbers], backend=backend)
    held.read([stream], ReadOptions(learning_rate=0.5))
    plain = RecurrentTopology(input_size=5, output_size=5, hidden_size=1, reads_inputs=True)
    alone = engine(plain, 1, wide=True, backend=backend)
    alone.load(0, chunks(numbers))
    alone.read([stream], ReadOptions(learning_rate=0.5))
    found = chunks(held.dump(0))
    for name, value in alone.dump(0, list(plain.weight_shapes)).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_chunker_that_reads_only_first_symbols_has_nothing_to_learn(backend):
    topology, rng = chunker(5, threshold=NOTHING), np.random.default_rng(1)
    numbers = random_nets(topology, rng, 1)[0]
    held = pair(topology, [numbers], backend=backend)
    held.read([random_stream(topology, rng)], ReadOptions(learning_rate=0.5))
    for name, value in chunks(held.dump(0, list(topology.weight_shapes))).items():
        np.testing.assert_array_equal(value, numbers[f"chunker.{name}"], err_msg=name)


@pytest.mark.costly
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_automatizer_learns_what_the_chunkers_hidden_unit_is(backend):
    topology, rng = chunker(4, threshold=NOTHING), np.random.default_rng(2)
    numbers = random_nets(topology, rng, 1)[0]
    numbers["chunker.weight_ih"][0] = [-3.0, 3.0, 0.0, 0.0]  # it is on after symbol 1 and off after symbol 0
    held = pair(topology, [numbers], backend=backend)
    first = rng.integers(0, 2, 1500).astype(np.int32)
    symbols = np.stack([first, np.full_like(first, 2)], axis=1).ravel()
    targets = np.stack([np.full_like(first, 2), np.full_like(first, 3)], axis=1).ravel()
    held.read([Stream(inputs=symbols, lengths=np.full(1500, 2), targets=targets)], ReadOptions(learning_rate=2.0))
    learned = held.dump(0)
    row = learned["readout.weight"][4]  # the additional output: [hidden unit, inputs]

    def said_after(*read: int) -> float:
        hidden = 0.0
        for symbol in read:
            net = learned["weight_ih"][0, symbol] + learned["weight_hh"][0, 0] * hidden
            hidden = 1.0 / (1.0 + np.exp(-net))
        return float(1.0 / (1.0 + np.exp(-(row[0] * hidden + row[1 + read[-1]]))))

    assert said_after(0) < 0.15
    assert said_after(1) > 0.85
    assert said_after(1, 2) - said_after(0, 2) > 0.4  # a step later only the automatizer's own hidden unit can tell


@pytest.mark.parametrize("backend", BACKENDS)
def test_reading_that_a_chunker_cannot_do_is_refused(backend):
    held = engine(chunker(3), 1, backend=backend)
    symbols = np.zeros(2, np.int32)
    with pytest.raises(InputError, match="whole sequences"):
        held.read([Stream(inputs=symbols, targets=symbols)])
    with pytest.raises(InputError, match="target symbol at every step"):
        held.read([Stream(inputs=symbols, lengths=np.array([2]), targets=symbols[:1])], ReadOptions(every_step=False))
