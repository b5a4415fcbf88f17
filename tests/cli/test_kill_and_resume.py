"""Nothing lost: a run killed at any moment and continued with --resume ends in the bytes of one left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import QUICK, SHORT, Answer, done, longlag, rows_to_classify, sentence, sequences, series, tree

from longlag.cli import fit as fit_command
from longlag.cli import run_directory
from longlag.estimators import LSTMClassifier, LSTMForecaster, LSTMRegressor
from longlag.training.run import Run

EPOCHS = 12
FIT = ("fit", "sunspots", "--max-epochs", str(EPOCHS), "--seed", "3")
LONGLAG = (str(Path(sys.executable).with_name("longlag")),)
EAGER = (
    sys.executable,
    "-c",
    "from longlag.training.run import Run; Run.is_due = lambda self: True; from longlag.cli.main import main; main()",
)
"""The same command with a checkpoint after every batch, which changes no bit of the result."""

# -- kill -9 -----------------------------------------------------------------------------------------------------------


def epochs(run: Path) -> int:
    """Epochs in the history, whole lines only."""
    history = run / "history.jsonl"
    return max(history.read_bytes().count(b"\n") - 1, 0) if history.exists() else 0


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()


def moment(phase: str, run: Path, rng: random.Random, whole: float) -> Callable[[float], bool]:
    """Whether the time to strike has come, given the seconds since the start; ``whole`` is how long a run takes.

    Where a file tells how far the run is, the blow waits for the file and then some random time.
    """
    if phase == "anywhere":
        at = rng.uniform(0, whole)
        return lambda passed: passed >= at
    if phase == "import":
        at = rng.uniform(0, 0.5) * whole
        return lambda passed: passed >= at or (run / "history.jsonl").exists()
    count, longest = rng.randrange(EPOCHS), 0.0
    seen: set[str] = set()
    reached: Callable[[], bool]
    if phase == "training":
        reached, longest = lambda: epochs(run) >= count, 0.03
    elif phase == "checkpoint":  # one is being written, or has just been

        def reached() -> bool:
            found = names(run / "checkpoints") - {"lock"}
            fresh = bool(found - seen)
            seen.update(found)
            return fresh and len(seen) > 2 * count

        longest = 0.005
    elif phase == "model":
        reached, longest = lambda: bool(names(run) & {".model.lock", ".model.new", "model"}), 0.005
    else:
        reached, longest = lambda: bool(names(run) & {".forecast.png.new", "forecast.png"}), 0.1
    wait, since = rng.uniform(0, longest), []

    def strike(passed: float) -> bool:
        if not since and (reached() or passed > 3 * whole):
            since.append(passed)
        return bool(since) and passed >= since[0] + wait

    return strike


def kill(command: Sequence[str], run: Path, strike: Callable[[float], bool]) -> str | None:
    """Start the command and kill it when ``strike`` says so; where it stood, or None if it ended before."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    began = time.monotonic()
    while process.poll() is None and not strike(time.monotonic() - began):
        time.sleep(0.0005)
    process.kill()
    _, err = process.communicate()
    assert err == b""
    if process.returncode == 0:
        return None
    assert process.returncode == -signal.SIGKILL
    if not epochs(run):
        return "before training"
    return "during training" if epochs(run) < EPOCHS else "after training"


def in_a_process(*words: str) -> None:
    """Run the command to its end in a process of its own."""
    answer = subprocess.run([*LONGLAG, *words], capture_output=True, text=True, check=False, timeout=600)
    assert (answer.returncode, answer.stderr) == (0, "")


def kept(run: Path) -> dict[str, bytes | None]:
    """What must be the same in every run: all but the checkpoints and the seconds in the history."""
    return {
        name: content
        for name, content in tree(run).items()
        if not name.startswith("checkpoints") and name != "history.jsonl"
    }


@dataclass
class Tally:
    """Kills by phase that was aimed at and by where they struck; runs that ended in other bytes."""

    aimed: Counter[str]
    struck: Counter[str]
    different: list[str]
    runs: int = 0


def kill_and_resume(
    folder: Path, plan: Sequence[Sequence[str]], rng: random.Random, call: Callable[..., object]
) -> Tally:
    """Every element of ``plan`` is a run: it is killed in these phases, one after another, and then left to end.

    The runs that are killed are processes of their own; ``call`` runs the undisturbed one and the ends.
    """
    tally = Tally(Counter(), Counter(), [])
    began = time.monotonic()
    call(*FIT, "--out", str(folder / "undisturbed"))
    seconds = time.monotonic() - began
    undisturbed = kept(folder / "undisturbed")
    assert {"model/manifest.json", "model/network.safetensors", "metrics.json", "forecast.png"} <= undisturbed.keys()
    for number, phases in enumerate(plan):
        run, resume = folder / f"run{number}", False
        for phase in phases:
            program = EAGER if phase in ("training", "checkpoint") else LONGLAG
            words = [*program, *FIT, "--out", str(run), *(["--resume"] if resume else [])]
            struck = kill(words, run, moment(phase, run, rng, seconds))
            resume = resume or run.exists()
            if struck is not None:
                tally.aimed[phase] += 1
                tally.struck[struck] += 1
        call(*FIT, "--out", str(run), *(["--resume"] if resume else []))
        tally.runs += 1
        if kept(run) != undisturbed:
            tally.different.append(f"run{number}: {', '.join(phases)}")
        record, *entries = map(json.loads, (run / "history.jsonl").read_text(encoding="utf-8").splitlines())
        assert "record" in record
        assert [entry["epoch"] for entry in entries] == list(range(1, EPOCHS + 1))
    return tally


def test_three_kills_in_one_run_change_no_byte(here: Path) -> None:
    tally = kill_and_resume(here, [("checkpoint", "model", "figures")], random.Random(11), done)
    assert tally.different == []
    assert tally.struck.total() == 3


@pytest.mark.slow
def test_fifty_kills_change_no_byte(here: Path) -> None:
    rng = random.Random(50)
    phases = [*["training"] * 12, *["checkpoint"] * 12, *["model"] * 8, *["figures"] * 6, *["import"] * 4]
    phases += ["anywhere"] * (56 - len(phases))  # some end before the blow
    rng.shuffle(phases)
    plan = []
    while phases:
        plan.append([phases.pop() for _ in range(min(rng.choice((1, 1, 2, 3)), len(phases)))])
    tally = kill_and_resume(here, plan, rng, in_a_process)
    sys.stdout.write(f"\n{tally}\n")
    assert tally.different == []
    assert tally.struck.total() >= 50
    assert min(tally.struck[where] for where in ("before training", "during training", "after training")) >= 4


# -- at exact points, in this process ----------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a run as a kill would: what catches errors does not catch it."""


def dying(function: Callable[..., object], *, after: int = 1, before: bool = False) -> Callable[..., object]:
    """``function``, which ends the run when it is called for the ``after``-th time: before its work or after."""
    calls = []

    def call(*words: object, **named: object) -> object:
        calls.append(1)
        if before and len(calls) == after:
            raise Killed
        answer = function(*words, **named)
        if len(calls) == after:
            raise Killed
        return answer

    return call


QUESTIONS = {
    "forecast": (LSTMForecaster, lambda: (series(), "--target", "y", *QUICK, "--max-epochs", 5)),
    "classify": (LSTMClassifier, lambda: (sequences("kind"), "--label", "kind", "--sequence", "id", *SHORT)),
    "regress": (LSTMRegressor, lambda: (sequences("score"), "--target", "score", "--sequence", "id", *SHORT)),
    "rows": (LSTMClassifier, lambda: (rows_to_classify(), "--label", "label", *SHORT)),
}


@pytest.mark.parametrize("task", QUESTIONS)
@pytest.mark.parametrize(
    "point",
    [
        "the question is written",
        "the record is written",
        "the first checkpoint",
        "the second checkpoint",
        "the model is saved",
        "after the model is saved",
        "the metrics are written",
    ],
)
def test_a_run_killed_when_this_happens_is_resumed_to_the_same_bytes(
    point: str, task: str, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> None:
    kind, question = QUESTIONS[task]
    words = ("fit", *question())
    done(*words, "--out", "undisturbed")
    monkeypatch.setattr(Run, "is_due", lambda self: True)
    with monkeypatch.context() as patch:
        place, name, fatal = {
            "the question is written": (run_directory, "write_json", dying(run_directory.write_json)),
            "the record is written": (Run, "begin", dying(Run.begin)),
            "the first checkpoint": (Run, "save", dying(Run.save)),
            "the second checkpoint": (Run, "save", dying(Run.save, after=2)),
            "the model is saved": (kind, "save", dying(kind.save, before=True)),
            "after the model is saved": (kind, "save", dying(kind.save)),
            "the metrics are written": (fit_command, "write_json", dying(fit_command.write_json, before=True)),
        }[point]
        patch.setattr(place, name, fatal)
        with pytest.raises(Killed):
            longlag(*words, "--out", "run")
    assert not Path("run/metrics.json").exists()
    assert Path("run/model").exists() == (point in ("after the model is saved", "the metrics are written"))
    done(*words, "--out", "run", "--resume")
    assert kept(Path("run")) == kept(Path("undisturbed"))


def test_a_kill_before_the_first_file_leaves_a_folder_that_is_taken(undrawn: None) -> None:
    words = ("fit", series(), "--target", "y", *QUICK)
    Path("run").mkdir()
    Path("run/.run.json.new").write_text('{"half', encoding="utf-8")
    done(*words, "--out", "run")
    done(*words, "--out", "undisturbed")
    assert kept(Path("run")) == kept(Path("undisturbed"))


def test_a_half_written_last_line_of_the_history_is_no_entry(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    words = ("fit", series(), "--target", "y", *QUICK, "--max-epochs", 4)
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


def test_ctrl_c_ends_with_code_130_and_one_sentence(here: Path) -> None:
    run = here / "run"
    command = [*LONGLAG, "fit", "sunspots", "--max-epochs", "5000", "--hidden-size", "64", "--out", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while process.poll() is None and not epochs(run) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    said = sentence(Answer(process.returncode, out, err), code=130)
    assert said == "interrupted; the same command with --resume goes on from the last checkpoint"
    assert not (run / "model").exists()
    assert not (run / "checkpoints/lock").exists()


def test_a_run_after_ctrl_c_is_resumed_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    words = ("fit", series(), "--target", "y", *QUICK, "--max-epochs", 4)
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
    def interrupt(self: LSTMForecaster, horizon: int) -> None:
        raise KeyboardInterrupt

    run = finished("forecast")
    monkeypatch.setattr(LSTMForecaster, "predict", interrupt)
    assert sentence(longlag("forecast", run, "--steps", 2), code=130) == "interrupted"
