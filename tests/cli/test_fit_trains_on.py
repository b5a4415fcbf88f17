"""longlag fit --resume --max-epochs N trains a run on."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import done, refused, rows_to_classify, series, tree

pytestmark = pytest.mark.costly


@pytest.mark.parametrize("task", ["forecast", "classify"])
def test_a_run_with_more_epochs_is_the_run_that_had_them_from_the_start(task: str, undrawn: None) -> None:
    data = (series(), "--target", "y", "--lags", "3", "--networks", "1")
    if task == "classify":
        data = (rows_to_classify(), "--label", "label")
    words = ("fit", *data, "--hidden-size", "2", "--learning-rate", "0.01")
    done(*words, "--max-epochs", 4, "--out", "whole")
    done(*words, "--max-epochs", 2, "--out", "run")
    before = tree(Path("run"))
    refused(*words, "--max-epochs", 1, "--resume", "--out", "run", says=["max_epochs = 2, not 1", "expected the same"])
    refused(*words, "--resume", "--out", "run", says=["max_epochs = 2, not None", "expected the same command"])
    assert tree(Path("run")) == before
    done(*words, "--max-epochs", 4, "--resume", "--out", "run")
    assert tree(Path("run/model")) == tree(Path("whole/model"))
    for name in ("run.json", "metrics.json"):
        assert (Path("run") / name).read_bytes() == (Path("whole") / name).read_bytes()
    refused(*words, "--max-epochs", 2, "--resume", "--out", "run", says=["max_epochs = 4, not 2"])


def test_fewer_epochs_than_the_usual_ones_are_refused_and_the_run_stays(undrawn: None) -> None:
    words = ("fit", rows_to_classify(rows=12), "--label", "label", "--hidden-size", "1", "--out", "run")
    done(*words)
    before = tree(Path("run"))
    refused(*words, "--resume", "--max-epochs", 3, says=["max_epochs = 100, not 3", "expected the same settings"])
    assert tree(Path("run")) == before
