"""Plain recurrent nets: their changes against autograd, the kernels against NumPy, a lane against itself alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import chunker, gradient, random_nets, random_stream, topologies

from equivalence.engines import instructions, needs_kernels
from longlag.errors import InputError
from longlag.online.streams import ReadOptions, Stream
from longlag.ops import select
from longlag.tasks import NoiseFreeLag
from longlag_lab.competitors.select import engine
from longlag_lab.competitors.topology import RecurrentTopology, uniform_weights

SEEDS = st.integers(0, 2**31 - 1)
METHODS = st.sampled_from(["rtrl", "bptt", "elman"])
BACKENDS = ["reference", *(["native"] if select.native is not None else [])]


def networks(topology, nets, *, method="rtrl", wide=True, backend="auto"):
    found = engine(topology, len(nets), method=method, wide=wide, backend=backend)
    for n, numbers in enumerate(nets):
        found.load(n, numbers)
    return found


def changes(topology, numbers, stream, method, every_step, backend):
    """What reading one sequence changes, at rate 1, with weights that stay until its end."""
    held = networks(topology, [numbers], method=method, backend=backend)
    answers = held.read(
        [stream], ReadOptions(learning_rate=1.0, update="sequence", every_step=every_step, outputs=True)
    )
    after = held.dump(0, list(topology.weight_shapes))
    return {name: after[name] - numbers[name] for name in after}, answers[0].outputs


@pytest.mark.parametrize("backend", BACKENDS)
@given(topology=topologies(), seed=SEEDS, method=METHODS, every_step=st.booleans())
def test_a_sequence_changes_the_weights_by_the_gradient_that_autograd_finds(
    backend, topology, seed, method, every_step
):
    rng = np.random.default_rng(seed)
    numbers, stream = random_nets(topology, rng, 1)[0], random_stream(topology, rng, every_step=every_step, sequences=1)
    found, said = changes(topology, numbers, stream, method, every_step, backend)
    cut = method == "elman"
    expected, outputs = gradient(topology, numbers, stream, every_step, context_is_given=cut)
    np.testing.assert_allclose(said, outputs, rtol=1e-11, atol=1e-12)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-8, atol=1e-12, err_msg=name)


@needs_kernels
@given(topologies(), SEEDS, METHODS, st.sampled_from(["step", "sequence"]), st.booleans())
def test_the_kernels_learn_what_numpy_learns(topology, seed, method, update, every_step):
    rng = np.random.default_rng(seed)
    nets = random_nets(topology, rng, 3)
    streams = [random_stream(topology, rng, every_step=every_step) for _ in nets]
    options = {"learning_rate": np.array([0.1, 0.5, 1.0]), "update": update, "every_step": every_step, "outputs": True}
    ours, theirs = (networks(topology, nets, method=method, backend=name) for name in ("native", "reference"))
    for said, expected in zip(
        ours.read(streams, ReadOptions(**options)), theirs.read(streams, ReadOptions(**options)), strict=True
    ):
        for field in ("outputs", "largest", "mean"):
            np.testing.assert_allclose(getattr(said, field), getattr(expected, field), rtol=1e-8, atol=1e-10)
    for n in range(3):
        for name, value in theirs.dump(n, list(topology.weight_shapes)).items():
            np.testing.assert_allclose(ours.dump(n, [name])[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


@needs_kernels
@given(topologies(), SEEDS, METHODS, st.booleans())
def test_a_trial_in_a_lane_is_the_trial_alone_bit_for_bit(topology, seed, method, wide):
    rng = np.random.default_rng(seed)
    nets = random_nets(topology, rng, 19)  # more than a vector holds: a second group, partly idle
    streams = [random_stream(topology, rng, sequences=3) for _ in nets]
    rates = rng.uniform(0.01, 1.0, len(nets))
    together = networks(topology, nets, method=method, wide=wide)
    answers = together.read(streams, ReadOptions(learning_rate=rates, outputs=True))
    for n in (0, 7, 18):
        alone = networks(topology, [nets[n]], method=method, wide=wide)
        said = alone.read([streams[n]], ReadOptions(learning_rate=rates[n], outputs=True))
        np.testing.assert_array_equal(said[0].outputs, answers[n].outputs)
        for name, value in alone.dump(0).items():
            np.testing.assert_array_equal(value, together.dump(n, [name])[name], err_msg=name)


@needs_kernels
@pytest.mark.parametrize("method", ["rtrl", "bptt", "elman"])
def test_every_instruction_set_learns_the_same_to_rounding(method):
    from longlag_lab import _native

    topology = RecurrentTopology(input_size=5, output_size=21, hidden_size=3, reads_inputs=True)
    rng = np.random.default_rng(0)
    nets, streams = random_nets(topology, rng, 3), [random_stream(topology, rng) for _ in range(3)]
    found = []
    for name in _native.instruction_sets():
        with instructions(name, "longlag_lab._native"):
            held = networks(topology, nets, method=method, backend="native")
            held.read(streams, ReadOptions(learning_rate=0.5))
            found.append(held.dump(2, list(topology.weight_shapes)))
    for other in found[1:]:
        for name, value in other.items():
            np.testing.assert_allclose(value, found[0][name], rtol=1e-9, atol=1e-12, err_msg=name)


@needs_kernels
@given(topologies(), SEEDS, st.booleans())
def test_a_target_symbol_is_one_output_on_and_the_others_off(topology, seed, every_step):
    rng = np.random.default_rng(seed)
    nets, stream = random_nets(topology, rng, 1), random_stream(topology, rng, every_step=every_step)
    dense = replace(stream, targets=np.eye(topology.output_size)[stream.targets])
    learned = []
    for told in (stream, dense):
        held = networks(topology, nets, backend="native")
        held.read([told], ReadOptions(learning_rate=0.5, every_step=every_step))
        learned.append(held.dump(0))
    for name, value in learned[0].items():
        np.testing.assert_array_equal(value, learned[1][name], err_msg=name)


@needs_kernels
@pytest.mark.parametrize("unit", [1, 18])  # with others in a vector's lanes, and in the last vector, partly idle
@pytest.mark.parametrize("wide", [False, True])
def test_an_answer_that_is_no_number_is_reported_and_not_learned(unit, wide):
    topology = RecurrentTopology(input_size=3, output_size=20, hidden_size=2, reads_inputs=True)
    numbers = random_nets(topology, np.random.default_rng(0), 1)[0]
    numbers["readout.weight"][unit, 2] = np.nan  # what the unit reads of symbol 0
    held = networks(topology, [numbers], wide=wide, backend="native")
    answers = held.read(
        [Stream(inputs=np.zeros(1, np.int32), targets=np.zeros(1, np.int32))], ReadOptions(learning_rate=0.5)
    )
    assert np.isnan(answers[0].largest).all()
    assert np.isnan(answers[0].mean).all()
    learned = held.dump(0, list(topology.weight_shapes))
    assert all(np.isfinite(learned[name]).all() for name in ("weight_ih", "weight_hh"))
    others = np.arange(20) != unit
    assert np.isfinite(learned["readout.weight"][others]).all()
    assert (learned["readout.weight"][others, 2] != numbers["readout.weight"][others, 2].astype(held.dtype)).all()


@pytest.mark.parametrize("backend", BACKENDS)
@given(topology=topologies(), seed=SEEDS)
def test_numbers_come_back_as_they_were_loaded_and_answering_changes_none(backend, topology, seed):
    rng = np.random.default_rng(seed)
    shapes = topology.weight_shapes | topology.state_shapes | topology.trace_shapes
    numbers = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    held = networks(topology, [numbers], backend=backend)
    held.snapshot()
    held.read(
        [Stream(inputs=random_stream(topology, rng).inputs)], ReadOptions(learn=False, outputs=True, restore_state=True)
    )
    for from_snapshot in (False, True):
        for name, value in held.dump(0, from_snapshot=from_snapshot).items():
            np.testing.assert_array_equal(value, numbers[name], err_msg=name)


@needs_kernels
@given(topologies(feedback=True), SEEDS)
def test_outputs_that_feed_back_are_read_in_the_next_step_by_kernels_and_numpy_alike(topology, seed):
    rng = np.random.default_rng(seed)
    nets, stream = random_nets(topology, rng, 1), random_stream(topology, rng, every_step=False)
    said, expected = (
        networks(topology, nets, backend=name)
        .read([stream], ReadOptions(learn=False, every_step=False, outputs=True))[0]
        .outputs
        for name in ("native", "reference")
    )
    np.testing.assert_allclose(said, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("p", "weights"), [(4, 36), (10, 144), (100, 10404)])
def test_nets_of_table_2_have_the_weights_of_the_paper(p, weights):
    net = RecurrentTopology(input_size=p + 1, output_size=p + 1, hidden_size=1, reads_inputs=True)
    assert net.weight_count() == weights


@pytest.mark.parametrize(("hidden", "flat", "weights"), [(10, True, 170), (19, True, 494), (15, False, 435)])
def test_nets_of_table_1_have_the_weights_of_the_paper(hidden, flat, weights):
    net = RecurrentTopology(input_size=7, output_size=7, hidden_size=hidden, flat=flat)
    assert net.weight_count() == weights


def test_the_chunker_of_table_2_has_the_weights_of_the_paper():
    assert chunker(101).weight_count() == 10506


def test_rtrl_learns_the_predictable_symbols_of_task_2a():
    task = NoiseFreeLag(p=4)
    net = RecurrentTopology(input_size=5, output_size=5, hidden_size=1, reads_inputs=True)
    rng = np.random.default_rng(0)
    held = networks(net, [uniform_weights(net, rng, 0.2)], wide=False)
    flat = task.draw(400, rng)
    answers = held.read(
        [Stream(inputs=flat.inputs, lengths=flat.lengths, targets=flat.targets)], ReadOptions(learning_rate=1.0)
    )
    errors = answers[0].largest.reshape(-1, 4)[-20:].mean(axis=0)
    assert (errors[:3] < 0.25).all()  # a1, a2, a3; the last symbol is that of four steps ago
    assert errors[3] > 0.25


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_cannot_be_is_refused(backend):
    with pytest.raises(InputError, match="flat net has no output layer"):
        RecurrentTopology(input_size=2, output_size=2, hidden_size=3, flat=True, reads_inputs=True)
    with pytest.raises(InputError, match="expected at least the 4 output units"):
        RecurrentTopology(input_size=2, output_size=4, hidden_size=3, flat=True)
    net = RecurrentTopology(input_size=2, output_size=2, hidden_size=1, feedback=True)
    stream = Stream(inputs=np.zeros(2, np.int32), targets=np.zeros(2, np.int32))
    with pytest.raises(InputError, match="does not learn"):
        networks(net, [uniform_weights(net, np.random.default_rng(0), 1.0)], backend=backend).read([stream])
    net = RecurrentTopology(input_size=2, output_size=2, hidden_size=1)
    with pytest.raises(InputError, match="whole sequences"):
        engine(net, 1, method="bptt", backend=backend).read([stream])


def test_sizes_may_be_numbers_of_numpy_and_are_whole():
    sizes = {"input_size": np.int64(3), "output_size": np.int32(2), "hidden_size": np.uint8(4)}
    topology = RecurrentTopology(**sizes)
    assert topology == RecurrentTopology(input_size=3, output_size=2, hidden_size=4)
    assert {type(getattr(topology, name)) for name in sizes} == {int}
    for name, wrong in (("input_size", True), ("output_size", 2.0), ("hidden_size", 0)):
        with pytest.raises(InputError, match=f"{name} is {wrong!r}; expected a whole number of at least 1"):
            RecurrentTopology(**sizes | {name: wrong})
