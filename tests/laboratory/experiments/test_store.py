"""Kept trials: none is lost, and none is believed that is none."""

from __future__ import annotations

import json
import re

import pytest
from example_jobs import jobs, plain, run, store, stored

from longlag.errors import CheckpointError
from longlag_lab.hochreiter1997.outcome import Outcome

WHOLE = {
    "trial": 0,
    "solved": 250,
    "sequences": 250,
    "weights": 156,
    "also": {"ST1": 200},
    "test": {"wrong": 1, "of": 2560, "mse": None},
    "curve": [[100, 0.5], [250, None]],
    "seconds": 1.5,
}


def test_what_is_kept_of_a_trial_comes_back_whole():
    assert Outcome.from_plain(WHOLE).plain() == WHOLE


@pytest.mark.costly
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trial", "zero"),
        ("trial", -1),
        ("trial", True),
        ("trial", 10**400),
        ("solved", "many"),
        ("solved", 251),
        ("sequences", None),
        ("sequences", 1.5),
        ("weights", []),
        ("also", 5),
        ("also", {"ST1": "early"}),
        ("test", {"wrong": "few", "of": 2560}),
        ("test", {"wrong": 1}),
        ("test", {"wrong": 3, "of": 2}),
        ("curve", None),
        ("curve", [[100]]),
        ("curve", [["100", 0.5]]),
        ("curve", [[200, 0.5], [100, 0.5]]),
        ("seconds", -1.0),
        ("seconds", "long"),
        ("more", 1),
    ],
)
def test_a_line_that_is_no_trial_is_named_with_what_is_wrong_in_it(name, value, tmp_path):
    run(jobs("6a"), store(tmp_path, resume=False))
    path = stored(tmp_path, *jobs("6a"))[0]
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, json.dumps(WHOLE | {name: value}), *lines]) + "\n")
    before = path.read_bytes()
    said = f"{re.escape(str(path))}, line 2 is not a trial: .*{'made of' if name == 'more' else name}"
    with pytest.raises(CheckpointError, match=said):
        run(jobs("6a"), store(tmp_path, resume=True))
    assert path.read_bytes() == before


def test_a_file_of_other_trials_under_this_name_is_refused(tmp_path):
    run(jobs("6a", "6b"), store(tmp_path, resume=False))
    one, other = stored(tmp_path, *jobs("6a", "6b"))
    other.replace(one)
    with pytest.raises(CheckpointError, match="line 1 does not say what was run"):
        run(jobs("6a"), store(tmp_path, resume=True))


def test_a_file_that_is_no_text_is_named(tmp_path):
    run(jobs("6a"), store(tmp_path, resume=False))
    path = stored(tmp_path, *jobs("6a"))[0]
    head, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + b"\xff\xfe\x00\n" + b"".join(rest))
    with pytest.raises(CheckpointError, match="line 2 is damaged"):
        run(jobs("6a"), store(tmp_path, resume=True))


@pytest.mark.parametrize("resume", [True, False])
def test_trials_of_other_settings_are_neither_mixed_in_nor_lost(resume, tmp_path):
    run(jobs("6a", seed=1), store(tmp_path, resume=False))
    before = stored(tmp_path, *jobs("6a", seed=1))[0].read_bytes()
    other = run(jobs("6a", seed=2), store(tmp_path, resume=resume))
    longer = run(jobs("6a", seed=1, cap=400), store(tmp_path, resume=resume))
    assert plain(other) == plain(run(jobs("6a", seed=2), store(tmp_path / "fresh", resume=False)))
    assert [outcome.sequences for outcome in longer[0].outcomes.values()] == [400, 400]
    assert stored(tmp_path, *jobs("6a", seed=1))[0].read_bytes() == before


def test_without_resume_what_is_there_is_run_again_and_set_aside_when_the_first_trial_has_ended(tmp_path):
    first = run(jobs("6a"), store(tmp_path, resume=False))
    path = stored(tmp_path, *jobs("6a"))[0]
    before = path.read_bytes()
    trials = store(tmp_path, resume=False)
    assert trials.load(jobs("6a")[0]) == {}
    assert path.read_bytes() == before  # nothing has ended yet
    seen = []
    again = run(jobs("6a"), trials, show=lambda states: seen.append(len(states[0].outcomes)))
    assert plain(first) == plain(again)
    assert seen[0] <= 1
    assert path.with_name(f"{path.name}.old").read_bytes() == before
    assert plain(run(jobs("6a"), store(tmp_path, resume=True))) == plain(first)
