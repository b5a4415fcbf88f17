"""Figure 3(b): one gradient of a batch at once, against the same gradient sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from longlag.cell import CellSpec
from longlag.errors import LonglagError
from longlag.gradients import NetworkObjective
from longlag.nn import LSTM, Network, SquaredError
from longlag.tasks import Multiplication
from longlag_lab.harness.checks import number, text, whole
from longlag_lab.harness.results import Column, ResultTable
from longlag_lab.harness.results import Row as ResultRow
from longlag_lab.harness.timer import Effort, interleaved, seconds_of, torch_threads

__all__ = ["BACKENDS", "FIGURE", "ROWS", "TABLE", "Row", "measure"]

FIGURE = "fig3b"
BACKENDS = {"native": "the kernels", "bptt": "matrices in PyTorch", "reference": "autograd in PyTorch"}
BATCHES = (1, 10, 100)


@dataclass(frozen=True)
class Row:
    """An engine and a size of the batch; samples of some ten steps, as in the paper."""

    backend: str
    batch: int

    @property
    def name(self) -> str:
        """The engine and the size, joined by a dash."""
        return f"{self.backend}-{self.batch}"

    @property
    def paper(self) -> str | None:
        """The paper's ratio: matrices against a loop, in MATLAB."""
        return "about 100" if (self.backend, self.batch) == ("bptt", 100) else None


ROWS = [Row(backend, batch) for backend in BACKENDS for batch in BATCHES] + [Row("native", 1000)]


def measure(rows: Sequence[Row], *, trials: int, seed: int) -> list[ResultRow]:
    """Return medians over ``trials`` of both ways in turn, on one thread, once they give the same gradient."""
    with torch_threads(1):
        return [_measured(row, trials, seed) for row in rows]


def _measured(row: Row, trials: int, seed: int) -> ResultRow:
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

    difference = float((together() - one_by_one()).abs().max())
    if not difference <= 1e-12:
        raise LonglagError(f"{row.name}: the two ways differ by {difference:g}; expected the same gradient")
    times = interleaved([seconds_of(together), seconds_of(one_by_one)], Effort(least=trials, most=trials))
    whole_ms, loop_ms = (1e3 * median(seconds) for seconds in times)
    return {
        "paper": "batch2013",
        "figure": FIGURE,
        "row": row.name,
        "title": BACKENDS[row.backend],
        "batch": row.batch,
        "paper_value": row.paper,
        "trials": trials,
        "seed": seed,
        "together_ms": float(f"{whole_ms:.4g}"),
        "one_by_one_ms": float(f"{loop_ms:.4g}"),
        "ratio": float(f"{loop_ms / whole_ms:.4g}"),
    }


def _check_row(row: ResultRow) -> None:
    """Raise InputError or KeyError unless the row has what the table is made of."""
    for name in ("row", "title", *(["paper_value"] if row["paper_value"] is not None else [])):
        text(name, row[name])
    for name in ("batch", "trials"):
        whole(name, row[name], 1)
    for name in ("together_ms", "one_by_one_ms", "ratio"):
        number(name, row[name])


_PLACES = {row.name: place for place, row in enumerate(ROWS)}
TABLE = ResultTable(
    name=FIGURE,
    title="Figure 3(b): a batch at once against sample by sample",
    columns=(
        Column("row", lambda row: row["row"]),
        Column("engine", lambda row: row["title"]),
        Column("batch", lambda row: row["batch"]),
        Column("together, ms", lambda row: f"{row['together_ms']:.3g}"),
        Column("one by one, ms", lambda row: f"{row['one_by_one_ms']:.3g}"),
        Column("ratio", lambda row: f"{row['ratio']:.3g}"),
        Column("paper", lambda row: row["paper_value"]),
    ),
    footnotes=lambda rows: [
        "Value and gradient of the batch paper's network (101 weights) on samples of 11 or 12 steps, float64, one",
        "thread; medians of both ways in turn.",
    ],
    key=lambda row: (row["row"],),
    rank=lambda row: row["trials"],
    order=lambda row: _PLACES.get(row["row"], len(_PLACES)),
    check=_check_row,
)
