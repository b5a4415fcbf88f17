"""Streams that are odd: without targets, with numbers that overflow, that end early, that do not fit each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equivalence.engines import needs_kernels
from longlag import CellSpec
from longlag.errors import InputError
from longlag.online import select
from longlag.online.reference import ReferenceNetworks
from longlag.online.streams import ReadOptions, Stream
from longlag.online.topology import Topology

LINEAR = Topology(
    input_size=1,
    output_size=1,
    hidden_size=2,
    cell=CellSpec(input_squash="identity", output_squash="identity", biases="single"),
    output_activation="identity",
)
PLAIN = Topology(input_size=1, output_size=2, hidden_size=2, cell=CellSpec.hochreiter1997())


@pytest.fixture(params=["reference", "units", "networks"])
def engine(request):
    """Makes an engine for some networks."""
    if request.param == "reference":
        return lambda topology, count: ReferenceNetworks(topology, count, wide=True)
    pytest.importorskip("longlag._native", exc_type=ImportError)
    from longlag.online.networks import Networks

    return lambda topology, count: Networks(topology, count, wide=True, lanes=request.param)


def filled(made, topology, low=0.8, high=1.6):
    rng = np.random.default_rng(0)
    numbers = {name: rng.uniform(low, high, shape) for name, shape in topology.weight_shapes.items()}
    made.load(None, numbers)
    return numbers


def weights(made, network, topology):
    return made.dump(network, list(topology.weight_shapes))


@pytest.mark.parametrize("update", ["step", "sequence"])
def test_a_stream_without_targets_teaches_nothing(engine, update):
    made = engine(PLAIN, 2)
    numbers = filled(made, PLAIN)
    inputs = np.ones((6, 1))
    taught = Stream(inputs=inputs, lengths=np.array([2, 4]), targets=np.zeros((6, 2)))
    untaught = replace(taught, targets=None)
    made.read([untaught, taught], ReadOptions(learning_rate=0.5, update=update, outputs=True))
    for name, value in weights(made, 0, PLAIN).items():
        np.testing.assert_array_equal(value, numbers[name])
    assert any(not np.array_equal(value, numbers[name]) for name, value in weights(made, 1, PLAIN).items())


@pytest.mark.parametrize("update", ["step", "sequence"])
@pytest.mark.parametrize(("rate", "size"), [(1e300, 1.0), (0.1, 1e160), (0.1, 1e300)])
def test_weights_stay_finite_and_the_error_says_so(engine, update, rate, size):
    """Errors, states or traces that overflow; a large input meets the squared state's derivative."""
    made = engine(LINEAR, 1)
    filled(made, LINEAR)
    stream = Stream(inputs=np.full((40, 1), size), lengths=np.full(10, 4), targets=np.ones((40, 1)))
    answer = made.read([stream], ReadOptions(learning_rate=rate, update=update))[0]
    assert not np.isfinite(answer.largest).all()
    for name, value in weights(made, 0, LINEAR).items():
        assert np.isfinite(value).all(), name


@needs_kernels
@pytest.mark.parametrize("wide", [False, True])
def test_a_lane_that_has_ended_keeps_its_weights_however_long_the_others_go_on(wide):
    """Without inputs its states grow until they overflow."""
    from longlag.online.networks import Networks

    long = Stream(inputs=np.zeros((4000, 1)), lengths=np.full(10, 400), targets=np.zeros((10, 1)))
    short = Stream(inputs=np.ones((3, 1)), lengths=np.array([3]), targets=np.ones((1, 1)))
    found = []
    for streams in ([short, long], [short]):
        made = Networks(LINEAR, len(streams), wide=wide, lanes="networks")
        filled(made, LINEAR)
        if len(streams) == 2:
            made.load(1, {name: np.zeros(shape) for name, shape in LINEAR.weight_shapes.items()})
        made.read(streams, ReadOptions(learning_rate=1e-3, every_step=False))
        found.append(made.dump(0))
    for name, value in found[1].items():
        np.testing.assert_array_equal(found[0][name], value, err_msg=name)


def test_numbers_of_a_snapshot_are_those_of_its_moment_and_there_are_none_before_it(engine):
    made = engine(PLAIN, 1)
    numbers = filled(made, PLAIN)
    with pytest.raises(InputError, match="no snapshot"):
        made.dump(0, from_snapshot=True)
    made.snapshot()
    made.load(0, {"bias": np.zeros(PLAIN.weight_shapes["bias"])})
    np.testing.assert_array_equal(made.dump(0, ["bias"], from_snapshot=True)["bias"], numbers["bias"])
    np.testing.assert_array_equal(made.dump(0, ["bias"])["bias"], 0.0)


@needs_kernels
@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ([np.zeros((3, 2)), np.zeros(3, dtype=np.int32)], "symbols as targets and some have vectors"),
        ([np.zeros((3, 2)), np.zeros((2, 2))], "have 2 to 3 steps; expected all alike"),
    ],
)
def test_streams_of_different_kinds_are_refused(streams, said):
    made = select.engine(PLAIN, 2, side_by_side=True)
    with pytest.raises(InputError, match=said):
        made.read([Stream(inputs=np.zeros((len(targets), 1)), targets=targets) for targets in streams])


@needs_kernels
@pytest.mark.parametrize("lengths", [[0, 3], [3, 0], [4, -1]])
def test_a_sequence_without_steps_is_refused(lengths):
    stream = Stream(inputs=np.zeros((3, 1)), lengths=np.array(lengths), targets=np.zeros((2, 2)))
    with pytest.raises(InputError, match="expected at least one step each"):
        select.engine(PLAIN, 1).read([stream], ReadOptions(every_step=False))


@needs_kernels
def test_arrays_at_odd_addresses_are_copied_before_a_kernel_reads_them():
    from longlag.online.address_table import AddressTable

    def odd(array):  # the same numbers, one byte beside where they may stand
        return np.frombuffer(b"x" + array.tobytes(), dtype=array.dtype, offset=1).reshape(array.shape)

    rng = np.random.default_rng(0)
    even = Stream(inputs=rng.uniform(size=(3, 1)), lengths=np.array([1, 2]), targets=rng.uniform(size=(2, 2)))
    stream = Stream(inputs=odd(even.inputs), lengths=odd(even.lengths), targets=odd(even.targets))
    table = AddressTable.of(
        [stream], 1, dtype=np.float64, symbols=False, output_size=2, every_step=False, outputs=False
    )
    assert all(array.flags.aligned for array in table.arrays)
    for array, value in zip(table.arrays, (even.inputs, even.targets, even.lengths), strict=True):
        np.testing.assert_array_equal(array, value)
    made = select.engine(PLAIN, 1, wide=True)
    numbers = filled(made, PLAIN)
    made.load(0, {name: odd(value + 1.0) for name, value in numbers.items()})
    np.testing.assert_array_equal(made.dump(0, ["bias"])["bias"], numbers["bias"] + 1.0)


@needs_kernels
def test_lengths_may_be_any_whole_numbers():
    stream = Stream(inputs=np.zeros((3, 1)), lengths=np.array([1, 2], dtype=np.int32), targets=np.zeros((2, 2)))
    made = select.engine(PLAIN, 1)
    filled(made, PLAIN)
    assert made.read([stream], ReadOptions(every_step=False))[0].largest.shape == (2,)
