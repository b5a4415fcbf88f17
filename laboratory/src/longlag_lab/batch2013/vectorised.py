"""Figure 3(b): one gradient of a batch at once, against the same gradient sample by sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from longlag.cell import CellSpec
from longlag.errors import LonglagError
from longlag.gradients import NetworkObjective
from longlag.io.environment import environment
from longlag.io.files import write_text, writing
from longlag.io.json import write_json
from longlag.nn import LSTM, Network, SquaredError
from longlag.tasks import Multiplication

__all__ = ["COLUMNS", "ROWS", "Row", "measure", "table_row", "write"]

BACKENDS = {"native": "the kernels", "bptt": "matrices in PyTorch", "reference": "autograd in PyTorch"}
BATCHES = (1, 10, 100)
COLUMNS = ("row", "engine", "batch", "together, ms", "one by one, ms", "ratio", "paper")


@dataclass(frozen=True)
class Row:
    """An engine and a size of the batch; samples of some ten steps, as in the paper."""

    backend: str
    batch: int

    @property
    def name(self) -> str:
        """For --rows."""
        return f"{self.backend}-{self.batch}"

    @property
    def paper(self) -> str | None:
        """What the paper has: matrices against a loop, in MATLAB."""
        return "about 100" if (self.backend, self.batch) == ("bptt", 100) else None


ROWS = [Row(backend, batch) for backend in BACKENDS for batch in BATCHES] + [Row("native", 1000)]


def measure(rows: Sequence[Row], *, trials: int, seed: int) -> list[dict[str, Any]]:
    """Medians over ``trials`` of both ways in turn, on one thread, once they are seen to give the same gradient."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_measured(row, trials, seed) for row in rows]
    finally:
        torch.set_num_threads(before)


def _measured(row: Row, trials: int, seed: int) -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lstm = LSTM(2, 4, cell=CellSpec.batch2013(), dtype=torch.float64, backend=row.backend)
        objective = NetworkObjective(Network(lstm, 1).double(), SquaredError())
    samples = Multiplication(T=11).sample(row.batch, np.random.default_rng(seed)).to(dtype=torch.float64)
    single = [samples.select(torch.tensor([n])) for n in range(row.batch)]
    theta = objective.theta

    def together() -> torch.Tensor:
        return objective.value_and_gradient(theta, samples)[1]

    def one_by_one() -> torch.Tensor:
        total = torch.zeros_like(theta)
        for sample in single:
            total += objective.value_and_gradient(theta, sample)[1]
        return total / row.batch

    off = float((together() - one_by_one()).abs().max())
    if not off <= 1e-12:
        raise LonglagError(f"{row.name}: the two ways differ by {off:g}; expected the same gradient")
    times: dict[Callable[[], torch.Tensor], list[float]] = {together: [], one_by_one: []}
    for _ in range(trials):
        for way, seconds in times.items():
            began = time.perf_counter()
            way()
            seconds.append(1e3 * (time.perf_counter() - began))
    whole, loop = median(times[together]), median(times[one_by_one])
    return {
        "paper": "batch2013",
        "figure": "fig3b",
        "row": row.name,
        "title": BACKENDS[row.backend],
        "batch": row.batch,
        "paper_value": row.paper,
        "trials": trials,
        "seed": seed,
        "together_ms": float(f"{whole:.4g}"),
        "one_by_one_ms": float(f"{loop:.4g}"),
        "ratio": float(f"{loop / whole:.4g}"),
    }


def table_row(found: dict[str, Any]) -> list[Any]:
    """For ``COLUMNS``."""
    times = (f"{found[name]:.3g}" for name in ("together_ms", "one_by_one_ms"))
    return [found["row"], found["title"], found["batch"], *times, f"{found['ratio']:.3g}", found["paper_value"]]


def write(folder: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """``fig3b.json`` and ``.md`` in ``folder``."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "fig3b.json", {"environment": environment() | {"threads": 1}, "rows": list(rows)})
    lines = ["# Figure 3(b): a batch at once against sample by sample", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    lines += ["| " + " | ".join("-" if cell is None else str(cell) for cell in table_row(row)) + " |" for row in rows]
    lines += [
        "",
        "Value and gradient of the batch paper's network (101 weights) on samples of 11 or 12 steps, float64, one",
    ]
    lines += ["thread; medians of both ways in turn.", ""]
    write_text(folder / "fig3b.md", "\n".join(lines))
    return [folder / "fig3b.json", folder / "fig3b.md"]
