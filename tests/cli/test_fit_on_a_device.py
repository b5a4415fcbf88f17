"""longlag fit --device: where networks learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commands import QUICK, done, refused, series, tree

from training.pretended_gpu import pretended_gpu

pytestmark = pytest.mark.costly


def test_a_gpu_that_is_not_there_is_refused_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("fit", series(), "--target", "y", "--out", "new")
    refused(*words, "--device", "cuda", says=["device is 'cuda'", "expected 'cpu', or 'auto'"])
    refused(*words, "--device", "gpu", says=["device is 'gpu'", "expected 'cpu', 'cuda', 'cuda:1'"])


def test_auto_without_a_gpu_is_the_cpu_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("fit", series(), "--target", "y", *QUICK)
    done(*words, "--out", "plain")
    done(*words, "--out", "auto", "--device", "auto")
    assert tree(Path("auto/model")) == tree(Path("plain/model"))
    assert Path("auto/run.json").read_bytes() == Path("plain/run.json").read_bytes()


def test_a_run_on_a_gpu_says_so_and_goes_on_there_alone(undrawn: None) -> None:
    words = ("fit", series(), "--target", "y", *QUICK, "--out", "run")
    with pretended_gpu():
        done(*words, "--device", "cuda")
    assert json.loads(Path("run/run.json").read_text())["device"] == "cuda:0"
    assert len(done("forecast", "run", "--steps", 2).splitlines()) == 3
    refused(*words, "--resume", says=["run holds a run with device = 'cuda:0', not None", "expected the same command"])
    with pretended_gpu():
        refused(*words, "--device", "cuda", "--workers", 1, "--resume", says=["workers compute on the CPU"])
