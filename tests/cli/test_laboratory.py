"""The laboratory's commands are there where it is installed; elsewhere a sentence says how to get them."""

from __future__ import annotations

import importlib.metadata

import pytest
import typer
from commands import longlag, sentence
from typer.testing import CliRunner

from longlag.cli import laboratory
from longlag.errors import InputError


def without_the_laboratory(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """An application that found no package with commands of its own."""
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: importlib.metadata.EntryPoints())
    app = typer.Typer()
    laboratory.join(app)
    return app


@pytest.mark.parametrize(
    "words",
    [
        ["reproduce"],
        ["reproduce", "table9", "--trials", "4"],
        ["bench", "cpu", "--quick"],
        ["pretrain", "--out", "weights"],
    ],
)
def test_without_the_laboratory_a_command_says_in_one_sentence_what_to_install(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = CliRunner().invoke(without_the_laboratory(monkeypatch), words)
    assert isinstance(answer.exception, InputError)
    assert str(answer.exception) == (
        f"longlag {words[0]} belongs to the laboratory, which is not installed; expected a checkout of longlag and "
        "`pip install ./laboratory` in it"
    )


def test_without_the_laboratory_help_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner().invoke(without_the_laboratory(monkeypatch), ["--help"]).output
    for name in ("reproduce", "bench", "pretrain"):
        assert name in shown
    assert shown.count("(needs the laboratory") == 3


def test_with_the_laboratory_a_row_that_is_not_there_is_refused() -> None:
    assert "--list" in sentence(longlag("reproduce", "table99"))
