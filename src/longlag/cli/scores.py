"""The scores of a run as the command line prints them: beside simple methods, and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from longlag.cli import output

__all__ = ["about_forecast", "forecasts_made", "print_fit", "print_score"]

_CLASSES_SHOWN = 12
"""Columns of a confusion matrix that fit on a page."""

_TARGETS_SHOWN = 5


def print_fit(metrics: dict[str, Any], seconds: float) -> None:
    if metrics.get("notes"):
        output.print_line(output.as_read(metrics["data"], metrics["notes"]))
    if metrics["task"] == "forecast":
        target = metrics["target"] if isinstance(metrics["target"], str) else _listed(metrics["target"])
        series = f", {metrics['series']} series" if metrics["series"] > 1 else ""
        season = f"season {metrics['season']}" if metrics["season"] else "no season"
        output.print_line(
            f"{metrics['data']}: {target}{series}, {season}; {metrics['training_rows']} rows to learn from, the last "
            f"{metrics['test_rows']} held out; {forecasts_made(metrics['score'])}"
        )
    else:
        output.print_line(
            f"{metrics['data']}: {metrics['training_sequences']} sequences to learn from, "
            f"{metrics['test_sequences']} held out"
        )
    print_score(metrics["score"])
    epochs, best = metrics["epochs"], metrics["best_epoch"]
    progress = (
        f"best of {epochs} epochs: {best}" if best else f"none of {epochs} epochs was better than the first guess"
    )
    output.print_line(f"{metrics['weights']} weights, {progress}; {seconds:.1f} s; run saved in {metrics['run']}")
    if metrics["task"] == "forecast":
        future = " --future FILE" if metrics["known"] else ""
        output.print_line(f"next: longlag forecast {metrics['run']} --steps {metrics['horizon']}{future}")


def about_forecast(document: dict[str, Any]) -> str:
    """Return in one line what a forecast without training is of, as ``print_fit`` begins."""
    target = document["target"] if isinstance(document["target"], str) else _listed(document["target"])
    series = f", {document['series']} series" if document["series"] > 1 else ""
    seasons = " and ".join(map(str, document["seasons"]))
    season = f"season{'s' * (len(document['seasons']) > 1)} {seasons}" if seasons else "no season"
    steps = f"{document['horizon']} step{'s' * (document['horizon'] > 1)} ahead"
    return (
        f"{document['data']}: {target}{series}, {season}; {steps} with {document['coverage']:.0%} intervals, by the "
        "network of the package; nothing was trained"
    )


def forecasts_made(score: dict[str, Any]) -> str:
    """Return how many forecasts of how many steps a score counts."""
    counts = (score["origins"], "forecast"), (score["horizon"], "step")
    return " of ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts)


def print_score(score: dict[str, Any]) -> None:
    titles = {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "log_loss": "log loss",
        "mae": "mean abs. error",
        "mase": "scaled (MASE)",
        "rmse": "root mean sq. error",
        "mae_first_step": "MAE, first step",
        "mae_last_step": "MAE, last step",
    }
    names = [name for name in titles if name in score["methods"][0]]
    output.print_table(
        "on held-out data",
        ["method", *(titles[name] for name in names)],
        [[row["method"], *(row[name] for name in names)] for row in score["methods"]],
    )
    if "confusion" in score:
        _print_classes(score)
    if "answer" in score:
        shares = ", ".join(f"{_part(name)} {share:.0%}" for name, share in score["answer"].items())
        output.print_line(f"the answer is made of: {shares}")
        errors = {name: error for name, error in score.get("validation_errors", {}).items() if name != "answer"}
        if errors:
            best = _part(min(errors, key=errors.__getitem__))
            output.print_line(
                f"best at the end of the rows to learn from, which also decided when training stopped: {best}"
            )
    if score.get("interval", {}).get("found") is not None:
        interval = score["interval"]
        output.print_line(f"{interval['asked']:.0%} intervals held {interval['found']:.1%} of the values")


def _print_classes(score: dict[str, Any]) -> None:
    """How each class is recognised and, where they fit on a page, which classes its sequences are taken for."""
    classes = score["classes"]
    shown = len(classes) <= _CLASSES_SHOWN
    output.print_table(
        "by class, and how many are taken for which" if shown else "by class",
        ["class", "sequences", "recall", *(str(row["class"]) for row in classes if shown)],
        [
            [str(row["class"]), row["sequences"], row["recall"], *(taken if shown else ())]
            for row, taken in zip(classes, score["confusion"], strict=True)
        ],
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _TARGETS_SHOWN else f"{names[0]} to {names[-1]}"


def _part(method: str) -> str:
    return "networks" if method == "LSTM" else method
