"""The numbers that every implementation in a case computes with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from longlag.nn.lstm import LSTM
from longlag_lab.benchmarks.cases import Case

__all__ = ["Answers", "Problem", "draw", "loaded", "seeded"]

Answers = dict[str, Tensor]
"""What was computed: "output", and in training the gradients of "input" and of the parameters, by our names."""


@dataclass(frozen=True)
class Problem:
    """The numbers of a case. Each is exact in float32, so that every type computes with the same.

    Parameters
    ----------
    case : Case
    input : (T, B, I) tensor
    errors : (T, B, O) tensor
        The gradient of the loss by the output.
    weights : mapping
        A state_dict of our layer.
    """

    case: Case
    input: Tensor
    errors: Tensor
    weights: Mapping[str, Tensor]

    @property
    def lengths(self) -> Tensor | None:
        """The length of each sequence (B,), or None if all have every step."""
        return torch.tensor(self.case.lengths()) if self.case.ragged else None


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from this seed in the block; the caller's generator is afterwards as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def draw(case: Case) -> Problem:
    """Draw the numbers of a case; the same case has the same numbers."""
    with seeded(case.seed):
        lstm = _layer(case, torch.float32, "auto")
        values = torch.randn(case.steps, case.samples, case.inputs)
        errors = torch.randn(case.steps, case.samples, lstm.output_size)
        return Problem(case, values, errors, {name: weight.detach() for name, weight in lstm.state_dict().items()})


def _layer(case: Case, dtype: torch.dtype, backend: str) -> LSTM:
    return LSTM(case.inputs, case.hidden, proj_size=case.projection, cell=case.cell, dtype=dtype, backend=backend)


def loaded(problem: Problem, dtype: torch.dtype, backend: str) -> LSTM:
    """Return our layer with the problem's weights."""
    with seeded(0):
        lstm = _layer(problem.case, dtype, backend)
    lstm.load_state_dict(problem.weights)
    return lstm
