"""How much does the sunspot score of `make run` depend on the seed? Ten fits beside the simple baselines.

Writes results/sunspots_seeds.json and .md.  Run: .venv/bin/python benchmarks/sunspots_seeds.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from longlag.data import load_dataset
from longlag.estimators import LSTMForecaster
from longlag.estimators.scores import score_forecasts
from longlag.io.environment import environment
from longlag.io.json import write_json

SEEDS, SHARE, COVERAGE = range(10), 0.25, 0.9
RESULTS = Path(__file__).resolve().parents[1] / "results"


def main() -> None:
    data = load_dataset("sunspots")
    assert data.table is not None
    assert data.target is not None
    assert data.season is not None
    assert data.horizon is not None
    series = data.table.number(data.target)
    start = len(series) - int(len(series) * SHARE)
    scores = []
    for seed in SEEDS:
        model = LSTMForecaster(lags=data.season, random_state=seed).fit(series[:start])
        found = model.backtest(series, data.horizon, start=start, coverage=COVERAGE)
        scores.append(score_forecasts(series, found, training=start, lags=data.season, season=data.season))
    lines = [
        f"# Sunspots, {data.horizon} years ahead, seeds {SEEDS.start} to {SEEDS.stop - 1}",
        "",
        f"{start} years to learn from, {scores[0]['origins']} forecasts in the {len(series) - start} held out. "
        "Written by benchmarks/sunspots_seeds.py.",
        "",
        "| method | mean absolute error: mean (range) | root mean squared error: mean (range) |",
        "| --- | --- | --- |",
    ]
    for number, row in enumerate(scores[0]["methods"]):
        cells = [row["method"]]
        for measure in ("mae", "rmse"):
            values = np.array([score["methods"][number][measure] for score in scores])
            spread = "" if np.ptp(values) == 0 else f" ({values.min():.1f}-{values.max():.1f})"
            cells.append(f"{values.mean():.1f}{spread}")
        lines.append(f"| {' | '.join(cells)} |")
    inside = [score["interval"]["found"] for score in scores]
    lines += [
        "",
        f"{COVERAGE:.0%} intervals held {np.mean(inside):.0%} of the values ({min(inside):.0%}-{max(inside):.0%}).",
    ]
    where = environment()
    lines += [
        "",
        f"longlag {where['longlag']}, torch {where['torch']}, numpy {where['numpy']}, {where['cpu_capability']}.",
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "sunspots_seeds.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(RESULTS / "sunspots_seeds.json", {"seeds": list(SEEDS), "scores": scores, "environment": where})
    print("\n".join(lines))


if __name__ == "__main__":
    main()
