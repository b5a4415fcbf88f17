"""Sequences of inputs for the network: whole series or windows of them to learn from, and the past of an origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.forecasting.features import PLAIN, Design, inputs_of
from longlag.forecasting.units import Unit

__all__ = ["WHOLE", "Seen", "pasts", "training_examples", "upside_down"]

Array = NDArray[np.float64]

WHOLE = 512  # steps of a series that are read as one sequence
CONTEXT = 256  # steps before an origin that are read of a longer one
_UNANSWERED = 64  # steps at the beginning of a window that only fill the cells
_WINDOWS = 256  # of one series at most; they are spread over all of it


@dataclass(frozen=True, eq=False)
class Seen:
    """A series as the network sees it.

    unit : Unit; inputs (T, F), base (T, H), series (T,), known (T,): as ``inputs_of`` gives them.
    plain : int, columns at the end of an input that stay when the series is turned upside down
    """

    unit: Unit
    inputs: Array
    base: Array
    series: Array
    known: NDArray[np.bool_]
    plain: int = PLAIN

    @classmethod
    def of(
        cls,
        values: Array,
        unit: Unit,
        design: Design,
        beside: Array | None = None,
        static: Array | None = None,
    ) -> Seen:
        """A series (T,) with further inputs (T, K) beside it, and (S,) that are constant."""
        return cls(unit, *inputs_of(values, unit, design, beside, static), design.plain)

    def __len__(self) -> int:
        """Steps."""
        return len(self.series)


def training_examples(
    series: Sequence[Seen], first: Sequence[int], last: Sequence[int], kind: torch.dtype
) -> SequenceBatch:
    """Sequences that answer at every step with the next H values less the simple forecast of them.

    A series that is read whole also comes upside down: a few years must not teach the network that all series rise.
    A long one says itself whether it rises as it falls.

    Parameters
    ----------
    first, last : one number for each series
        Answers are asked for after steps ``first .. last - 2``; values from ``last`` on are never read.
    """
    horizon = series[0].base.shape[1]
    inputs, targets, asked = [], [], []
    for one, begin, end in zip(series, first, last, strict=True):
        at = np.arange(end)[:, None] + np.arange(1, horizon + 1)
        there = at < end
        at = np.minimum(at, end - 1)
        there &= one.known[at] & np.logical_or.accumulate(one.known[:end])[:, None]  # before its first value is nothing
        answers = np.where(there, one.series[at] - one.base[:end], 0.0)
        rows = np.hstack([answers, there])
        for start, stop, answered in _windows(begin, end):
            answering = np.asarray(there[start:stop].any(axis=1))
            answering[: answered - start] = False
            inputs.append(torch.from_numpy(one.inputs[start:stop]).to(kind))
            targets.append(torch.from_numpy(rows[start:stop]).to(kind))
            asked.append(torch.from_numpy(answering))
            if end <= WHOLE:
                inputs.append(upside_down(inputs[-1], one.plain))
                targets.append(torch.cat([-targets[-1][:, :horizon], targets[-1][:, horizon:]], dim=1))
                asked.append(asked[-1])
    batch = SequenceBatch.every_step(inputs, targets)
    mask = torch.zeros_like(batch.target_mask)
    for number, steps in enumerate(asked):
        mask[: len(steps), number] = steps
    return SequenceBatch(batch.inputs, batch.lengths, batch.targets, mask)


def _windows(begin: int, end: int) -> list[tuple[int, int, int]]:
    """(start, stop, first answered step) of the sequences of one series."""
    if end <= WHOLE:
        return [(0, end, begin)]
    stride = max(CONTEXT - _UNANSWERED, -(-(end - begin) // _WINDOWS))
    starts = range(max(begin - _UNANSWERED, 0), max(end - _UNANSWERED, 1), stride)
    return [(start, min(start + CONTEXT, end), max(begin, start + _UNANSWERED if start else 0)) for start in starts]


def upside_down(inputs: Tensor, plain: int) -> Tensor:
    """Inputs (..., F) of the series turned upside down; the last ``plain`` columns stay."""
    return torch.cat([-inputs[..., :-plain], inputs[..., -plain:]], dim=-1)


def pasts(series: Sequence[Seen], origins: Sequence[int], kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """What the network reads before each origin: inputs (T, B, F), padded behind, and lengths (B,).

    ``origins`` has one step for each series; values from it on are not read.
    """
    spans = [
        torch.from_numpy(one.inputs[max(0, origin - CONTEXT) if origin > WHOLE else 0 : origin]).to(kind)
        for one, origin in zip(series, origins, strict=True)
    ]
    lengths = torch.tensor([len(span) for span in spans], dtype=torch.int64, device="cpu")
    return torch.nn.utils.rnn.pad_sequence(spans), lengths
