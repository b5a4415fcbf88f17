"""The two-sequence problem with a bias unit that is reset like all others: its weights act from the second step on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longlag.data.flat import FlatSequences, Values
from longlag.tasks import TwoSequence

__all__ = ["DelayedBias"]


@dataclass(frozen=True, kw_only=True)
class DelayedBias(TwoSequence):
    """A two-sequence problem (tasks 3) with a second input, the bias unit: 0 at a sequence's first step, then 1."""

    @property
    def input_size(self) -> int:
        return super().input_size + 1

    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        flat = super()._draw(n, rng)
        inputs = np.ones((len(flat.inputs), self.input_size), dtype=np.float32)
        inputs[:, :-1] = flat.inputs
        inputs[flat.starts, -1] = 0
        return replace(flat, inputs=inputs, input_size=self.input_size)

    def _clean_targets(self, flat: FlatSequences) -> Values:
        return super()._clean_targets(replace(flat, inputs=flat.inputs[:, :1], input_size=1))
