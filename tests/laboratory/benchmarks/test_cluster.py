"""``longlag bench cluster``: no time without the oracle's bits, and files that say what was measured. No time is
judged here: the machine may be busy."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import median
from types import SimpleNamespace

import pytest
import torch

from cli.commands import longlag
from longlag.data.sequences import SequenceBatch
from longlag.distributed import MapReduceObjective, SerialExecutor
from longlag.distributed.messages import Answer
from longlag.distributed.sums import Sums
from longlag.distributed.worker import Worker
from longlag.errors import ClusterError, InputError, LonglagError
from longlag_lab.benchmarks import cluster, cluster_costs, cluster_markdown, cluster_report, slow_worker
from longlag_lab.benchmarks.cluster import Race, WorkerTimes
from longlag_lab.benchmarks.cluster_costs import Killed, Overhead
from longlag_lab.benchmarks.gradient_work import gradient_work
from longlag_lab.benchmarks.slow_worker import SlowWorker
from longlag_lab.benchmarks.workers import ThrottledWorkers, gather

RACE = Race(
    cells=20,
    weights=1781,
    samples=100,
    chunk=10,
    chunk_cost=0.021,
    clients=[WorkerTimes(0.5, [2.0, 9.0, 1.0], 0.02, 0.02), WorkerTimes(0.25, [4.0])],
    together=[1.5, 1.6, 1.4],
    equal=[2.0],
)
KILLED = Killed(workers=5, chunk=0.05, undisturbed=[1.0, 1.1, 1.2], disturbed=[1.05, 1.3, 1.25], detection=[0.02] * 3)


@pytest.mark.processes
@pytest.mark.slow  # seventeen processes are started
def test_a_quick_run_measures_everything_and_writes_three_files(tmp_path):
    answer = longlag("bench", "cluster", "--quick", "--out", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert "Five clients reach" in answer.out
    assert (tmp_path / "bench_cluster.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / "bench_cluster.json").read_text())
    text = (tmp_path / "bench_cluster.md").read_text()
    race = found["race"]
    assert [client["speed"] for client in race["clients"]] == [0.5, 0.4, 0.3, 0.2, 0.1]
    for each in (race, *found["figure"]):
        times = [seconds for client in each["clients"] for seconds in client["alone"]] + each["together"]
        assert len(times) >= 6
        assert min(times) > 0
        assert each["efficiency"] == pytest.approx(each["speed_up"] / each["bound"])
    assert [each["cells"] for each in found["figure"]] == list(cluster.QUICK.sizes)
    assert all(overhead["seconds"] > 0 for overhead in found["overheads"])
    assert found["killed"]["detection"][0] > 0
    for bar in found["bars"]:
        assert f"| {bar['what']} | {bar['bar']} | {bar['measured']} |" in text
    assert "A quick run" in text


def test_nothing_is_timed_that_is_not_the_oracles_bits():
    work, _ = gradient_work(4, 30, seed=1)
    value, gradient = work.answers[1]
    work.answers[1] = value, torch.nextafter(gradient, gradient + 1)
    with SerialExecutor() as executor:
        assert work.seconds(work.shared(executor)) > 0  # the first point's are right
        with pytest.raises(LonglagError, match="not the bits"):
            work.seconds(work.shared(executor), 2)


@pytest.mark.costly
def test_a_chunk_costs_what_was_asked_for_or_holds_every_sample():
    work, cost = gradient_work(4, 200, seed=1, chunk_seconds=1e-4)
    assert cost is not None
    assert cost >= 1e-4
    work, cost = gradient_work(4, 20, seed=1, chunk_seconds=100.0)
    assert work.chunk == 20


@pytest.mark.costly
def test_a_share_of_the_samples_has_an_oracle_of_its_own():
    work, _ = gradient_work(4, 50, seed=1, chunk_seconds=1e-6)
    share = work.of(work.samples.select(torch.arange(10)))
    with SerialExecutor() as executor:
        assert share.seconds(share.shared(executor), 2) > 0


def test_the_bound_and_the_efficiency_follow_from_medians():
    assert RACE.fastest == 2.0
    assert RACE.bound == pytest.approx(1.5)
    assert RACE.speed_up == pytest.approx(2.0 / 1.5)
    assert RACE.efficiency == pytest.approx(2.0 / 1.5 / 1.5)
    assert RACE.equal_speed_up == pytest.approx(1.0)
    assert replace(RACE, equal=[]).equal_speed_up is None


def test_what_a_death_costs_is_the_median_difference_in_chunk_times():
    assert KILLED.cost == pytest.approx(median([0.05, 0.2, 0.05]) / 0.05)
    assert KILLED.allowed == pytest.approx(2.4)


@pytest.mark.costly
def test_every_bar_is_judged_and_what_was_not_measured_is_said():
    overheads = [
        Overhead("ProcessExecutor", 101, seconds=0.004),
        Overhead("ProcessExecutor", 10_000, seconds=0.016),
        Overhead("RayExecutor", 101, note="ray is not installed"),
    ]
    findings = cluster.Findings(RACE, [replace(RACE, equal=[])], overheads, KILLED)
    found = cluster_report.document(findings, cluster.FULL, quick=False, load=2.0, seconds=1.0)
    assert [bar["met"] for bar in found["bars"]] == [True, True, False, True, False, None, True, True]
    assert ["ray is not installed", "-"] in [row[2:] for row in cluster_markdown.bar_rows(found)]
    assert any("load 2.0" in line for line in cluster_markdown.warnings(found))


def test_the_objective_without_work_can_be_shared_out():
    samples = SequenceBatch.every_step([torch.zeros(2, 1)] * 8, [torch.zeros(2, 1)] * 8)
    with SerialExecutor() as executor:
        shared = MapReduceObjective(cluster_costs.Constant(7), executor, chunk=2)
        value, gradient = shared.value_and_gradient(torch.zeros(7, dtype=torch.float64), samples)
    assert value == 0.0
    assert torch.equal(gradient, torch.zeros(7, dtype=torch.float64))


def test_workers_that_cannot_come_are_not_waited_for():
    with SerialExecutor() as executor, pytest.raises(ClusterError, match="1 workers have joined, 2 were expected"):
        gather(executor, 2)


@pytest.mark.parametrize("speed", [2.0, 0.0, -1.0, True, "half"])
def test_a_speed_that_no_worker_can_have_is_refused(speed):
    with pytest.raises(InputError, match=f"speeds are \\[1.0, {speed!r}\\]; expected numbers above 0 and at most 1"):
        ThrottledWorkers([1.0, speed])


def test_a_slow_worker_answers_the_same_and_says_that_it_took_as_long_as_it_slept(monkeypatch):
    """A simulated clock: the computing thread is busy for a second, and the worker has a quarter of the core."""
    clock, busy = iter([10.0, 11.0, 14.0]), iter([3.0, 4.0])
    slept = []
    monkeypatch.setattr(
        slow_worker,
        "time",
        SimpleNamespace(perf_counter=lambda: next(clock), thread_time=lambda: next(busy), sleep=slept.append),
    )
    monkeypatch.setattr(Worker, "answer", lambda self, task: Answer(task, Sums(1, 2.0), 1.0))
    answer = SlowWorker(None, keep=0, speed=0.25).answer(7)
    assert slept == [3.0]
    assert answer == Answer(7, Sums(1, 2.0), 4.0)
    monkeypatch.setattr(Worker, "answer", lambda self, task: Answer(task, problem="no"))
    clock, busy = iter([10.0]), iter([3.0])
    assert SlowWorker(None, keep=0, speed=0.25).answer(7) == Answer(7, problem="no")
    assert len(slept) == 1
