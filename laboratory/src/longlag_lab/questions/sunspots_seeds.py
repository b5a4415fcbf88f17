"""How much does the sunspot score of `make run` depend on the seed? Ten fits beside the simple baselines.

``python -m longlag_lab.questions.sunspots_seeds`` writes results/sunspots_seeds.json and .md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data import load_dataset
from longlag.estimators import LSTMForecaster
from longlag.estimators.scores import score_forecasts
from longlag.io.environment import environment
from longlag_lab.harness.report import markdown_table
from longlag_lab.questions import write_answer

__all__ = ["main", "markdown"]

SEEDS, SHARE, COVERAGE = range(10), 0.25, 0.9
STRIDE = 2  # as longlag fit has it
SIMPLE_METHODS = ("last value", "seasonal naive", "Theta", "autoregression", "smoothing")


def _sunspots() -> tuple[NDArray[np.float64], int, int, int]:
    """Return the series, the start of what is held out, the season, and the horizon."""
    data = load_dataset("sunspots")
    assert data.table is not None
    assert data.target is not None
    assert data.season is not None
    assert data.horizon is not None
    series = data.table.number(data.target)
    return series, len(series) - int(len(series) * SHARE), data.season, data.horizon


def measure() -> dict[str, Any]:
    """Return the scores of a fit with each seed."""
    series, start, season, horizon = _sunspots()
    scores = []
    for seed in SEEDS:
        model = LSTMForecaster(horizon=horizon, season=[season], random_state=seed).fit(series[:start])
        forecasts = model.backtest(
            series, horizon, start=start, stride=STRIDE, coverage=COVERAGE, methods=["LSTM", *SIMPLE_METHODS]
        )
        scores.append(score_forecasts(forecasts, [series], [start], [season]))
    return {"seeds": list(SEEDS), "scores": scores, "environment": environment()}


def markdown(document: dict[str, Any]) -> str:
    """Return the document as Markdown."""
    scores, seeds, where = document["scores"], document["seeds"], document["environment"]
    series, start, _, _ = _sunspots()
    rows = []
    for number, method in enumerate(scores[0]["methods"]):
        cells = [method["method"]]
        for measure in ("mae", "rmse"):
            values = np.array([score["methods"][number][measure] for score in scores])
            spread = "" if np.ptp(values) == 0 else f" ({values.min():.1f}-{values.max():.1f})"
            cells.append(f"{values.mean():.1f}{spread}")
        rows.append(cells)
    columns = ["method"]
    columns += [f"{name}: mean (range)" for name in ("mean absolute error", "root mean squared error")]
    inside = [score["interval"]["found"] for score in scores]
    lines = [
        f"# Sunspots, {scores[0]['horizon']} years ahead, seeds {seeds[0]} to {seeds[-1]}",
        "",
        f"{start} years to learn from, {scores[0]['origins']} forecasts in the {len(series) - start} held out. "
        "Written by `python -m longlag_lab.questions.sunspots_seeds`.",
        "",
        *markdown_table(columns, rows),
        "",
        f"{COVERAGE:.0%} intervals held {np.mean(inside):.0%} of the values ({min(inside):.0%}-{max(inside):.0%}).",
        "",
        f"longlag {where['longlag']}, torch {where['torch']}, numpy {where['numpy']}, {where['cpu_capability']}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the files."""
    write_answer("sunspots_seeds", measure(), markdown)


if __name__ == "__main__":
    main()
