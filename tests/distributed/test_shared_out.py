"""A shared-out objective is the objective it shares out, to rounding; what it cannot share it refuses."""

import dataclasses
import gc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distributed.examples import Rounding, network_objective, numbers, ragged
from longlag.distributed import MapReduceObjective, SerialExecutor
from longlag.distributed.worker import Worker
from longlag.nn import CrossEntropy, MeanSquaredError, SquaredError
from longlag.optim import BoundObjective, LBFGSMethod, minimise
from property_examples import examples

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

close = {"rtol": 1e-11, "atol": 1e-13}


@examples(25)
@given(
    count=st.integers(1, 20),
    chunk=st.integers(1, 25),
    reduction=st.sampled_from(["mean", "samples", "sum"]),
    kind=st.sampled_from([MeanSquaredError, SquaredError]),
    seed=st.integers(0, 50),
    weighted=st.booleans(),
)
def test_values_gradients_and_curvature_are_those_of_all_samples_at_once(count, chunk, reduction, kind, seed, weighted):
    objective, samples = network_objective(hidden=2, loss=kind(reduction), seed=seed), ragged(count, seed=seed)
    if weighted:
        samples = dataclasses.replace(samples, sample_weight=torch.arange(count, dtype=torch.float64) % 3)
    theta = objective.theta
    v = torch.linspace(-1, 1, len(theta), dtype=torch.float64)
    with SerialExecutor() as serial:
        shared_out = MapReduceObjective(objective, serial, chunk=chunk)
        value, gradient = shared_out.value_and_gradient(theta, samples)
        expected, expected_gradient = objective.value_and_gradient(theta, samples)
        assert value == pytest.approx(expected, rel=1e-12)
        assert shared_out.value(theta, samples) == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(gradient, expected_gradient, **close)
        product = objective.curvature_product(theta, v, samples)
        torch.testing.assert_close(shared_out.curvature_product(theta, v, samples), product, **close)
        matrix = shared_out.curvature(theta, samples)
        torch.testing.assert_close(matrix @ v, product, **close)
        torch.testing.assert_close(matrix.diagonal(), objective.curvature(theta, samples).diagonal(), **close)
        found = shared_out.linearise(theta, samples)
        assert found.value == pytest.approx(expected, rel=1e-12)
        torch.testing.assert_close(found.curvature.dense(), matrix.dense(), **close)


@pytest.mark.costly
def test_a_curvature_that_no_jacobian_is_stored_for_is_shared_out_by_products(serial):
    objective = network_objective(hidden=2, loss=CrossEntropy())
    lengths = torch.tensor([5, 6, 7])
    batch = ragged(3, longest=7)
    many = type(batch).every_step(
        [torch.randn(n, 3, dtype=torch.float64) for n in lengths], [torch.zeros(n, dtype=torch.int64) for n in lengths]
    )
    shared_out = MapReduceObjective(objective, serial, chunk=2)
    matrix, expected = shared_out.curvature(objective.theta, many), objective.curvature(objective.theta, many)
    assert (matrix.is_stored, matrix.diagonal()) == (False, None)
    torch.testing.assert_close(matrix.dense(), expected.dense(), **close)
    assert shared_out.linearise(objective.theta, many).curvature is None


@pytest.mark.costly
def test_an_objective_of_an_objective_is_an_objective(serial):
    """Shared out again, as chunks of chunks: the narrow waist is one."""
    objective, samples = network_objective(), ragged(30)
    result = minimise(LBFGSMethod(), BoundObjective(MapReduceObjective(objective, serial), samples), objective.theta)
    plain = minimise(LBFGSMethod(), BoundObjective(objective, samples), objective.theta)
    assert result.value == pytest.approx(plain.value, rel=1e-3)


def test_chunks_depend_on_data_and_network_alone(serial):
    objective = network_objective()
    shared_out = MapReduceObjective(objective, serial)
    assert shared_out._size(objective.theta, ragged(50)) == 50  # too little work to be cut
    large = torch.zeros(1_000_000)
    assert shared_out._size(large, ragged(640)) == 10  # a 64th
    assert shared_out._size(large, ragged(6400)) == 17  # as much as takes a tenth of a second


def test_samples_nobody_holds_any_more_are_released(serial, monkeypatch):
    forgotten = set()
    forget = Worker.forget
    monkeypatch.setattr(Worker, "forget", lambda self, numbers: forgotten.update(numbers) or forget(self, numbers))
    shared_out, theta = MapReduceObjective(Rounding(), serial, chunk=5), torch.ones(3)
    for turn in range(3):
        shared_out.value(theta, numbers(10, seed=turn))
        gc.collect()
    shared_out.value(theta, numbers(10))
    assert len(serial.datasets._datasets) == 1
    assert len(forgotten) >= 9  # three data sets of two chunks, and their names


def test_numbers_of_numpy_and_huge_chunks_are_whole_numbers_too(serial):
    samples, theta = numbers(5), torch.ones(3)
    expected = MapReduceObjective(Rounding(), serial, chunk=5).value(theta, samples)
    for chunk in (np.int64(5), 10**6, 2**70):
        assert (
            MapReduceObjective(Rounding(), serial, chunk=chunk, lease=np.float64(3)).value(theta, samples) == expected
        )


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_the_default_device_moves_nothing_that_is_shared(serial, device):
    """With dropout, an empty chunk of targets and parameters that are put back: all that is made beside the samples."""
    from longlag.distributed.chunks import pack, unpack
    from longlag.distributed.shared_memory import Segment, SegmentView

    samples, theta = numbers(10), torch.ones(3)
    objective = network_objective(num_layers=2, dropout=0.5)
    with torch.device(device):
        value, gradient = MapReduceObjective(Drawing(), serial, chunk=3).value_and_gradient(theta, samples)
        network = unpack(pack(objective, "it")).network
        segment = Segment()
        read = SegmentView(segment.descriptor).read(segment.append([torch.ones(0, 2, device="cpu"), theta]))
    assert value == MapReduceObjective(Rounding(), serial, chunk=3).value(theta, samples)
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
    assert [tensor.device.type for tensor in (gradient, *read)] == ["cpu"] * 3
    segment.close()


class Drawing(Rounding):
    """Says that it draws random numbers."""

    draws = True


@pytest.mark.parametrize(("former", "today"), [("standing", "workers"), ("greetings", "worker_infos")])
def test_former_names_of_an_executor_say_what_replaces_them(serial, former, today):
    with pytest.warns(DeprecationWarning, match=f"Executor.{former} is now Executor.{today}; the old name goes with"):
        assert getattr(serial, former) is getattr(serial, today)
