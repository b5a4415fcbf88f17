"""The configurations of LSTM in Tables 1-9, as the paper states them (sections 5.1-5.6, Tables 10 and 11)."""

from __future__ import annotations

from typing import Literal

from longlag.cell import CellSpec
from longlag.online.topology import Topology
from longlag.tasks import (
    Adding,
    DistractorLag,
    EmbeddedReber,
    Multiplication,
    NoiseFreeLag,
    NoRegularityLag,
    Task,
    TemporalOrder,
    TwoSequence,
)
from longlag_lab.hochreiter1997.config import TrialConfig
from longlag_lab.hochreiter1997.paper import LAGS

__all__ = ["literal"]


def _reber(blocks: int, size: int, rate: float) -> TrialConfig:
    """Section 5.1.4: only gate units are biased; output gate biases -1, -2, -3 (, -4)."""
    cell = CellSpec.hochreiter1997(cells_per_block=size, biases="gates")
    return TrialConfig(
        task=EmbeddedReber(),
        topology=Topology(
            input_size=7, output_size=7, hidden_size=blocks * size, cell=cell, symbols=True, output_bias=False
        ),
        learning_rate=rate,
        interval=0.2,
        output_gate_bias=tuple(-1.0 - block for block in range(blocks)),
        stop="all",
        test_size=0,
    )


def _predict_next(task: Task) -> TrialConfig:
    """Section 5.2.1: one cell with an input gate; g logistic, h the identity; outputs read inputs as well (B)."""
    cell = CellSpec.hochreiter1997(
        output_gate=False, recurrence=False, input_squash="logistic", output_squash="identity"
    )
    return TrialConfig(
        task=task,
        topology=Topology(
            input_size=task.input_size,
            output_size=task.output_size,
            hidden_size=1,
            cell=cell,
            symbols=True,
            reads="cells+inputs",
            bias=False,
            output_bias=False,
        ),
        learning_rate=1.0,
        interval=0.2,
        stop="ABS",
        test_size=0,
        cells_when_stalled=True,
    )


def _distractor(q: int, p: int) -> TrialConfig:
    """Section 5.2.3: two blocks of one cell, no bias."""
    task = DistractorLag(q=q, p=p)
    return TrialConfig(
        task=task,
        topology=Topology(
            input_size=task.input_size,
            output_size=2,
            hidden_size=2,
            cell=CellSpec.hochreiter1997(),
            symbols=True,
            bias=False,
            output_bias=False,
        ),
        learning_rate=0.01,
        interval=0.2,
        stop="ABS",
        test_size=0,
    )


def _two_sequence(task: TwoSequence, rate: float) -> TrialConfig:
    """Section 5.3: three blocks of one cell; hidden units are biased, the output unit is not."""
    return TrialConfig(
        task=task,
        topology=Topology(
            input_size=1, output_size=1, hidden_size=3, cell=CellSpec.hochreiter1997(), output_bias=False
        ),
        learning_rate=rate,
        interval=0.1,
        input_gate_bias=(-1.0, -3.0, -5.0),
        output_gate_bias=(-2.0, -4.0, -6.0),
        stop="ST2",
        also=("ST1",) if "ST1" in task.rules else (),
    )


def _marked(
    task: Task, rate: float, bias: tuple[float, ...] | None, stop: str, also: tuple[str, ...] = ()
) -> TrialConfig:
    """Sections 5.4 and 5.5: two blocks of two cells, all noninput units biased."""
    return TrialConfig(
        task=task,
        topology=Topology(input_size=2, output_size=1, hidden_size=4, cell=CellSpec.hochreiter1997(cells_per_block=2)),
        learning_rate=rate,
        interval=0.1,
        input_gate_bias=bias,
        stop=stop,
        also=also,
    )


def _temporal_order(relevant: Literal[2, 3], rate: float, bias: tuple[float, ...]) -> TrialConfig:
    """Section 5.6: two or three blocks of two cells, all noninput units biased."""
    task = TemporalOrder(relevant=relevant)
    return TrialConfig(
        task=task,
        topology=Topology(
            input_size=8,
            output_size=task.output_size,
            hidden_size=2 * len(bias),
            cell=CellSpec.hochreiter1997(cells_per_block=2),
            symbols=True,
        ),
        learning_rate=rate,
        interval=0.1,
        input_gate_bias=bias,
        stop="ST3",
    )


def literal() -> dict[str, TrialConfig]:
    """Return the configuration of every row of LSTM as the text states it, by the row's name."""
    adding = {f"4-{n}": _marked(Adding(T=t), 0.5, (-3.0, -6.0), "ST3") for n, t in enumerate((100, 500, 1000), 1)}
    return {
        "1-1": _reber(4, 1, 0.1),
        "1-2": _reber(3, 2, 0.1),
        "1-3": _reber(3, 2, 0.2),
        "1-4": _reber(4, 1, 0.5),
        "1-5": _reber(3, 2, 0.5),
        "2a": _predict_next(NoiseFreeLag()),
        "2b": _predict_next(NoRegularityLag()),
        **{f"2c-{n}": _distractor(q, p) for n, (q, p, _, _) in enumerate(LAGS, 1)},
        "3a-1": _two_sequence(TwoSequence(variant="a", T=100, N=3), 1.0),
        "3a-2": _two_sequence(TwoSequence(variant="a", T=100, N=1), 1.0),
        "3a-3": _two_sequence(TwoSequence(variant="a", T=1000, N=3), 1.0),
        "3b-1": _two_sequence(TwoSequence(variant="b", T=100, N=3), 1.0),
        "3b-2": _two_sequence(TwoSequence(variant="b", T=100, N=1), 1.0),
        "3b-3": _two_sequence(TwoSequence(variant="b", T=1000, N=1), 1.0),
        "3c-1": _two_sequence(TwoSequence(variant="c", T=100, N=3), 0.1),
        "3c-2": _two_sequence(TwoSequence(variant="c", T=100, N=1), 0.1),
        **adding,
        "5-1": _marked(Multiplication(), 0.1, None, "nseq140"),
        "5-2": _marked(Multiplication(), 0.1, None, "nseq13"),
        "6a": _temporal_order(2, 0.5, (-2.0, -4.0)),
        "6b": _temporal_order(3, 0.1, (-2.0, -4.0, -6.0)),
    }
