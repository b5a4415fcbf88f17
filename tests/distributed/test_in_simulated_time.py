"""Whatever happens to the workers, the sum has the bits of the serial executor, or there is one clear error."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distributed.examples import Rounding, numbers
from distributed.simulated import Simulated
from longlag.distributed import MapReduceObjective, SerialExecutor
from longlag.errors import ClusterError
from property_examples import examples

shares = st.sampled_from([0.0, 0.0, 0.1, 0.3])


def answers(executor, samples, chunk, questions=3):
    objective = MapReduceObjective(Rounding(), executor, chunk=chunk)
    found = []
    for number in range(1, questions + 1):
        theta = torch.linspace(0.5, 1.5, 3) * number
        value, gradient = objective.value_and_gradient(theta, samples)
        found.append((value, gradient, objective.curvature_product(theta, gradient, samples)))
    return found


def same(left, right):
    return all(
        a[0] == b[0] and torch.equal(a[1], b[1]) and torch.equal(a[2], b[2]) for a, b in zip(left, right, strict=True)
    )


@examples(400)
@given(
    seed=st.integers(0, 2**32),
    workers=st.integers(1, 6),
    chunk=st.integers(1, 40),
    count=st.integers(1, 60),
    die=shares,
    late=shares,
    freeze=st.sampled_from([0.0, 0.0, 0.02, 0.1]),
    twice=shares,
    join=shares,
)
def test_any_schedule_of_deaths_stops_repeats_and_newcomers_gives_the_serial_bits(
    seed, workers, chunk, count, die, late, freeze, twice, join
):
    samples = numbers(count, seed=seed % 97)
    with Simulated(seed, workers, die=die, late=late, freeze=freeze, twice=twice, join=join) as executor:
        try:
            found = answers(executor, samples, chunk)
        except ClusterError as error:
            ends = {"no worker is left": die, "cost 3 workers their lives": die, "no worker gives a sign": freeze}
            if not any(words in str(error) and cause for words, cause in ends.items()):
                raise
            if "no worker gives a sign" in str(error):
                assert set(executor.workers) <= executor.frozen
            return
    with SerialExecutor() as serial:
        assert same(found, answers(serial, samples, chunk))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_order_of_sums_is_seen_by_the_example(workers):
    samples = numbers(50)
    whole = Rounding().value_and_gradient(torch.ones(3), samples)[1]
    with Simulated(0, workers) as executor:
        cut = MapReduceObjective(Rounding(), executor, chunk=3).value_and_gradient(torch.ones(3), samples)[1]
    assert not torch.equal(whole, cut)  # otherwise no test above could fail
    torch.testing.assert_close(whole, cut, rtol=1e-4, atol=1e-4)


@examples(60)
@given(seed=st.integers(0, 2**32), late=shares)
def test_a_worker_that_answers_nan_is_found_out_by_another(seed, late):
    def spoil(sums):
        return replace(sums, value=math.nan)

    samples = numbers(20)
    with Simulated(seed, 3, late=late, corrupt={"worker 2": spoil}) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2)
        try:
            value = objective.value(torch.ones(3), samples)
        except ClusterError as error:
            if "worker 2" not in str(error) or "not finite" not in str(error):
                raise
        else:  # the faulty one was never the first to answer
            with SerialExecutor() as serial:
                assert value == MapReduceObjective(Rounding(), serial, chunk=2).value(torch.ones(3), samples)


def test_samples_that_are_more_or_fewer_than_there_were_are_no_answer():
    def one_more(sums):
        return replace(sums, count=sums.count + 1)

    with Simulated(0, 1, corrupt={"worker 1": one_more}) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=5)
        with pytest.raises(ClusterError, match=r"the chunks hold 24 samples, 20 were expected; were files changed\?"):
            objective.value(torch.ones(3), numbers(20))


@pytest.mark.parametrize("workers", [1, 3])
def test_where_the_function_itself_is_not_finite_that_is_the_answer(workers):
    samples = numbers(20)
    with Simulated(1, workers) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2)
        value, gradient = objective.value_and_gradient(torch.full((3,), math.inf), samples)
        assert math.isnan(value)
        assert gradient.isnan().all()
        assert math.isfinite(objective.value(torch.ones(3), samples))  # and it goes on


def test_a_stopped_worker_costs_no_more_than_its_own_chunk():
    """The others repeat what it holds as soon as they have nothing else to do, without waiting for its lease to end."""
    samples = numbers(64)
    with Simulated(3, 4) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=1, lease=1000.0)
        objective.value(torch.ones(3), samples)
        began = executor.clock
        objective.value(torch.ones(3), samples)
        undisturbed = executor.clock - began
        late = iter([500.0])
        submit = executor._submit

        def stopping(worker, task):
            submit(worker, task)
            if worker == "worker 1":
                for number, (time, tie, event) in enumerate(executor.coming):
                    if getattr(event, "answer", None) is not None and event.answer.number == task.number:
                        executor.coming[number] = (time + next(late, 0.0), tie, event)

        executor._submit = stopping
        began = executor.clock
        objective.value(torch.ones(3), samples)
        assert executor.clock - began < 2 * undisturbed + 1


def test_with_nobody_left_there_is_one_clear_error_and_the_next_newcomer_is_welcome():
    samples = numbers(20)
    with Simulated(5, 2, die=1.0) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2)
        with pytest.raises(ClusterError, match=r"no worker is left .*it was killed"):
            objective.value(torch.ones(3), samples)
        executor.die = 0.0
        executor._hire(0.0)
        with SerialExecutor() as serial:
            expected = MapReduceObjective(Rounding(), serial, chunk=2).value(torch.ones(3), samples)
        assert objective.value(torch.ones(3), samples) == expected


def test_a_chunk_that_kills_whoever_takes_it_is_named():
    samples = numbers(4)
    with Simulated(5, 6, die=1.0) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=4)
        with pytest.raises(ClusterError, match="chunk 0 cost 3 workers their lives"):
            objective.value(torch.ones(3), samples)


# -- nobody answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(("lease", "least"), [(10.0, 30.0), (100.0, 300.0), (1.0, 11.0)])
def test_when_all_workers_are_stopped_one_clear_error_names_them_after_three_leases(workers, lease, least):
    samples = numbers(20)
    with Simulated(0, workers, freeze=1.0) as executor:
        objective = MapReduceObjective(Rounding(), executor, chunk=2, lease=lease)
        with pytest.raises(ClusterError, match=r"no worker gives a sign of life \(.*worker 1 \(process \d+ on"):
            objective.value(torch.ones(3), samples)
        assert least - 1 < executor.clock < least + 3
        assert executor.pings > workers
        began = executor.clock
        with pytest.raises(ClusterError, match="no worker gives a sign of life"):  # stopped before the request began
            objective.value(torch.ones(3), samples)
        assert executor.clock - began < least
        executor.freeze = 0.0
        executor._hire(0.0)
        with SerialExecutor() as serial:
            expected = MapReduceObjective(Rounding(), serial, chunk=2).value(torch.ones(3), samples)
        assert objective.value(torch.ones(3), samples) == expected  # of whoever joins


@pytest.mark.costly
def test_workers_that_live_may_take_as_long_as_they_need(caplog):
    samples = numbers(4)
    with Simulated(0, 2) as executor:
        slow, submit = 5000.0, executor._submit

        def slowly(worker, task):
            submit(worker, task)
            executor.coming = [(at + slow, tie, event) for at, tie, event in executor.coming]

        executor._submit = slowly
        value = MapReduceObjective(Rounding(), executor, chunk=2).value(torch.ones(3), samples)
        assert executor.clock > slow
        assert executor.pings <= 2 * executor.clock  # each worker once a second, and not in every turn of the loop
    with SerialExecutor() as serial:
        assert value == MapReduceObjective(Rounding(), serial, chunk=2).value(torch.ones(3), samples)
    assert [record.getMessage() for record in caplog.records] == [
        "no chunk was answered within 10 seconds, but workers are alive: waiting for them"
    ]


def test_a_driver_that_was_stopped_itself_does_not_take_its_workers_for_dead():
    samples = numbers(4)
    with Simulated(0, 1) as executor:
        wait = executor._wait

        def waking(seconds):
            """One wait lasts a day, after which the worker still needs a moment."""
            if executor.busy and executor.clock < 86400.0:
                executor.clock += 86400.0
                executor.coming = [(at + 86401.0, tie, event) for at, tie, event in executor.coming]
                return []
            return wait(seconds)

        executor._wait = waking
        value = MapReduceObjective(Rounding(), executor, chunk=4).value(torch.ones(3), samples)
    assert value == Rounding().value(torch.ones(3), samples)
