"""longlag fit --optimizer with a batch method: it records, resumes and refuses as with the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import SHORT, done, longlag, refused, sequences, series, tree

from longlag.training.run import Run

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

METHODS = ("lbfgs", "cg", "hessian_free", "levenberg_marquardt")


def regress(optimizer: str, *words: object) -> tuple[object, ...]:
    return ("fit", sequences("score"), "--target", "score", "--sequence", "id", "--optimizer", optimizer, *words)


@pytest.mark.parametrize("optimizer", METHODS)
def test_a_fit_by_a_method_prints_and_records_what_the_others_do(optimizer: str, undrawn: None) -> None:
    found: dict[str, Any] = json.loads(done(*regress(optimizer, *SHORT, "--json", "--out", "run")))
    adam: dict[str, Any] = json.loads(done(*regress("adam", *SHORT, "--json", "--out", "adam")))
    assert found.keys() == adam.keys()
    assert (found["optimizer"], found["learning_rate"], found["epochs"]) == (optimizer, None, 2)
    assert tree(Path("run")).keys() - {"run"} >= {"run.json", "model", "history.jsonl", "metrics.json"}
    record, *epochs = [json.loads(line) for line in Path("run/history.jsonl").read_text().splitlines()]
    config = record["record"]["config"]
    assert {name: config[name] for name in ("optimizer", "batch_size", "inner_iterations", "clip_norm")} == {
        "optimizer": optimizer,
        "batch_size": 18,  # all that are not held out
        "inner_iterations": 1,
        "clip_norm": None,
    }
    assert epochs[1]["loss"] < epochs[0]["loss"]
    assert "18 sequences to learn from, 6 held out" in done(*regress(optimizer, *SHORT, "--out", "other"))
    assert f"optimizer              {optimizer}" in done("info", "run")


class Killed(Exception):
    """The end of a process."""


@pytest.mark.parametrize("optimizer", METHODS)
def test_a_fit_by_a_method_that_was_killed_is_resumed_to_the_same_bytes(
    optimizer: str, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> None:
    words = regress(optimizer, "--max-epochs", 4, "--hidden-size", 3)
    done(*words, "--out", "undisturbed")
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    save, saved = Run.save, []

    def dying(self: Run, *content: Any) -> None:
        save(self, *content)
        saved.append(1)
        if len(saved) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", dying)
        with pytest.raises(Killed):
            longlag(*words, "--out", "run")
    done(*words, "--out", "run", "--resume")
    for name in ("metrics.json", "model/manifest.json", "model/network.safetensors"):
        assert Path("run", name).read_bytes() == Path("undisturbed", name).read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("lbfgs", "--learning-rate", "0.1"), ["optimizer='lbfgs' uses no learning_rate", "sgd, momentum, adam or ad"]),
        (("levenberg_marquardt", "--hidden-size", "40"), ["weights; expected at most 4000", "hessian_free"]),
    ],
)
def test_what_a_method_cannot_do_is_refused_and_nothing_is_written(words: tuple[str, ...], says: list[str]) -> None:
    refused(*regress(*words, "--out", "new"), says=says)
    refused("fit", series(), "--target", "y", "--optimizer", *words, "--out", "new", says=says)
