"""Runs: in this process or in several, whole or cut short, the same trials come out."""

from __future__ import annotations

import multiprocessing
import threading
import time

import numpy as np
import pytest
import torch
from example_jobs import jobs, plain, run, store, stored

from longlag_lab.hochreiter1997.perform import TimeShares


@pytest.mark.processes
@pytest.mark.usefixtures("forked_workers")
def test_several_processes_find_what_one_finds(tmp_path):
    asked = [*jobs("4-1", "6a", "3a-1"), *jobs("1-5", variant="today")]  # the last computes with torch
    torch.set_num_threads(4)
    one = run(asked, store(tmp_path / "one", resume=False))
    assert torch.get_num_threads() == 4
    two = run(asked, store(tmp_path / "two", resume=False), processes=2)
    assert plain(one) == plain(two)
    assert all(state.done and len(state.outcomes) == 2 for state in two)


def test_a_run_that_was_cut_short_goes_on_with_the_trials_that_are_missing(tmp_path):
    whole = run(jobs("6a", trials=4), store(tmp_path / "whole", resume=False))
    run(jobs("6a", trials=2), store(tmp_path / "cut", resume=False))
    path = stored(tmp_path / "cut", *jobs("6a"))[0]
    path.write_text(path.read_text() + '{"trial": 3, "sol')  # killed while writing
    before = path.read_text().splitlines()[1]
    resumed = run(jobs("6a", trials=4), store(tmp_path / "cut", resume=True))
    assert plain(resumed) == plain(whole)
    assert before in path.read_text().splitlines()  # kept, not run again


def test_seconds_are_those_of_every_trial_once_however_often_a_run_goes_on(tmp_path):
    def resumed(trials):
        return run(jobs("6a", "4-1", trials=trials), store(tmp_path, resume=True))

    spent = 0.0
    for trials in (2, 3, 3):
        began = time.perf_counter()
        states = resumed(trials)
        spent += time.perf_counter() - began
    assert 0 < sum(state.seconds for state in states) <= spent
    for state in states:
        assert state.seconds == pytest.approx(sum(outcome.seconds for outcome in state.outcomes.values()))
        assert all(outcome.seconds > 0 for outcome in state.outcomes.values())
    assert [state.seconds for state in resumed(3)] == [state.seconds for state in states]


def test_time_of_trials_that_were_kept_before_a_kill_is_kept_too(tmp_path):
    def kill(states):
        if any(state.outcomes for state in states):
            raise KeyboardInterrupt

    job = jobs("3a-guess", cap=64)  # trials one after the other
    with pytest.raises(KeyboardInterrupt):
        run(job, store(tmp_path, resume=False), show=kill)
    first = store(tmp_path, resume=True).load(job[0])
    assert set(first) == {0}
    assert first[0].seconds > 0
    state = run(job, store(tmp_path, resume=True))[0]
    assert state.outcomes[0] == first[0]
    assert state.seconds > first[0].seconds


def test_time_that_trials_spend_together_is_shared_by_the_steps_they_read(monkeypatch):
    now = iter([0.0, 10.0, 15.0, 40.0])
    monkeypatch.setattr("longlag_lab.hochreiter1997.perform.time.perf_counter", lambda: next(now))
    shares = TimeShares(3)
    shares.divide(np.array([100, 300, 0]))
    shares.divide(np.array([100, 300, 0]))  # nobody has read: the next who do have this time
    shares.divide(np.array([200, 300, 200]))
    np.testing.assert_allclose(shares.seconds, [2.5 + 10, 7.5, 20], rtol=1e-12)  # 10 by 1:3:0, then 30 by 1:0:2


def test_a_job_knows_about_how_long_its_sequences_are():
    lengths = {"4-2": 525, "2c-9": 1012, "2c-1": 62, "2a": 100, "6a": 105, "parity-guess": 500, "1-rcc": 11}
    for name, length in lengths.items():
        # lengths are drawn: uniform in T..1.1 T, or with a geometric tail; strings of the grammar are of 8 and more
        assert jobs(name)[0].length == pytest.approx(length, rel=0.1), name


@pytest.mark.costly
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.processes)])
def test_an_interrupted_run_stops_its_workers_and_keeps_what_has_ended(processes, tmp_path):
    asked = [*jobs("6a", trials=2), *jobs("4-3", trials=2, cap=5_000)]

    def interrupt(states):
        if any(state.outcomes for state in states):
            raise KeyboardInterrupt

    before, children = threading.active_count(), set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        run(asked, store(tmp_path, resume=False), processes=processes, show=interrupt)
    assert set(multiprocessing.active_children()) <= children
    assert threading.active_count() == before
    ended = sum(len(store(tmp_path, resume=True).load(job)) for job in asked)
    assert 1 <= ended < 4
