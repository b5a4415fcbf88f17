"""FlatSequences: sequences one after the other, as an online learner reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longlag.checks import instance_of, true_or_false, whole_number
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError

__all__ = ["FlatSequences", "Values"]

Values = NDArray[np.int32] | NDArray[np.float32]  # symbols that stand for one-hot vectors, or the vectors themselves


@dataclass(frozen=True, eq=False, kw_only=True)
class FlatSequences:
    """n sequences without padding: no step is stored that does not exist, and a one-hot vector is one number.

    Parameters
    ----------
    inputs : (N,) int32 symbols, or (N, input_size) float32; N is the sum of the lengths
        A symbol s stands for the vector whose component s is 1 and all others 0.
    lengths : (n,) int64, at least 1 each
    targets : (M,) int32 symbols, or (M, output_size) float32
        M = N if ``every_step``, else M = n.
    input_size, output_size : int
        Components of an input and of a target.
    every_step : bool
        True: a target at each step. False: one per sequence, at its last step.

    Raises
    ------
    InputError
        If types or shapes disagree, a sequence is empty, or a symbol is outside 0..size-1.
    """

    inputs: Values
    lengths: NDArray[np.int64]
    targets: Values
    input_size: int
    output_size: int
    every_step: bool = False

    def __post_init__(self) -> None:
        for name in ("input_size", "output_size"):
            whole_number(name, getattr(self, name), 1)
        true_or_false("every_step", self.every_step)
        lengths: Any = self.lengths
        if not isinstance(lengths, np.ndarray) or lengths.dtype != np.int64 or lengths.ndim != 1 or not lengths.size:
            raise InputError(f"lengths is {_described(lengths)}; expected int64 of shape (sequences,), at least one")
        if lengths.min() < 1:
            raise InputError(f"sequence {lengths.argmin()} has length {lengths.min()}; expected at least 1")
        steps = int(lengths.sum())
        _check("inputs", self.inputs, steps, self.input_size)
        _check("targets", self.targets, steps if self.every_step else len(lengths), self.output_size)

    def __len__(self) -> int:
        """The number of sequences n."""
        return len(self.lengths)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(n,) the row of each sequence's first step."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(n,) the row of each sequence's last step."""
        return np.cumsum(self.lengths) - 1

    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each of the N rows: its step within its sequence, and the number of the sequence."""
        steps = np.arange(self.lengths.sum()) - np.repeat(self.starts, self.lengths)
        return steps, np.repeat(np.arange(len(self)), self.lengths)

    def select(self, samples: NDArray[np.integer[Any]]) -> FlatSequences:
        """The chosen sequences in the order wanted, repetitions included. ``samples``: (m,) numbers in 0..n-1."""
        instance_of("samples", samples, np.ndarray, "an array of sequence numbers")
        if samples.ndim != 1 or samples.dtype.kind not in "iu" or not samples.size:
            raise InputError(f"samples is {_described(samples)}; expected a list of sequence numbers, at least one")
        if samples.min() < 0 or samples.max() >= len(self):
            raise InputError(f"samples lie in {samples.min()}..{samples.max()}; expected 0..{len(self) - 1}")
        lengths = self.lengths[samples]
        shift = self.starts[samples] - (np.cumsum(lengths) - lengths)
        rows = np.arange(lengths.sum()) + np.repeat(shift, lengths)
        return FlatSequences(
            inputs=self.inputs[rows],
            lengths=lengths,
            targets=self.targets[rows if self.every_step else samples],
            input_size=self.input_size,
            output_size=self.output_size,
            every_step=self.every_step,
        )

    # -- to and from padded batches --------------------------------------------------------------------------------

    def to_batch(self) -> SequenceBatch:
        """The same sequences padded: float32, time first, symbols as one-hot vectors."""
        steps, sequence = self.places()
        shape = int(self.lengths.max()), len(self)
        answering = (steps, sequence) if self.every_step else (self.lengths - 1, np.arange(len(self)))
        mask = np.zeros(shape, dtype=np.bool_)
        mask[answering] = True
        return SequenceBatch(
            torch.from_numpy(_padded(self.inputs, (steps, sequence), (*shape, self.input_size))),
            torch.from_numpy(self.lengths.copy()),
            torch.from_numpy(_padded(self.targets, answering, (*shape, self.output_size))),
            torch.from_numpy(mask),
        )

    @classmethod
    def from_batch(cls, batch: SequenceBatch) -> FlatSequences:
        """The sequences of a batch with real-valued targets at every step, or at every sequence's last step only.

        One-hot vectors stay vectors. Raises InputError if answers are wanted at other steps, a sequence is empty, or
        sequences have weights.
        """
        instance_of("batch", batch, SequenceBatch, "a SequenceBatch")
        if not batch.targets.is_floating_point():
            raise InputError("targets are class numbers; expected real values")
        if batch.sample_weight is not None:
            raise InputError("the batch has sample_weight, which flat sequences do not keep; expected None")
        real = batch.step_mask
        last = torch.arange(real.shape[0], device=real.device)[:, None] == batch.lengths - 1
        every_step = torch.equal(batch.target_mask, real)
        if not every_step and not torch.equal(batch.target_mask, last):
            raise InputError("target_mask marks other steps; expected every real step, or the last of every sequence")
        return cls(
            inputs=batch.inputs.detach().transpose(0, 1)[real.T].cpu().float().numpy(),
            lengths=batch.lengths.cpu().numpy(),
            targets=batch.targets.detach().transpose(0, 1)[batch.target_mask.T].cpu().float().numpy(),
            input_size=batch.inputs.shape[2],
            output_size=batch.targets.shape[2],
            every_step=every_step,
        )


def _described(values: Any) -> str:
    if isinstance(values, np.ndarray):
        return f"{values.dtype} of shape {values.shape}"
    return f"a {type(values).__name__}"


def _check(name: str, values: Any, rows: int, size: int) -> None:
    shape = values.shape if isinstance(values, np.ndarray) else ()
    symbols = bool(shape) and values.dtype == np.int32 and shape == (rows,)
    if not symbols and not (shape == (rows, size) and values.dtype == np.float32):
        raise InputError(f"{name} is {_described(values)}; expected int32 ({rows},) or float32 ({rows}, {size})")
    if symbols and (values.min() < 0 or values.max() >= size):
        raise InputError(f"{name} has symbols from {values.min()} to {values.max()}; expected 0..{size - 1}")


def _padded(values: Values, where: tuple[Any, Any], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    spread = np.zeros(shape, dtype=np.float32)
    if values.ndim == 1:
        spread[(*where, values)] = 1.0
    else:
        spread[where] = values
    return spread
