"""What longlag fit and backtest print of a score, in words that are true of it."""

from __future__ import annotations

from typing import Any

import pytest

from longlag.cli.scores import forecasts_made, print_fit


def metrics(**changes: Any) -> dict[str, Any]:
    """What fit answers about a forecaster, with other values where they are named."""
    score = {
        "origins": 4,
        "horizon": 12,
        "methods": [{"method": "LSTM", "mae": 1.0}],
        "answer": {"LSTM": 0.6, "Theta": 0.4},
        "validation_errors": {"LSTM": 2.0, "Theta": 1.5, "answer": 1.2},
        "interval": {"asked": 0.9, "found": 0.95},
    }
    document = {
        "task": "forecast",
        "data": "sales.csv",
        "target": "units",
        "series": 1,
        "season": 12,
        "known": [],
        "training_rows": 36,
        "test_rows": 12,
        "horizon": 12,
        "weights": 100,
        "epochs": 7,
        "best_epoch": 3,
        "run": "runs/sales",
        "score": score,
    }
    return document | changes


def shown(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    print_fit(document, 1.25)
    return capsys.readouterr().out


def test_what_was_better_before_the_scored_rows_stands_beside_what_the_answer_is_made_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = "the answer is made of: networks 60%, Theta 40%\n"
    before = "best at the end of the rows to learn from, which also decided when training stopped: Theta\n"
    assert answer + before in shown(metrics(), capsys)
    older = metrics()  # of a release that did not keep these errors
    del older["score"]["validation_errors"]
    out = shown(older, capsys)
    assert answer in out
    assert "best at" not in out


def test_training_that_did_not_help_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "100 weights, best of 7 epochs: 3; 1.2 s" in shown(metrics(), capsys)
    assert "100 weights, none of 7 epochs was better than the first guess; 1.2 s" in shown(
        metrics(best_epoch=0), capsys
    )


def test_many_targets_are_named_by_the_first_and_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"N{number}" for number in range(30)]
    assert "sales.csv: N0 to N29, 30 series" in shown(metrics(target=names, series=30), capsys)
    assert "sales.csv: N0, N1, 2 series" in shown(metrics(target=names[:2], series=2), capsys)


@pytest.mark.parametrize(
    ("origins", "horizon", "words"),
    [(4, 12, "4 forecasts of 12 steps"), (1, 3, "1 forecast of 3 steps"), (9, 1, "9 forecasts of 1 step")],
)
def test_one_is_not_several(origins: int, horizon: int, words: str) -> None:
    assert forecasts_made({"origins": origins, "horizon": horizon}) == words
