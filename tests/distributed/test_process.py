"""Real processes: the bits of the serial executor, whatever becomes of the workers."""

import os
import re
import signal

import pytest
import torch

from distributed.examples import Rounding, network_objective, numbers, ragged
from distributed.hardship import assert_bits_endure, learned, same
from longlag.distributed import MapReduceObjective, ProcessExecutor, SerialExecutor
from longlag.distributed.messages import Lost
from longlag.errors import ClusterError, InputError
from longlag.optim import BoundObjective, HessianFreeMethod, LevenbergMarquardtMethod, minimise

# PyTorch's forward mode warns of itself the first time.
pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]


class Some(ProcessExecutor):
    """Processes of which the first ``most`` get tasks."""

    most = 5

    @property
    def idle(self):
        return [worker for worker in list(self.workers)[: self.most] if self.workers[worker] is None]


@pytest.fixture(scope="module")
def five_for_all():
    with Some(5) as executor:
        yield executor


@pytest.fixture
def five(five_for_all):
    """Five workers, whichever died in earlier tests."""
    five_for_all.gather(5)
    five_for_all.most = 5
    return five_for_all


@pytest.fixture(scope="module")
def expected():
    """Gradient and 20 iterations of L-BFGS, by the serial executor."""
    with SerialExecutor() as serial:
        return learned(serial)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_one_two_and_five_processes_learn_the_serial_bits(five, workers, expected):
    five.most = workers
    assert same(learned(five), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_question_has_the_serial_bits(five, serial, dtype):
    objective, samples = network_objective(hidden=2, dtype=dtype), ragged(30, dtype=dtype)
    theta = objective.theta
    v = torch.linspace(-1, 1, len(theta), dtype=dtype)
    one, other = (MapReduceObjective(objective, executor, chunk=8) for executor in (serial, five))
    assert one.value(theta, samples) == other.value(theta, samples)
    for structural in (0.0, 0.5):
        products = [each.curvature_product(theta, v, samples, structural=structural) for each in (one, other)]
        assert torch.equal(*products)
    assert torch.equal(*[each.curvature(theta, samples).dense() for each in (one, other)])
    left, right = (each.linearise(theta, samples) for each in (one, other))
    assert left.value == right.value
    assert torch.equal(left.gradient, right.gradient)
    assert torch.equal(left.curvature.dense(), right.curvature.dense())


@pytest.mark.parametrize("method", [HessianFreeMethod(), LevenbergMarquardtMethod(), HessianFreeMethod(structural=0.1)])
def test_second_order_methods_learn_the_serial_bits(five, serial, method):
    objective, samples = network_objective(), ragged(60)
    found = [
        minimise(
            method,
            BoundObjective(MapReduceObjective(objective, each, chunk=9), samples),
            objective.theta,
            max_iterations=2,
        )
        for each in (serial, five)
    ]
    assert found[0].value == found[1].value
    assert torch.equal(found[0].theta, found[1].theta)


def test_dropped_units_are_the_same_whoever_drops_them(five, serial):
    objective = network_objective(num_layers=2, dropout=0.5)
    samples, found = ragged(40), []
    for executor in (serial, five):
        torch.manual_seed(7)
        found.append(MapReduceObjective(objective, executor, chunk=5).value_and_gradient(objective.theta, samples))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    again = MapReduceObjective(objective, five, chunk=5).value(objective.theta, samples)
    assert again != found[0][0]  # other units


def test_each_chunk_drops_units_of_its_own(serial):
    objective = network_objective(num_layers=2, dropout=0.5)
    once, values = ragged(10), []
    twice = once.select(torch.arange(20) % 10)
    for samples in (once, twice):
        torch.manual_seed(7)
        values.append(MapReduceObjective(objective, serial, chunk=10).value(objective.theta, samples))
    assert values[0] != pytest.approx(values[1], rel=1e-6)


def test_what_changes_in_the_network_or_the_samples_reaches_the_workers(five):
    import dataclasses

    objective, samples = network_objective(), ragged(30)
    shared_out, theta = MapReduceObjective(objective, five, chunk=4), objective.theta
    first = shared_out.value(theta, samples)
    lstm = objective.network.lstm
    lstm.cell = dataclasses.replace(lstm.cell, sharpness=3.0)
    sharper = shared_out.value(theta, samples)
    assert sharper == pytest.approx(objective.value(theta, samples), rel=1e-12)
    assert sharper != first
    samples.targets.mul_(2.0)
    assert shared_out.value(theta, samples) == pytest.approx(objective.value(theta, samples), rel=1e-12)


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("seed", range(3))
def test_processes_killed_and_stopped_at_random_change_no_bit(five, seed):
    assert_bits_endure(five, seed, blows=3, lease=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 40))
def test_many_more_schedules_change_no_bit_either(five, seed):
    assert_bits_endure(five, seed, blows=3, lease=0.1)


class Dies(Rounding):
    """Kills its process where theta is negative."""

    def value(self, theta, samples):
        if float(theta[0]) < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().value(theta, samples)


class Fails(Rounding):
    """Raises what a defect might, or a user's mistake."""

    def __init__(self, error):
        self.error = error

    def value(self, theta, samples):
        raise self.error


@pytest.mark.usefixtures("forked_workers")
def test_a_request_that_kills_whoever_computes_it_is_not_put_to_everybody():
    samples = numbers(3)
    with ProcessExecutor(5) as executor:  # of its own, since more may die of it than are replaced
        executor.gather(5)
        objective = MapReduceObjective(Dies(), executor, chunk=3)
        objective.value(torch.ones(3), samples)
        with pytest.raises(ClusterError, match="chunk 0 cost 3 workers their lives"):
            objective.value(-torch.ones(3), samples)


@pytest.mark.usefixtures("forked_workers")
def test_processes_that_die_are_replaced_unless_nobody_answers_any_more():
    samples, theta = numbers(3), torch.ones(3)

    def kill(executor):
        (process,) = executor.processes.values()
        os.kill(process, signal.SIGKILL)

    with ProcessExecutor(1) as executor:
        objective = MapReduceObjective(Rounding(), executor)
        value = objective.value(theta, samples)
        for _ in range(2):  # more deaths than workers, and answers between them
            kill(executor)
            assert objective.value(theta, samples) == value
        for _ in range(2):  # as many again, and none
            executor.gather(1)
            kill(executor)
            while not any(isinstance(event, Lost) for event in executor.events(60.0)):
                pass
        assert not executor.processes
        with pytest.raises(ClusterError, match=r"0 workers have joined, 1 were expected"):
            executor.gather(1)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no such thing"), ClusterError, r" \(process \d+ on .*\): ValueError: no such thing"),
        (InputError("column 'a' is missing"), InputError, r" .*: column 'a' is missing"),
        (MemoryError(), ClusterError, r" .*: MemoryError"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_one_sentence_here(five, error, kind, message):
    five.most, samples = 1, numbers(3)
    one_of_them = "|".join(map(re.escape, five.workers))  # the first that is free, which a busy machine decides
    with pytest.raises(kind, match=f"({one_of_them}){message}"):
        MapReduceObjective(Fails(error), five).value(torch.ones(3), samples)
    expected = Rounding().value(torch.ones(3), samples)
    assert MapReduceObjective(Rounding(), five).value(torch.ones(3), samples) == expected  # and it goes on


def test_a_worker_of_another_version_is_refused(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "m.version = lambda name: '0.0.7' if name == 'longlag' else real(name)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ProcessExecutor(1) as executor:
        objective = MapReduceObjective(Rounding(), executor)
        with pytest.raises(ClusterError, match=r"worker 1 .* runs longlag 0\.0\.7, .*this process longlag (?!0\.0\.7)"):
            objective.value(torch.ones(3), numbers(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"workers": 2.5}, "workers is 2.5"),
        ({"workers": True}, "workers is True"),
        ({"workers": "2"}, "workers is '2'"),
        ({"workers": None}, "workers is None"),
        ({"workers": 2**70}, f"workers is {2**70}; expected a whole number of at most 1024"),
        ({"workers": float("nan")}, "workers is nan"),
        ({"workers": 1, "replace": 1}, "replace is 1; expected True or False"),
        ({"workers": 1, "keep": 1.5}, "keep is 1.5"),
        ({"workers": 1, "keep": None}, "keep is None"),
        ({"workers": 1, "keep": -1}, "keep is -1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ProcessExecutor(**options)
