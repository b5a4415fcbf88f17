"""`longlag fit --workers` and `--ray`: the same bytes however many compute, killed or not, and clear refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from children import longlag_killed
from commands import done, longlag, sentence, tree
from stand_ins import make_quick

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("forked_workers")]

FIT = ("fit", "sunspots", "--hidden-size", "4", "--max-epochs", "3", "--networks", "1", "--optimizer", "lbfgs")
ENDS = ("model/network.safetensors", "metrics.json")


def content(run: Path) -> list[bytes]:
    return [(run / name).read_bytes() for name in ENDS]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    run = tmp_path_factory.mktemp("alone") / "run"
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        done(*FIT, "--workers", "1", "--out", run)
    return content(run)


def test_two_workers_write_the_bytes_of_one(tmp_path: Path, alone: list[bytes]) -> None:
    done(*FIT, "--workers", "2", "--out", tmp_path / "run")
    assert content(tmp_path / "run") == alone


def test_a_driver_killed_while_training_goes_on_with_other_workers_to_the_same_bytes(
    tmp_path: Path, alone: list[bytes]
) -> None:
    run = tmp_path / "run"
    words = [*FIT, "--out", str(run)]
    assert longlag_killed("run/checkpoints/", 40, "before", *words, "--workers", "2")
    assert (run / "history.jsonl").read_bytes().count(b"\n") > 1
    assert not (run / "metrics.json").exists()
    done(*words, "--workers", "1", "--resume")
    assert content(run) == alone


def test_a_run_is_not_continued_with_sums_of_another_order(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done(*FIT, "--out", run)
    (run / "metrics.json").unlink()
    before = tree(run)
    assert "map_reduce" in sentence(longlag(*FIT, "--out", run, "--resume", "--workers", "1"))
    assert tree(run).keys() == before.keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--workers", "0"), "--workers"),
        (("--ray", "127.0.0.1:1"), "no Ray cluster could be joined at '127.0.0.1:1'"),
    ],
)
def test_workers_that_cannot_be_had_are_refused_and_nothing_is_written(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("ray")
    answer = longlag(*FIT, *words, "--out", tmp_path / "run")
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "run").exists()


def test_without_ray_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = longlag(*FIT, "--ray", "auto", "--out", tmp_path / "run")
    assert 'pip install "longlag[ray]"' in sentence(answer)
    assert not (tmp_path / "run").exists()
