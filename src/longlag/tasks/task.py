"""Task: what every synthetic task has: sizes, random sequences, and its success criterion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.checks import whole_number
from longlag.data.flat import FlatSequences, Values
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.tasks.rules import Rule

__all__ = ["Task", "random_lengths", "random_symbols"]


class Task(ABC):
    """A source of random sequences and the criterion for having processed one correctly (1997 paper, section 5).

    A subclass says its sizes, tolerance and rules, and fills ``_draw``. The criterion is ``errors`` strictly below
    ``tolerance``, and is stated there alone: ``correct`` and the rules read it.
    """

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Components of an input (Table 10, column 6)."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Components of a target (Table 10, column 7)."""

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """A sequence is right when its error is strictly below this: ABS of Table 11."""

    @property
    @abstractmethod
    def rules(self) -> dict[str, Rule]:
        """When training stops and the task counts as solved, by the paper's names."""

    @abstractmethod
    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences: ...

    # -- sequences -------------------------------------------------------------------------------------------------

    def draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        """``n`` random sequences, one after the other; the same generator state gives the same sequences."""
        whole_number("n", n, 1)
        given: Any = rng
        if not isinstance(given, np.random.Generator):
            raise InputError(f"rng is a {type(given).__name__}; expected a numpy.random.Generator")
        return self._draw(n, rng)

    def sample(self, n: int, rng: np.random.Generator) -> SequenceBatch:
        """``draw(n, rng)`` as a padded batch: float32, time first."""
        return self.draw(n, rng).to_batch()

    # -- the criterion ---------------------------------------------------------------------------------------------

    def errors(self, outputs: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.float64]:
        """(n,) the largest error of each sequence: over all output units and all steps the criterion looks at.

        ``outputs``: (M, output_size), one row per target of ``flat``; they are compared with noise-free targets.
        """
        rows, starts = self._judged(outputs, flat)
        return np.maximum.reduceat(self._row_errors(rows, flat), starts).astype(np.float64)

    def mean_errors(self, outputs: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.float64]:
        """(n,) the mean absolute error of each sequence, over the same units and steps as ``errors``."""
        rows, starts = self._judged(outputs, flat)
        means = np.add.reduceat(self._absolute(rows, flat).mean(axis=1, dtype=np.float64), starts)
        return np.asarray(means / np.diff(starts, append=len(rows)))

    def correct(self, outputs: Tensor, batch: SequenceBatch) -> Tensor:
        """(B,) bool: which sequences were processed correctly. ``outputs``: (T, B, output_size), padding ignored."""
        if outputs.shape != batch.targets.shape:
            wanted = tuple(batch.targets.shape)
            raise InputError(f"outputs have shape {tuple(outputs.shape)}; expected {wanted}, the shape of the targets")
        asked = outputs.detach().transpose(0, 1)[batch.target_mask.T].cpu().double()
        right = self.errors(asked.numpy(), FlatSequences.from_batch(batch)) < self.tolerance
        return torch.from_numpy(right).to(outputs.device)

    # -- what a task may do otherwise ------------------------------------------------------------------------------

    @property
    def end_only(self) -> bool:
        """True where the criterion looks at sequence ends alone although there are targets at every step."""
        return False

    def _wanted(self, flat: FlatSequences) -> Values:
        """The noise-free targets, as ``flat.targets``."""
        return flat.targets

    def _row_errors(self, rows: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.floating[Any]]:
        """One error per judged row of outputs."""
        return np.asarray(self._absolute(rows, flat).max(axis=1))

    def _absolute(self, rows: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.floating[Any]]:
        """Absolute errors of the judged rows, output by output."""
        wanted = self._wanted(flat)
        if self.end_only and flat.every_step:
            wanted = wanted[flat.ends]
        off = np.array(rows)
        if wanted.ndim == 1:  # in place: the one-hot targets of task 2 would be as large as the outputs
            off[np.arange(len(off)), wanted] -= 1.0
        else:
            off -= wanted
        return np.abs(off, out=off)

    def _judged(
        self, outputs: NDArray[np.floating[Any]], flat: FlatSequences
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
        """The output rows the criterion looks at, and where each sequence's begin."""
        sizes, wanted = (flat.input_size, flat.output_size), (self.input_size, self.output_size)
        if sizes != wanted:
            raise InputError(f"the sequences have inputs and targets of sizes {sizes}; expected {wanted}, for {self}")
        shape = (len(flat.targets), self.output_size)
        if outputs.shape != shape or outputs.dtype.kind != "f":
            raise InputError(f"outputs are {outputs.dtype} of shape {outputs.shape}; expected real numbers {shape}")
        if flat.every_step and not self.end_only:
            return outputs, flat.starts
        return outputs[flat.ends] if flat.every_step else outputs, np.arange(len(flat))


def random_lengths(shortest: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) lengths from ``shortest`` to ``shortest + shortest // 10`` inclusive, each equally likely."""
    return rng.integers(shortest, shortest + shortest // 10, n, endpoint=True)


def random_symbols(count: int, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """(n,) symbols 0..count-1, each equally likely."""
    # The generator hands out two or four small numbers for one large one.
    kind = np.int16 if count <= np.iinfo(np.int16).max else np.int32
    return rng.integers(0, count, n, dtype=kind).astype(np.int32, copy=False)
