"""What watches longlag fit: the progress bar for people, and --tensorboard."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import QUICK, done, refused, series, tree


@pytest.mark.costly
def test_tensorboard_has_curves_of_every_network_and_stage_and_the_model_is_the_same() -> None:
    pytest.importorskip("tensorboard")
    words = ("fit", series(), "--target", "y", *QUICK, "--networks", "2")
    done(*words, "--out", "plain")
    done(*words, "--out", "watched", "--tensorboard", "curves")
    folders = {str(path.parent) for path in Path("curves").rglob("events*")}
    names = [f"curves/network-{network}" for network in (0, 1)]
    assert folders == {*names, *(f"{name}/{stage}" for name in names for stage in ("refit", "update"))}
    assert tree(Path("watched/model")) == tree(Path("plain/model"))
    assert json.loads(Path("watched/run.json").read_text()) == json.loads(Path("plain/run.json").read_text())


def test_without_the_package_tensorboard_is_refused_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    says = ["'tensorboard'", 'pip install "longlag[tensorboard]"']
    refused("fit", series(), "--target", "y", "--out", "new", "--tensorboard", "curves", says=says)
