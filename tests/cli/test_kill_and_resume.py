"""Nothing lost: a run killed at any moment and continued with --resume ends in the bytes of one left alone."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from children import longlag_interrupted, longlag_killed
from commands import QUICK, SHORT, Answer, done, longlag, panel, rows_to_classify, sentence, sequences, series, tree
from moments import copying

from faults import Fault, kill
from longlag.cli import fit as fit_command
from longlag.cli import run_directory
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.training.run import Run

pytestmark = pytest.mark.costly

EPOCHS = 6
FIT = ("fit", "sunspots", "--max-epochs", EPOCHS, "--hidden-size", 4, "--networks", 2, "--seed", 3)
STAGES = {"": EPOCHS, "network-1": EPOCHS, "network-0-1": 1, "network-1-1": 1, "network-0-2": 1, "network-1-2": 1}
"""Where each network learns, and goes on to learn the rest, for a quarter of the best epoch: folders, and epochs."""

# -- kill -9 -----------------------------------------------------------------------------------------------------------


def epochs(folder: Path) -> int:
    """Epochs in the history, whole lines only."""
    history = folder / "history.jsonl"
    return max(history.read_bytes().count(b"\n") - 1, 0) if history.exists() else 0


def phase(run: Path) -> str:
    """How far a killed run came."""
    if not epochs(run):
        return "before training"
    stages = [stage for stage, number in STAGES.items() if epochs(run / stage) < number]
    return f"during training {stages[0]}".rstrip() if stages else "after training"


def kept(run: Path) -> dict[str, bytes | None]:
    """What must be the same in every run: all but the checkpoints and the seconds in the history."""
    return {
        name: content
        for name, content in tree(run).items()
        if "checkpoints" not in name and not name.endswith("history.jsonl")
    }


def ends_as(undisturbed: Path, run: Path) -> None:
    """Go on with a killed run to its end, and compare."""
    done(*FIT, "--out", run, *(["--resume"] if run.exists() else []))
    assert kept(run) == kept(undisturbed)
    for stage, number in STAGES.items():
        text = (run / stage / "history.jsonl").read_text(encoding="utf-8")
        record, *entries = map(json.loads, text.splitlines())
        assert "record" in record
        assert [entry["epoch"] for entry in entries] == list(range(1, number + 1))


@pytest.mark.processes
def test_three_kills_in_one_run_change_no_byte(here: Path) -> None:
    run, undisturbed = here / "run", here / "undisturbed"
    done(*FIT, "--out", undisturbed)
    files = {"model/manifest.json", "model/network.safetensors", "model/network_1.safetensors", "forecast.png"}
    assert files | {"metrics.json"} <= kept(undisturbed).keys()
    phases = []
    kills = (("run/checkpoints/", 60, "before"), ("run/network-1-2/", 6, "after"), ("/.model.new", 4, "before"))
    for place, at, moment in kills:
        resume = ["--resume"] if run.exists() else []
        assert longlag_killed(place, at, moment, *FIT, "--out", run, *resume)
        phases.append(phase(run))
    assert phases == ["during training", "during training network-1-2", "after training"]
    ends_as(undisturbed, run)


@pytest.mark.slow
def test_fifty_kills_change_no_byte(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(50)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "is_due", lambda self: True)
        with Fault(0, "before", kill, place=str(here)) as count:
            done(*FIT, "--out", here / "undisturbed")
    assert count.count > 500
    struck: Counter[str] = Counter()
    for number in range(1000):
        run = here / f"run{number}"
        for _ in range(rng.choice((1, 1, 2, 3))):
            resume = ["--resume"] if run.exists() else []
            # The first and the last operations, where there is little training, are as likely as all the others.
            at = rng.choice((rng.randint(1, 20), rng.randint(1, count.count), count.count - rng.randint(0, 60)))
            if longlag_killed(str(here), at, rng.choice(("before", "after")), *FIT, "--out", run, *resume):
                struck[phase(run).split(" network")[0]] += 1
        ends_as(here / "undisturbed", run)
        shutil.rmtree(run)
        if struck.total() >= 50:
            break
    sys.stdout.write(f"\n{struck}\n")
    assert min(struck[where] for where in ("before training", "during training", "after training")) >= 4


# -- at exact points, in this process ----------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a run as a kill would: what catches errors does not catch it."""


def dying(function: Callable[..., object], *, after: int) -> Callable[..., object]:
    """``function``, which ends the run when its ``after``-th call has done its work."""
    calls = []

    def call(*words: object, **named: object) -> object:
        calls.append(1)
        answer = function(*words, **named)
        if len(calls) == after:
            raise Killed
        return answer

    return call


QUESTIONS = {
    "forecast": (LSTMForecaster, lambda: (series(steps=30), "--target", "y", *QUICK, "--max-epochs", 3)),
    "panel": (LSTMForecaster, lambda: (panel(), "--id", "store", *QUICK, "--networks", 2)),
    "classify": (LSTMClassifier, lambda: (sequences("kind"), "--label", "kind", "--sequence", "id", *SHORT)),
    "regress": (LSTMRegressor, lambda: (sequences("score"), "--target", "score", "--sequence", "id", *SHORT)),
    "rows": (LSTMClassifier, lambda: (rows_to_classify(), "--label", "label", *SHORT)),
}


@pytest.fixture(scope="module")
def undisturbed() -> Callable[..., dict[str, bytes | None]]:
    """What a run of a task leaves that nobody kills; run once for all the tests that kill one."""
    runs: dict[str, dict[str, bytes | None]] = {}

    def files(task: str, *words: object) -> dict[str, bytes | None]:
        if task not in runs:
            done(*words, "--out", "undisturbed")
            runs[task] = kept(Path("undisturbed"))
        return runs[task]

    return files


POINTS = (
    "the question is written",
    "the record is written",
    "the first checkpoint",
    "the second checkpoint",
    "the model is saved",
    "after the model is saved",
    "the metrics are written",
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Path]]:
    """The folders that a kill at each point leaves of a run of a task: copies made in one run for all the points."""
    folders: dict[str, dict[str, Path]] = {}

    def copies(task: str, kind: type, *words: object) -> dict[str, Path]:
        if task not in folders:
            folder = tmp_path_factory.mktemp(task)
            paths = {point: folder / str(number) for number, point in enumerate(POINTS)}
            question, record, first, second, unsaved, saved, metrics = ([path] for path in paths.values())
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Run, "is_due", lambda self: True)
                patch.setattr(run_directory, "write_json", copying(run_directory.write_json, question, "struck"))
                patch.setattr(Run, "begin", copying(Run.begin, record, "struck"))
                patch.setattr(Run, "save", copying(Run.save, first + second, "struck"))
                save = copying(kind.save, saved, "struck")  # type: ignore[attr-defined]
                patch.setattr(kind, "save", copying(save, unsaved, "struck", before=True))
                patch.setattr(
                    fit_command, "write_json", copying(fit_command.write_json, metrics, "struck", before=True)
                )
                done(*words, "--out", "struck")
            folders[task] = paths
        return folders[task]

    return copies


@pytest.mark.parametrize("task", QUESTIONS)
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_when_this_happens_is_resumed_to_the_same_bytes(
    point: str,
    task: str,
    undisturbed: Callable[..., dict[str, bytes | None]],
    killed: Callable[..., dict[str, Path]],
    undrawn: None,
) -> None:
    kind, question = QUESTIONS[task]
    words = ("fit", *question())
    expected = undisturbed(task, *words)
    shutil.copytree(killed(task, kind, *words)[point], "run")
    assert not Path("run/metrics.json").exists()
    assert Path("run/model").exists() == (point in ("after the model is saved", "the metrics are written"))
    done(*words, "--out", "run", "--resume")
    assert kept(Path("run")) == expected


@pytest.mark.parametrize("task", ["forecast", "panel"])
def test_a_forecaster_killed_after_any_of_its_checkpoints_is_resumed_to_the_same_bytes(
    task: str, here: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> None:
    """Several networks, each of which learns three times: what ended is not learned again, and nothing is left out."""
    words = ("fit", *QUESTIONS[task][1](), "--max-epochs", 2, "--networks", 2)
    save, folders = Run.save, []
    runs = (here / f"run{number}" for number in itertools.count(1))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "is_due", lambda self: True)
        copied = copying(save, runs, "undisturbed")
        patch.setattr(Run, "save", lambda self, *content: folders.append(self.directory) or copied(self, *content))
        done(*words, "--out", "undisturbed")
    assert len({folder.relative_to("undisturbed") for folder in folders}) == 6
    for number in range(1, len(folders) + 1):
        run = f"run{number}"
        assert not Path(run, "metrics.json").exists()
        done(*words, "--out", run, "--resume")
        assert kept(Path(run)) == kept(Path("undisturbed"))


def test_a_kill_before_the_first_file_leaves_a_folder_that_is_taken(undrawn: None) -> None:
    words = ("fit", series(steps=30), "--target", "y", *QUICK)
    Path("run").mkdir()
    Path("run/.run.json.new").write_text('{"half', encoding="utf-8")
    done(*words, "--out", "run")
    done(*words, "--out", "undisturbed")
    assert kept(Path("run")) == kept(Path("undisturbed"))


def test_a_half_written_last_line_of_the_history_is_no_entry(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    words = ("fit", series(steps=30), "--target", "y", *QUICK, "--max-epochs", 4)
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", dying(Run.save, after=2))
        with pytest.raises(Killed):
            longlag(*words, "--out", "run")
    with Path("run/history.jsonl").open("ab") as history:
        history.write(b'{"epoch": 3, "loss": 0.')
    done(*words, "--out", "run", "--resume")
    lines = Path("run/history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line).get("epoch") for line in lines] == [None, 1, 2, 3, 4]


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_ctrl_c_ends_with_code_130_and_one_sentence(here: Path) -> None:
    run = here / "run"
    child = longlag_interrupted(*FIT, "--out", run)
    said = sentence(Answer(child.returncode, child.stdout, child.stderr), code=130)
    assert said == "interrupted; the same command with --resume goes on from the last checkpoint"
    assert phase(run) == "during training"
    assert not (run / "model").exists()
    assert not (run / "checkpoints/lock").exists()


def test_a_run_after_ctrl_c_is_resumed_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    words = ("fit", series(steps=30), "--target", "y", *QUICK, "--max-epochs", 4)
    done(*words, "--out", "undisturbed")
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    save, saved = Run.save, []

    def interrupted(self: Run, *content: object) -> None:
        save(self, *content)  # type: ignore[arg-type]
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", interrupted)
    sentence(longlag(*words, "--out", "run"), code=130)
    done(*words, "--out", "run", "--resume")
    assert kept(Path("run")) == kept(Path("undisturbed"))


def test_ctrl_c_in_another_command_does_not_speak_of_resuming(
    finished: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: LSTMForecaster, *words: object, **named: object) -> None:
        raise KeyboardInterrupt

    run = finished("forecast")
    monkeypatch.setattr(LSTMForecaster, "predict_interval", interrupt)
    assert sentence(longlag("forecast", run, "--steps", 2), code=130) == "interrupted"
