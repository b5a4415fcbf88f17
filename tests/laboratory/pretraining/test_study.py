"""The study: a variant is what its name says, trials that have ended are not run again, and all of it is reported."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from longlag.errors import InputError
from longlag.synthetic.prior import Prior
from longlag_lab.benchmarks.forecast_competitions import Group
from longlag_lab.pretraining import study_report as report
from longlag_lab.pretraining import study_trial, validation
from longlag_lab.pretraining.competitions import score_groups, training_parts
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.study import StudyProgress, run_study
from longlag_lab.pretraining.variants import Variant, variants

TINY = PretrainingSettings(updates=2, hidden_size=4, num_layers=1, head_size=4, values=150, answers=100, warm_up=2)
ROWS = [
    Variant("sizes", "4 cells", TINY),
    Variant("cells", "plain", TINY),
    Variant("cells", "coupled", dataclasses.replace(TINY, cell="coupled")),
]


@pytest.fixture(autouse=True)
def few_held_out_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation that takes no time."""
    for name, value in (("BATCHES", 1), ("VALUES", 100), ("ANSWERS", 100)):
        monkeypatch.setattr(validation, name, value)
    study_trial._held_out.cache_clear()


def groups() -> list[Group]:
    rng = np.random.default_rng(0)
    series = [100 + rng.normal(size=length).cumsum() for length in (9, 30, 41)]
    return [Group("M3", "yearly", 1, series, np.full((3, 6), np.nan))]


def test_every_row_differs_from_the_usual_network_in_what_its_name_says() -> None:
    usual = PretrainingSettings(updates=700).document()
    for row in variants(updates=700):
        changed = {name for name, value in row.settings.document().items() if usual[name] != value}
        expected = {
            "sizes": {"hidden_size"},
            "cells": {"cell", "learn_sharpness"},
            "ingredients": {"without"},
            "schedules": {"updates"},
        }[row.table]
        assert changed <= expected
        assert len(changed) <= 1
    left_out = [row.settings.without for row in variants(("ingredients",))]
    assert left_out == [(), *((field.name,) for field in dataclasses.fields(Prior))]


def test_a_table_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no table 'size'; expected some of sizes, cells, ingredients, schedules"):
        variants(("size",))


def test_trials_that_have_ended_are_kept_and_equal_rows_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[StudyProgress] = []
    monkeypatch.setattr(study_trial, "_real", groups)
    first = run_study(ROWS, tmp_path, trials=1, processes=1, resume=True, real=True, show=seen.append)
    assert {settings.cell: [trial.trial for trial in trials] for settings, trials in first.items()} == {
        "plain": [0],
        "coupled": [0],
    }
    assert (seen[0].ended, seen[0].trials, seen[0].of) == (0, 2, 4)
    assert (seen[-1].ended, seen[-1].updates) == (2, 4)
    seen.clear()
    second = run_study(ROWS, tmp_path, trials=2, processes=1, resume=True, real=True, show=seen.append)
    assert (seen[0].ended, seen[0].trials, seen[0].of) == (2, 4, 4)
    for settings, trials in second.items():
        assert trials[0] == first[settings][0]
        assert trials[0].loss != trials[1].loss
    document = json.loads(json.dumps(report.document(ROWS, second, seconds=1.0)))
    text = report.markdown(document)
    for row in ROWS:
        assert f"| {row.name} | " in text
    assert "M3 sMAPE" not in text  # of all series: Tourism is missing here


def test_the_look_at_real_series_reads_no_test_part() -> None:
    """The test parts are NaN here: what is forecast is the last horizon of the training parts."""
    (part,) = training_parts(groups())
    (whole,) = groups()
    assert [len(series) for series in part.training] == [24, 35]  # the first is too short
    for series, cut, test in zip(whole.training[1:], part.training, part.test, strict=True):
        assert np.array_equal(np.concatenate([cut, test]), series)
    scores = score_groups(TINY.network(), [part])
    assert scores.keys() == {"M3 yearly", "M3 all"}
    assert scores["M3 all"] == scores["M3 yearly"]
    assert all(np.isfinite(list(scores["M3 all"].values())))
