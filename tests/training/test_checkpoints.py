"""The checkpoints of a run: two are kept, the newest whole one is used, one process writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import environment, every_fault, run_in_fork
from longlag.errors import CheckpointError, InputError
from longlag.io.directory import read_directory
from longlag.training.checkpoints import Checkpoints, DamagedCheckpointWarning


def save(checkpoints: Checkpoints, step: int) -> None:
    files = {"theta.safetensors": {"theta": torch.full((3,), float(step))}}
    checkpoints.save(step, files, {"step": step})


def newest(checkpoints: Checkpoints) -> int:
    found = checkpoints.latest()
    assert found is not None
    step, saved = found
    assert saved.document == {"step": step}
    assert torch.equal(saved.files["theta.safetensors"]["theta"], torch.full((3,), float(step)))
    return step


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def damage(folder: Path, step: int) -> None:
    path = folder / f"step-{step:08d}" / "theta.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def refuse(message: str) -> None:
    raise AssertionError(f"unexpected warning: {message}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def test_the_newest_two_stay_and_the_newest_is_read(folder: Path) -> None:
    with Checkpoints(folder, warn=refuse) as checkpoints:
        assert checkpoints.latest() is None
        for step in (0, 5, 12, 100_000_000):
            save(checkpoints, step)
            assert newest(checkpoints) == step
    assert names(folder) == ["step-00000012", "step-100000000"]
    assert Checkpoints(folder).steps() == [12, 100_000_000]
    assert newest(Checkpoints(folder)) == 100_000_000


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_stay_as_asked_for(folder: Path, keep: int) -> None:
    checkpoints = Checkpoints(folder, keep=keep)
    for step in range(5):
        save(checkpoints, step)
    assert checkpoints.steps() == list(range(5))[-keep:]
    with pytest.raises(InputError, match="keep is 0; expected a whole number of at least 1"):
        Checkpoints(folder, keep=0)


def test_reading_makes_no_folder_and_takes_no_lock(folder: Path) -> None:
    assert Checkpoints(folder).latest() is None
    assert not folder.exists()
    with Checkpoints(folder) as writer:
        save(writer, 1)
        assert newest(Checkpoints(folder)) == 1


def test_a_damaged_newest_one_is_named_and_the_one_before_is_used(folder: Path) -> None:
    for step in (1, 2):
        save(Checkpoints(folder), step)
    damage(folder, 2)
    said: list[str] = []
    assert newest(Checkpoints(folder, warn=said.append)) == 1
    assert len(said) == 1
    assert "step-00000002: theta.safetensors is damaged" in said[0]
    assert said[0].endswith("the checkpoint of step 1 is used instead")
    with pytest.warns(DamagedCheckpointWarning, match="step-00000002") as caught:
        assert newest(Checkpoints(folder)) == 1
    assert caught[0].filename == __file__


def test_when_all_are_damaged_each_is_named(folder: Path) -> None:
    for step in (1, 2):
        save(Checkpoints(folder), step)
        damage(folder, step)
    with pytest.raises(CheckpointError, match=r"no whole checkpoint: .*step-00000002.*step-00000001") as caught:
        Checkpoints(folder, warn=refuse).latest()
    assert "\n" not in str(caught.value)


def test_a_run_that_goes_on_from_before_a_damaged_checkpoint_replaces_it(folder: Path) -> None:
    for step in (10, 12):
        save(Checkpoints(folder), step)
    damage(folder, 12)
    said: list[str] = []
    with Checkpoints(folder, warn=said.append) as checkpoints:
        assert newest(checkpoints) == 10
        save(checkpoints, 11)
        assert checkpoints.steps() == [10, 11]
        save(checkpoints, 12)
        assert newest(checkpoints) == 12
    assert len(said) == 1
    assert names(folder) == ["step-00000011", "step-00000012"]


def test_a_new_run_does_not_mix_with_the_checkpoints_of_another(folder: Path) -> None:
    save(Checkpoints(folder), 12)
    with pytest.raises(InputError, match="already holds step 12, but step 5 was to be saved"):
        save(Checkpoints(folder), 5)
    assert newest(Checkpoints(folder, warn=refuse)) == 12
    with pytest.raises(InputError, match="step is -1"):
        save(Checkpoints(folder), -1)


def test_a_step_can_be_saved_again(folder: Path) -> None:
    checkpoints = Checkpoints(folder)
    save(checkpoints, 1)
    checkpoints.save(1, {}, {"again": True})
    found = checkpoints.latest()
    assert found is not None
    assert found[1].document == {"again": True}


def test_refused_content_leaves_the_checkpoints_alone(folder: Path) -> None:
    with Checkpoints(folder) as checkpoints:
        save(checkpoints, 1)
        save(checkpoints, 2)
        with pytest.raises(InputError, match="nan"):
            checkpoints.save(3, {}, {"loss": float("nan")})
    assert names(folder) == ["step-00000001", "step-00000002"]


def test_leftovers_of_a_killed_writer_are_ignored_and_cleaned_by_the_next(folder: Path) -> None:
    for step in (1, 2):
        save(Checkpoints(folder), step)
    whole, half = folder / "step-00000002", folder / ".step-00000003.new"
    shutil.copytree(whole, half)
    (half / "manifest.json").unlink()
    shutil.copytree(whole, folder / ".step-00000001.old")
    (folder / ".step-00000003.lock").touch()
    (folder / "lock").touch()
    (folder / "notes.txt").write_text("mine")
    (folder / "step-1").mkdir()
    checkpoints = Checkpoints(folder, warn=refuse)
    assert newest(checkpoints) == 2
    save(checkpoints, 4)
    checkpoints.close()
    assert names(folder) == ["notes.txt", "step-00000002", "step-00000004", "step-1"]


def test_a_checkpoint_whose_replacement_was_killed_midway_is_found_and_put_back(folder: Path) -> None:
    save(Checkpoints(folder), 7)
    os.rename(folder / "step-00000007", folder / ".step-00000007.previous")
    assert newest(Checkpoints(folder, warn=refuse)) == 7
    save(Checkpoints(folder), 8)
    assert names(folder) == ["step-00000007", "step-00000008"]


def test_a_second_writer_is_refused_until_the_first_has_closed(folder: Path) -> None:
    first, second = Checkpoints(folder), Checkpoints(folder)
    save(first, 1)
    with pytest.raises(InputError, match=f"another process is writing to {folder}"):
        save(second, 2)
    with pytest.raises(InputError, match="another process is writing"), second:
        pass
    assert second.steps() == [1]
    first.close()
    save(second, 2)
    with pytest.raises(InputError, match="another process is writing"):
        save(first, 3)
    second.close()
    assert names(folder) == ["step-00000001", "step-00000002"]


@pytest.mark.processes
def test_a_writer_in_another_process_is_refused_and_its_death_frees_the_folder(folder: Path) -> None:
    command = [sys.executable, __file__, "hold", str(folder)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        with pytest.raises(InputError, match="another process is writing"):
            save(Checkpoints(folder), 2)
        holder.send_signal(signal.SIGKILL)
    assert "lock" in names(folder)
    checkpoints = Checkpoints(folder)
    save(checkpoints, 2)
    checkpoints.close()
    assert names(folder) == ["step-00000001", "step-00000002"]


def test_a_checkpoint_that_a_busy_writer_removed_meanwhile_is_not_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = Checkpoints(folder, keep=1), Checkpoints(folder, warn=refuse)
    save(writer, 1)
    listed = reader.steps()
    save(writer, 2)
    answers = iter([listed])
    real = Checkpoints.steps
    monkeypatch.setattr(reader, "steps", lambda: next(answers, None) or real(reader))
    assert newest(reader) == 2


@pytest.mark.parametrize("where", ["missing/checkpoints", "file/checkpoints", "file"])
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot be written|not a folder") as caught:
        save(Checkpoints(tmp_path / where), 1)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["file"]


@pytest.mark.processes
def test_a_kill_or_failure_at_every_operation_keeps_a_whole_newest_checkpoint() -> None:
    (struck,) = run_in_fork(__file__, "faults")
    assert struck > 80


def _prepare(place: Path) -> None:
    with Checkpoints(place / "run") as checkpoints:
        save(checkpoints, 1)
        save(checkpoints, 2)


def _save_third(place: Path) -> None:
    with Checkpoints(place / "run", warn=refuse) as checkpoints:
        save(checkpoints, 3)


def _judge(place: Path, allowed: set[str]) -> None:
    step = newest(Checkpoints(place / "run", warn=refuse))
    # An error can also come from removing the oldest one, when the new one is whole already.
    states = allowed | {"new"} if allowed == {"old"} else allowed
    assert {2: "old", 3: "new"}[step] in states, (step, allowed)
    with Checkpoints(place / "run", warn=refuse) as checkpoints:
        for known in checkpoints.steps():  # one whose removal was cut short is not listed
            assert read_directory(place / "run" / f"step-{known:08d}", kind="checkpoint").document == {"step": known}
        save(checkpoints, 4)
        assert newest(checkpoints) == 4
    assert names(place / "run") == [f"step-{step:08d}", "step-00000004"]


def _hold(folder: str) -> Any:
    checkpoints = Checkpoints(folder)
    save(checkpoints, 1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    if sys.argv[1] == "hold":
        _hold(sys.argv[2])
    else:
        every_fault(_prepare, _save_third, _judge)
