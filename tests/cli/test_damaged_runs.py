"""Runs that are damaged, unfinished or no runs at all; nothing that is read is ever executed."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from commands import QUICK, Answer, done, flip, longlag, refused, sentence, series, tree
from moments import copying

from longlag.training.run import Run

Finished = Callable[[str], Path]
FIT = ("fit", "series.csv", "--target", "y", *QUICK, "--max-epochs", 4)
FILES = ("parameters.safetensors", "optimizer.safetensors", "best.safetensors", "random.safetensors", "manifest.json")


@pytest.fixture
def every_batch(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    """A checkpoint after every batch."""
    monkeypatch.setattr(Run, "is_due", lambda self: True)


def warned(*words: object) -> Answer:
    """As ``longlag``, where warnings are printed, as they are for a user."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return longlag(*words)


@pytest.fixture(scope="module")
def killed_after(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int | None], None]:
    """Call with a number: ``run`` is a run killed after so many checkpoints; with None, one that has ended.

    They are copies of one run, made when first asked for.
    """
    copies: list[Path] = []

    def copy(saves: int | None) -> None:
        if not copies:
            folder = tmp_path_factory.mktemp("killed")
            paths = [folder / str(number) for number in range(1, 5)]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Run, "save", copying(Run.save, paths, "whole"))
                done(*FIT, "--out", "whole")
            shutil.move("whole", folder / "whole")
            copies.extend([folder / "whole", *paths])
        # The file of the lock, which a kill leaves too, would be tidied away by a run that is refused.
        shutil.copytree(copies[saves or 0], "run", ignore=shutil.ignore_patterns("lock"))

    return copy


@pytest.mark.costly
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [-1, 0], ids=["its last byte", "its first byte"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(
    file: str, place: int, every_batch: None, killed_after: Callable[[int | None], None]
) -> None:
    series(steps=30)
    killed_after(None)
    Path("run").rename("undisturbed")
    killed_after(3)
    newest = max(Path("run/checkpoints").iterdir())
    flip(newest / file, place)
    answer = warned(*FIT, "--out", "run", "--resume")
    assert answer.code == 0
    assert answer.err.startswith("longlag: warning: ")
    assert answer.err.count("\n") == 1
    assert f"{newest.name}: {file} is" in answer.err
    assert "is used instead" in answer.err
    assert tree(Path("run/model")) == tree(Path("undisturbed/model"))


def test_a_finished_run_whose_last_checkpoint_is_damaged_comes_to_the_same_end(
    every_batch: None, killed_after: Callable[[int | None], None]
) -> None:
    series(steps=30)
    killed_after(None)
    before = tree(Path("run/model"))
    flip(max(Path("run/checkpoints").iterdir()) / "parameters.safetensors")
    shutil.rmtree("run/model")
    answer = warned(*FIT, "--out", "run", "--resume")
    assert answer.code == 0
    assert "is used instead" in answer.err
    assert tree(Path("run/model")) == before


def test_when_every_checkpoint_is_damaged_the_run_is_refused(
    every_batch: None, killed_after: Callable[[int | None], None]
) -> None:
    series(steps=30)
    killed_after(3)
    kept = sorted(Path("run/checkpoints").glob("step-*"))
    assert len(kept) == 2
    for checkpoint in kept:
        flip(checkpoint / "best.safetensors")
    refused(*FIT, "--out", "run", "--resume", says=["no whole checkpoint", kept[0].name, kept[1].name])


@pytest.mark.parametrize("what", ["a checkpoint's file", "a checkpoint", "the folder of checkpoints"])
def test_a_pickle_among_the_checkpoints_is_refused(
    what: str, every_batch: None, killed_after: Callable[[int | None], None]
) -> None:
    series(steps=30)
    killed_after(1)
    checkpoint = next(Path("run/checkpoints").glob("step-*"))
    paths = {"a checkpoint's file": checkpoint / "best.safetensors", "a checkpoint": checkpoint}
    trap(paths.get(what, checkpoint.parent))
    refused(*FIT, "--out", "run", "--resume", says=["run/checkpoints"])
    assert not Path("sprung").exists()


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_a_history_that_lost_lines_is_refused(
    keep: int, every_batch: None, killed_after: Callable[[int | None], None]
) -> None:
    series(steps=30)
    killed_after(4)
    history = Path("run/history.jsonl")
    lines = history.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5  # the record and four epochs
    history.write_bytes(b"".join(lines[:keep]))
    refused(*FIT, "--out", "run", "--resume", says=["run/history.jsonl has", "entries; expected at least"])


# -- what is no model --------------------------------------------------------------------------------------------------


class Trap:
    """Unpickling this would make a file called ``sprung``."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("sprung",)


def trap(path: Path) -> None:
    """Put a pickle, as torch.save writes it, in the place of a file or folder."""
    if path.is_dir():
        shutil.rmtree(path)
    torch.save({"weights": torch.zeros(3), "trap": Trap()}, path)


USES = (("forecast", "{}", "--steps", 2), ("predict", "{}", "series.csv"), ("info", "{}"))


def use(words: Sequence[object], run: str) -> tuple[object, ...]:
    return tuple(run if word == "{}" else word for word in words)


@pytest.mark.parametrize("words", USES, ids=lambda words: words[0])
def test_a_pickle_is_never_opened(words: Sequence[object], finished: Finished) -> None:
    finished("forecast")
    trap(Path("old.pt"))
    refused(*use(words, "old.pt"), says=["old.pt is a file", "expected a run directory", "never opened"])
    trap(Path("run/model"))
    refused(*use(words, "run"), says=["run/model is a file", "never opened"])
    assert not Path("sprung").exists()


@pytest.mark.parametrize("name", ["network.safetensors", "arrays.safetensors", "manifest.json"])
@pytest.mark.parametrize("words", USES, ids=lambda words: words[0])
def test_a_pickle_inside_a_model_is_never_opened(words: Sequence[object], name: str, finished: Finished) -> None:
    trap(finished("forecast") / "model" / name)
    refused(*use(words, "run"), says=["run/model", name, "expected"])
    assert not Path("sprung").exists()


@pytest.mark.parametrize("name", ["network.safetensors", "arrays.safetensors", "manifest.json"])
@pytest.mark.parametrize("words", USES, ids=lambda words: words[0])
def test_a_model_with_a_changed_byte_is_refused_by_file(words: Sequence[object], name: str, finished: Finished) -> None:
    model = finished("forecast") / "model"
    for place in (0, os.path.getsize(model / name) // 2, -1):
        flip(model / name, place)
        refused(*use(words, "run"), says=["run/model", name, "damaged"])
        flip(model / name, place)
    os.unlink(model / name)
    refused(*use(words, "run"), says=["run/model", name, "missing"])


def test_a_checkpoint_is_no_model(finished: Finished) -> None:
    run = finished("forecast")
    shutil.rmtree(run / "model")
    next((run / "checkpoints").glob("step-*")).rename(run / "model")
    refused("forecast", run, "--steps", 2, says=["run/model", "describes a 'checkpoint'", "expected a 'model'"])


@pytest.mark.parametrize("words", USES, ids=lambda words: words[0])
def test_what_is_no_run_is_refused(words: Sequence[object]) -> None:
    Path("empty").mkdir()
    Path("series.txt.bak").touch()
    for place, says in (
        ("nowhere", "nowhere is not a run"),
        ("empty", "empty is not a run"),
        ("series.txt.bak", "series.txt.bak is a file"),
        ("series.txt.bak/run", "series.txt.bak/run is not a run"),
        ("n" * 300, "nnn"),
    ):
        refused(*use(words, place), says=[says, "expected a"])
    if words[0] != "forecast":  # which forecasts a table without a run
        refused(*use(words, series()), says=["series.csv is a file", "expected a"])


@pytest.mark.parametrize("words", USES, ids=lambda words: words[0])
def test_a_run_without_a_model_is_told_how_to_end(words: Sequence[object], finished: Finished) -> None:
    shutil.rmtree(finished("forecast") / "model")
    refused(*use(words, "run"), says=["run has no model yet", "longlag fit ... --resume"])


def test_a_run_without_metrics_is_told_how_to_end(finished: Finished) -> None:
    run = finished("forecast")
    os.unlink(run / "metrics.json")
    refused("info", run, says=["run has no metrics.json yet", "longlag fit ... --resume"])
    done("forecast", run, "--steps", 2)


RECORDS = {
    "not JSON": b"{",
    "no object": b"[1, 2]",
    "not UTF-8": b"\xff\xfe{}",
    "NaN": b'{"task": NaN}',
    "empty": b"",
    "another task": b'{"task": "classify", "features": ["a"], "sequence": null}',
    "no task": b'{"target": "y", "time": "step", "next_times": null}',
    "half a question": b'{"task": "forecast", "target": "y"}',
    "a task that is none": b'{"task": ["forecast"]}',
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("content", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("words", USES, ids=lambda words: words[0])
def test_a_run_whose_question_is_damaged_is_refused(
    words: Sequence[object], content: bytes, finished: Finished
) -> None:
    (finished("forecast") / "run.json").write_bytes(content)
    refused(*use(words, "run"), says=["run/run.json", "expected"])


@pytest.mark.parametrize("content", [b"{", b"[]", b""])
def test_a_damaged_question_or_score_is_refused_by_file(content: bytes, finished: Finished) -> None:
    run = finished("forecast")
    (run / "metrics.json").write_bytes(content)
    refused("info", run, says=["run/metrics.json", "expected"])
    (run / "run.json").write_bytes(content)
    refused(*FIT, "--out", run, "--resume", says=["run/run.json", "expected"])


@pytest.mark.parametrize("next_times", [None, {"last": 60, "step": 1, "unit": None}])
@pytest.mark.parametrize("words", USES[:2], ids=lambda words: words[0])
def test_a_forecaster_of_an_earlier_release_is_refused_in_one_sentence(
    words: Sequence[object], next_times: object, finished: Finished
) -> None:
    run = finished("forecast")
    question = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**question, "next_times": next_times}), encoding="utf-8")
    refused(*use(words, "run"), says=["run was written by an earlier release", "expected a run of this one: fit again"])


@pytest.mark.costly
def test_two_processes_do_not_write_one_run(finished: Finished) -> None:
    run = finished("forecast")
    again = ("fit", "series.csv", "--target", "y", "--time", "step", "--season", 6, *QUICK, "--out", run, "--resume")
    before = tree(run / "model")
    with Run(run, resume=True):
        assert "another process is writing to run/checkpoints" in sentence(longlag(*again))
    assert tree(run / "model") == before
    done(*again)
    assert tree(run / "model") == before
