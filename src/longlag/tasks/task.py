"""Task: what every synthetic task has: sizes, random sequences, and its success criterion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longlag.checks import MOST, instance_of, whole_number
from longlag.data.flat import FlatSequences, Values
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.tasks.rules import Rule

__all__ = ["Task", "random_lengths", "random_symbols", "set_whole_numbers"]


class Task(ABC):
    """A source of random sequences and the criterion for having processed one correctly (1997 paper, section 5).

    A subclass says its sizes, tolerance and rules, and fills ``_draw``. The criterion is ``errors`` strictly below
    ``tolerance``, and is stated there alone: ``correct`` and the rules read it.
    """

    @property
    @abstractmethod
    def input_size(self) -> int:
        """The number of components of an input (Table 10, column 6)."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """The number of components of a target (Table 10, column 7)."""

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """The bound that the error of a sequence stays strictly below where it is right: ABS of Table 11."""

    @property
    @abstractmethod
    def rules(self) -> dict[str, Rule]:
        """The rules by which training stops and the task counts as solved, by the paper's names."""

    @abstractmethod
    def _draw(self, n: int, rng: np.random.Generator) -> FlatSequences: ...

    # -- sequences -------------------------------------------------------------------------------------------------

    def draw(self, n: int, rng: np.random.Generator) -> FlatSequences:
        """Return ``n`` random sequences, one after the other; the same state of ``rng`` gives the same sequences.

        Raises
        ------
        InputError
            When ``n`` is no whole number of at least 1, or ``rng`` is no generator of NumPy.
        """
        n = whole_number("n", n, 1, MOST)
        instance_of("rng", rng, np.random.Generator, "a numpy.random.Generator")
        return self._draw(n, rng)

    def sample(self, n: int, rng: np.random.Generator) -> SequenceBatch:
        """Return ``draw(n, rng)`` as a padded batch: float32, time first."""
        return self.draw(n, rng).to_batch()

    # -- the criterion ---------------------------------------------------------------------------------------------

    def errors(self, outputs: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.float64]:
        """Return the largest error of each sequence, (n,): over all output units and all steps of the criterion.

        ``outputs``: (M, output_size), one row per target of ``flat``; they are compared with noise-free targets.

        Raises
        ------
        InputError
            When outputs or sequences are of another kind or shape than the task's.
        """
        rows, starts = self._criterion_rows(outputs, flat)
        return np.maximum.reduceat(self._row_errors(rows, flat), starts).astype(np.float64)

    def mean_errors(self, outputs: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.float64]:
        """Return the mean absolute error of each sequence, (n,), over the same units and steps as ``errors``."""
        rows, starts = self._criterion_rows(outputs, flat)
        means = np.add.reduceat(self._absolute(rows, flat).mean(axis=1, dtype=np.float64), starts)
        return np.asarray(means / np.diff(starts, append=len(rows)))

    def correct(self, outputs: Tensor, batch: SequenceBatch) -> Tensor:
        """Return which sequences were processed correctly, (B,) bool.

        ``outputs``: (T, B, output_size). What stands in the padding plays no part.
        """
        instance_of("outputs", outputs, Tensor, "a Tensor")
        instance_of("batch", batch, SequenceBatch, "a SequenceBatch")
        if outputs.shape != batch.targets.shape:
            shape = tuple(batch.targets.shape)
            raise InputError(f"outputs have shape {tuple(outputs.shape)}; expected {shape}, the shape of the targets")
        answers = outputs.detach().transpose(0, 1)[batch.target_mask.T].cpu().double()
        right = self.errors(answers.numpy(), FlatSequences.from_batch(batch)) < self.tolerance
        return torch.from_numpy(right).to(outputs.device)

    # -- what a task may do otherwise ------------------------------------------------------------------------------

    @property
    def end_only(self) -> bool:
        """Whether the criterion looks at sequence ends alone although there are targets at every step."""
        return False

    def _clean_targets(self, flat: FlatSequences) -> Values:
        """Return the targets without their noise, in the form of ``flat.targets``."""
        return flat.targets

    def _row_errors(self, rows: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.floating[Any]]:
        """Return one error for each row of outputs that the criterion looks at."""
        return np.asarray(self._absolute(rows, flat).max(axis=1))

    def _absolute(self, rows: NDArray[np.floating[Any]], flat: FlatSequences) -> NDArray[np.floating[Any]]:
        """Return the absolute errors of those rows, output by output."""
        targets = self._clean_targets(flat)
        if self.end_only and flat.every_step:
            targets = targets[flat.ends]
        errors = np.array(rows)
        if targets.ndim == 1:  # in place: the one-hot targets of task 2 would be as large as the outputs
            errors[np.arange(len(errors)), targets] -= 1.0
        else:
            errors -= targets
        return np.abs(errors, out=errors)

    def _criterion_rows(
        self, outputs: NDArray[np.floating[Any]], flat: FlatSequences
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]]:
        """Return the rows of outputs that the criterion looks at, and where those of each sequence begin."""
        instance_of("outputs", outputs, np.ndarray, "an array")
        instance_of("flat", flat, FlatSequences, "FlatSequences")
        sizes, expected = (flat.input_size, flat.output_size), (self.input_size, self.output_size)
        if sizes != expected:
            raise InputError(f"the sequences have inputs and targets of sizes {sizes}; expected {expected}, for {self}")
        shape = (len(flat.targets), self.output_size)
        if outputs.shape != shape or outputs.dtype.kind != "f":
            raise InputError(f"outputs are {outputs.dtype} of shape {outputs.shape}; expected real numbers {shape}")
        if flat.every_step and not self.end_only:
            return outputs, flat.starts
        return outputs[flat.ends] if flat.every_step else outputs, np.arange(len(flat))


def set_whole_numbers(task: Task, **least: int) -> None:
    """Make the fields of these names ints of Python; refuse those that are no whole number of at least so much."""
    for name, bound in least.items():
        object.__setattr__(task, name, whole_number(name, getattr(task, name), bound, MOST))


def random_lengths(shortest: int, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return lengths (n,) from ``shortest`` to ``shortest + shortest // 10`` inclusive, each equally likely."""
    return rng.integers(shortest, shortest + shortest // 10, n, endpoint=True)


def random_symbols(count: int, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return symbols 0..count-1, (n,), each equally likely."""
    # The generator hands out two or four small numbers for one large one.
    kind = np.int16 if count <= np.iinfo(np.int16).max else np.int32
    return rng.integers(0, count, n, dtype=kind).astype(np.int32, copy=False)
