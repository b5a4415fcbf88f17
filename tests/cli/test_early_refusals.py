"""A run or a file that is not there is refused at once, in the words that would come later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import refused

from longlag.cli import early, run_directory
from longlag.data import open_data
from longlag.errors import CheckpointError, InputError

PROGRAM = """
import sys
from longlag.cli.main import main
for words in {commands!r}:
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as end:
        print(end.code, "torch" in sys.modules)
"""
COMMANDS = ["fit nowhere.csv", "forecast nowhere", "predict nowhere x.csv", "backtest run x.csv", "fit --lags x y.csv"]


@pytest.mark.processes
def test_what_is_not_there_is_refused_without_torch(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "run.json").write_text('{"task": "forecast"}', encoding="utf-8")
    program = PROGRAM.format(commands=COMMANDS)
    child = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert child.stdout == "2 False\n" * len(COMMANDS)


@pytest.mark.parametrize("name", ["nowhere.csv", "no\0where.csv", "folder/nowhere.parquet"])
def test_a_missing_file_is_refused_in_the_same_words_as_later(name: str) -> None:
    with pytest.raises(InputError) as later:
        open_data(name)
    with pytest.raises(InputError) as now:
        early.refuse_what_is_missing(None, name)
    assert str(now.value) == str(later.value)


def test_a_missing_run_is_refused_in_the_same_words_as_later(tmp_path: Path) -> None:
    for run in (tmp_path, tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(CheckpointError) as later:
            run_directory.load_run(run)
        with pytest.raises(CheckpointError) as now:
            early.refuse_what_is_missing(run)
        assert str(now.value) == str(later.value)


def test_what_may_be_a_built_in_set_is_left_to_those_who_know_them() -> None:
    early.refuse_what_is_missing(None, "sunspots", "sunspoots", "no.suffix", None)
    refused("fit", "sunspoots", says=["sunspots"])
