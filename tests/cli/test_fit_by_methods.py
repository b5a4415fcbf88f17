"""longlag fit --optimizer with a batch method: it records, resumes and refuses as with the others."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import SHORT, done, longlag, refused, sequences, series, tree

from longlag.estimators import LSTMRegressor
from longlag.optimizers import listed, names
from longlag.training.run import Run

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

METHODS = names(methods=True)


def regress(optimizer: str, *words: object) -> tuple[object, ...]:
    return ("fit", sequences("score"), "--target", "score", "--sequence", "id", "--optimizer", optimizer, *words)


@pytest.fixture(scope="module")
def by_adam() -> Callable[[], dict[str, Any]]:
    """What a fit by Adam prints, made when first asked for."""
    return functools.cache(lambda: json.loads(done(*regress("adam", *SHORT, "--json", "--out", "adam"))))


@pytest.mark.costly
@pytest.mark.parametrize("optimizer", METHODS)
def test_a_fit_by_a_method_prints_and_records_what_the_others_do(
    optimizer: str, by_adam: Callable[[], dict[str, Any]], undrawn: None
) -> None:
    found: dict[str, Any] = json.loads(done(*regress(optimizer, *SHORT, "--json", "--out", "run")))
    assert found.keys() == by_adam().keys()
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
    assert "18 sequences to learn from, 6 held out" in done(*regress(optimizer, *SHORT, "--out", "run", "--resume"))
    assert f"optimizer              {optimizer}" in done("info", "run")


class Killed(Exception):
    """The end of a process."""


def killed_after(save: Any, count: int) -> Any:
    """``Run.save`` that ends the process after so many calls."""
    calls = itertools.count(1)

    def dying(self: Run, *content: Any) -> None:
        save(self, *content)
        if next(calls) == count:
            raise Killed

    return dying


@pytest.mark.costly
@pytest.mark.parametrize("optimizer", METHODS)
def test_a_fit_by_a_method_that_was_killed_is_resumed_to_the_same_bytes(
    optimizer: str, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> None:
    words = regress(optimizer, "--max-epochs", 3, "--hidden-size", 2)
    done(*words, "--out", "undisturbed")
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", killed_after(Run.save, 2))
        with pytest.raises(Killed):
            longlag(*words, "--out", "run")
    done(*words, "--out", "run", "--resume")
    for name in ("metrics.json", "model/manifest.json", "model/network.safetensors"):
        assert Path("run", name).read_bytes() == Path("undisturbed", name).read_bytes()


# -- options of the optimiser ------------------------------------------------------------------------------------------


def recorded(run: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(Path(run, "history.jsonl").read_text().splitlines()[0])["record"]["config"]
    return config


@pytest.mark.costly
def test_options_reach_the_optimiser_and_are_recorded(undrawn: None) -> None:
    words = ("--optimizer-option", "history_size=1", "--optimizer-option", "line_search.curvature=1e-1")
    words += ("--optimizer-option", "damped=true")
    options = {"history_size": 1, "line_search.curvature": 0.1, "damped": True}
    found = json.loads(done(*regress("lbfgs", *SHORT, *words, "--json", "--out", "run")))
    plain = json.loads(done(*regress("lbfgs", *SHORT, "--json", "--out", "plain")))
    assert found["optimizer_options"] == options
    assert json.loads(Path("run/run.json").read_text())["optimizer_options"] == options
    assert recorded("run")["optimizer_options"] == options
    assert found.keys() - plain.keys() == {"optimizer_options"}
    model = LSTMRegressor.load("run/model")
    assert model.optimizer_options == options
    networks = [Path(run, "model", "network.safetensors").read_bytes() for run in ("run", "plain")]
    assert networks[0] != networks[1]
    done(*regress("momentum", *SHORT, "--optimizer-option", "momentum=0.5", "--out", "momentum"))
    assert recorded("momentum")["momentum"] == 0.5
    done(*regress("cg", *SHORT, "--optimizer-option", "orthogonality=none", "--out", "cg"))
    assert recorded("cg")["optimizer_options"] == {"orthogonality": None}


@pytest.mark.costly
def test_a_run_goes_on_with_its_own_options_alone(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    words = regress("lbfgs", "--max-epochs", 4, "--hidden-size", 3, "--out", "run")
    option = ("--optimizer-option", "history_size=2")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "is_due", lambda self: True)
        patch.setattr(Run, "save", killed_after(Run.save, 2))
        with pytest.raises(Killed):
            longlag(*words, *option)
    refused(*words, "--resume", says=["run holds a run with optimizer_options = {'history_size': 2}, not None"])
    other = ("--optimizer-option", "history_size=3")
    refused(*words, *other, "--resume", says=["optimizer_options = {'history_size': 2}, not {'history_size': 3}"])
    done(*words, *option, "--resume")
    done(*words[:-1], "undisturbed", *option)
    network = "model/network.safetensors"
    assert Path("run", network).read_bytes() == Path("undisturbed", network).read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("size=3",),
            ["optimizer='lbfgs' has no option 'size'; expected one of history_size, learning_rate, cu"],
        ),
        (("history_size",), ["--optimizer-option is 'history_size'; expected NAME=VALUE, as in history_size=5"]),
        (("history_size=",), ["--optimizer-option is 'history_size='; expected NAME=VALUE"]),
        (("=5",), ["--optimizer-option is '=5'; expected NAME=VALUE"]),
        (("history_size=many",), ["LBFGS: history_size is 'many'; expected a whole number of at least 1"]),
        (("history_size=2.5",), ["LBFGS: history_size is 2.5; expected a whole number of at least 1"]),
        (("learning_rate=nan",), ["LBFGS: learning_rate is nan; expected a finite number above 0"]),
        (("history_size=5", "history_size=6"), ["--optimizer-option gives history_size twice; expected it once"]),
    ],
)
def test_an_option_that_is_unknown_or_wrong_is_refused_and_nothing_is_written(
    words: tuple[str, ...], says: list[str]
) -> None:
    options = [part for word in words for part in ("--optimizer-option", word)]
    refused(*regress("lbfgs", *options, "--out", "new"), says=says)
    refused("fit", series(), "--target", "y", "--optimizer", "lbfgs", *options, "--out", "new", says=says)


def test_help_lists_every_optimiser() -> None:
    words = " ".join(done("fit", "--help").split())
    assert f"{listed(names())}. [default: adam]" in words


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
