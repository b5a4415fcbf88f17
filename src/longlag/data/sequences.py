"""SequenceBatch: ragged sequences as one padded tensor, their lengths, and where an answer is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longlag.checks import instance_of, shown, whole_number
from longlag.errors import InputError, InputTypeError

__all__ = ["SequenceBatch"]


@dataclass(frozen=True)
class SequenceBatch:
    """A batch of B sequences with up to T steps (batch paper, section 3.3: samples of different length and a mask).

    Parameters
    ----------
    inputs : (T, B, F) floating point
        Values beyond a sequence's length are padding and never influence a result, whatever they are.
    lengths : (B,) int64
        Real steps of each sequence; zero is allowed.
    targets : (T, B, K) floating point, or (T, B) int64 class numbers
        What the network should answer; read only where ``target_mask`` is true.
    target_mask : (T, B) bool
        True where an answer is wanted: the last real step, every real step, or any choice among them.
    sample_weight : (B,) floating point, optional
        What each sequence counts in a loss; 1 each without it. A mean over samples still divides by B, so weights of
        mean 1 make a weighted mean.

    Raises
    ------
    InputError
        If shapes disagree, a length is outside 0..T, or an answer is wanted beyond a sequence's end.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    target_mask: Tensor
    sample_weight: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "lengths", "targets", "target_mask"):
            instance_of(name, getattr(self, name), Tensor, "a tensor")
        if self.inputs.dim() != 3:
            raise InputError(f"inputs has shape {tuple(self.inputs.shape)}; expected (time, batch, features)")
        if not self.inputs.is_floating_point():
            raise InputError(f"inputs have type {self.inputs.dtype}; expected floating point")
        steps, samples = self.inputs.shape[:2]
        if self.lengths.shape != (samples,) or self.lengths.dtype != torch.int64:
            raise InputError(
                f"lengths has shape {tuple(self.lengths.shape)} and type {self.lengths.dtype}; "
                f"expected ({samples},) and torch.int64"
            )
        for name, tensor in (("targets", self.targets), ("target_mask", self.target_mask)):
            if tensor.shape[:2] != (steps, samples):
                raise InputError(f"{name} has shape {tuple(tensor.shape)}; expected it to begin ({steps}, {samples})")
        real = self.targets.is_floating_point()
        if self.targets.dim() != (3 if real else 2) or not (real or self.targets.dtype == torch.int64):
            raise InputError(
                f"targets are {self.targets.dtype} of shape {tuple(self.targets.shape)}; "
                f"expected floating point ({steps}, {samples}, values) or torch.int64 ({steps}, {samples})"
            )
        if self.target_mask.dtype != torch.bool or self.target_mask.dim() != 2:
            raise InputError(
                f"target_mask is {self.target_mask.dtype} of shape {tuple(self.target_mask.shape)}; "
                f"expected torch.bool of shape ({steps}, {samples})"
            )
        if samples and (int(self.lengths.min()) < 0 or int(self.lengths.max()) > steps):
            raise InputError(f"lengths must lie in 0..{steps}; got {self.lengths.tolist()}")
        if bool((self.target_mask & ~self.step_mask).any()):
            step, sample = torch.nonzero(self.target_mask & ~self.step_mask)[0].tolist()
            raise InputError(
                f"target_mask asks for an answer at step {step} of sequence {sample}, "
                f"which has {int(self.lengths[sample])} steps"
            )
        if self.sample_weight is not None:
            instance_of("sample_weight", self.sample_weight, Tensor, "a tensor, or None")
            if self.sample_weight.shape != (samples,) or not self.sample_weight.is_floating_point():
                raise InputError(
                    f"sample_weight is {self.sample_weight.dtype} of shape {tuple(self.sample_weight.shape)}; "
                    f"expected floating point ({samples},)"
                )

    # -- making one ------------------------------------------------------------------------------------------------

    @classmethod
    def last_step(cls, sequences: Sequence[Any], targets: Any, *, dtype: torch.dtype | None = None) -> SequenceBatch:
        """One answer per sequence, at its last step.

        ``sequences`` is a list of (T_b, F) arrays or tensors; ``targets`` is (B, K) real values or (B,) int64 classes.
        """
        inputs, lengths = _pad(sequences, dtype)
        answers = _answers(targets, "targets").to(inputs.device)
        if answers.shape[:1] != lengths.shape:
            raise InputError(f"{len(lengths)} sequences but {answers.shape[0] if answers.dim() else 'no'} targets")
        if answers.is_floating_point():
            answers = answers.to(inputs.dtype)
            answers = answers.reshape(len(lengths), answers[0].numel())
        spread = answers.new_zeros((inputs.shape[0], *answers.shape))
        ends = lengths > 0
        where = torch.nonzero(ends)[:, 0]
        spread[lengths[where] - 1, where] = answers[where]
        mask = torch.zeros(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        mask[lengths[where] - 1, where] = True
        return cls(inputs, lengths, spread, mask)

    @classmethod
    def every_step(
        cls, sequences: Sequence[Any], targets: Sequence[Any], *, dtype: torch.dtype | None = None
    ) -> SequenceBatch:
        """One answer at every step: ``targets`` is a list of (T_b, K) real values or (T_b,) int64 classes."""
        inputs, lengths = _pad(sequences, dtype)
        instance_of("targets", targets, Iterable, "a list with the targets of each sequence")
        answers = [_answers(target, f"targets of sequence {number}") for number, target in enumerate(targets)]
        if len(answers) != len(lengths):
            raise InputError(f"{len(lengths)} sequences but {len(answers)} targets")
        for number, (answer, length) in enumerate(zip(answers, lengths.tolist(), strict=True)):
            if answer.shape[:1] != (length,):
                raise InputError(f"sequence {number} has {length} steps but targets of shape {tuple(answer.shape)}")
        if answers[0].is_floating_point():
            answers = [answer if answer.dim() > 1 else answer[:, None] for answer in answers]
        first = answers[0]
        for number, answer in enumerate(answers):
            if answer.shape[1:] != first.shape[1:] or answer.is_floating_point() != first.is_floating_point():
                raise InputError(
                    f"targets of sequence {number} are {answer.dtype} of shape {tuple(answer.shape)}; "
                    f"those of sequence 0 are {first.dtype} of shape {tuple(first.shape)}"
                )
        kind = inputs.dtype if first.is_floating_point() else first.dtype
        padded = torch.zeros((inputs.shape[0], len(answers), *first.shape[1:]), dtype=kind, device=inputs.device)
        for number, answer in enumerate(answers):
            padded[: answer.shape[0], number] = answer.to(kind)
        steps = torch.arange(inputs.shape[0], device=inputs.device)
        return cls(inputs, lengths, padded, steps[:, None] < lengths[None, :])

    # -- reading it ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of sequences B."""
        return self.inputs.shape[1]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What the batch is made of, in the order of its fields; ``SequenceBatch(*tensors)`` is the same batch."""
        four = self.inputs, self.lengths, self.targets, self.target_mask
        return four if self.sample_weight is None else (*four, self.sample_weight)

    @property
    def step_mask(self) -> Tensor:
        """(T, B) bool: true at the real steps."""
        steps = torch.arange(self.inputs.shape[0], device=self.lengths.device)
        return steps[:, None] < self.lengths[None, :]

    def select(self, samples: Tensor) -> SequenceBatch:
        """The chosen sequences, cut to the longest among them. ``samples``: (n,) int64 indices, in the order wanted."""
        instance_of("samples", samples, Tensor, "a tensor of sequence numbers")
        if samples.dim() != 1 or samples.is_floating_point() or samples.is_complex() or samples.layout != torch.strided:
            raise InputError(f"samples is {samples.dtype} of shape {tuple(samples.shape)}; expected whole numbers (n,)")
        try:
            lengths = self.lengths[samples]
        except IndexError as error:
            raise InputError(f"samples lie outside the batch ({error}); expected 0..{len(self) - 1}") from error
        steps = int(lengths.max()) if len(samples) else 0
        return SequenceBatch(
            self.inputs[:steps, samples],
            lengths,
            self.targets[:steps, samples],
            self.target_mask[:steps, samples],
            None if self.sample_weight is None else self.sample_weight[samples],
        )

    def slice(self, start: int, stop: int) -> SequenceBatch:
        """Sequences start..stop-1, of as many steps as all have. Nothing is copied."""
        start, stop = whole_number("start", start, 0), whole_number("stop", stop, 0)
        return SequenceBatch(
            self.inputs[:, start:stop],
            self.lengths[start:stop],
            self.targets[:, start:stop],
            self.target_mask[:, start:stop],
            None if self.sample_weight is None else self.sample_weight[start:stop],
        )

    def window(self, start: int, stop: int) -> SequenceBatch:
        """Steps start..stop-1 of every sequence; sequences that ended before have length zero there."""
        steps = len(self.inputs)
        start, stop = min(whole_number("start", start, 0), steps), min(whole_number("stop", stop, 0), steps)
        return SequenceBatch(
            self.inputs[start:stop],
            (self.lengths - start).clamp(0, stop - start),
            self.targets[start:stop],
            self.target_mask[start:stop],
            self.sample_weight,
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SequenceBatch:
        """On another device, or with other floating-point numbers; class targets stay int64."""
        targets = self.targets.to(device, dtype) if self.targets.is_floating_point() else self.targets.to(device)
        return SequenceBatch(
            self.inputs.to(device, dtype),
            self.lengths.to(device),
            targets,
            self.target_mask.to(device),
            None if self.sample_weight is None else self.sample_weight.to(device, dtype),
        )


def _tensor(values: Any, what: str) -> Tensor:
    try:
        # A copy: torch warns of the read-only arrays that pandas and memory maps hand out.
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:  # text, objects, rows of different length
        raise InputError(f"{what} cannot be read as an array of numbers: {error}") from error
    if tensor.is_complex() or tensor.is_meta or tensor.layout != torch.strided:
        raise InputError(
            f"{what} is {tensor.dtype} of layout {tensor.layout} on {tensor.device}; expected dense real numbers"
        )
    return tensor


def _answers(values: Any, what: str) -> Tensor:
    """Real values as they are, class numbers of any integer type as int64."""
    answers = _tensor(values, what)
    if answers.is_floating_point() or answers.dtype in (torch.bool, torch.int64):
        return answers
    return answers.to(torch.int64)


def _pad(sequences: Sequence[Any], dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
    """Inputs (T, B, F), zero beyond each length, and lengths (B,), on the device of the first sequence."""
    instance_of("sequences", sequences, Iterable, "a list of sequences")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InputTypeError(f"dtype is {shown(dtype)}; expected None or a floating-point type of torch")
    tensors = [_tensor(sequence, f"sequence {number}") for number, sequence in enumerate(sequences)]
    if not tensors:
        raise InputError("no sequences were given; expected at least one")
    kind = dtype or (tensors[0].dtype if tensors[0].is_floating_point() else torch.get_default_dtype())
    width = tensors[0].shape[1] if tensors[0].dim() == 2 else "features"
    for number, tensor in enumerate(tensors):
        if tensor.dim() != 2 or tensor.shape[1] != width:
            raise InputError(f"sequence {number} has shape {tuple(tensor.shape)}; expected (steps, {width})")
    device, steps = tensors[0].device, [tensor.shape[0] for tensor in tensors]
    lengths = torch.tensor(steps, dtype=torch.int64, device=device)
    padded = torch.zeros((max(steps), len(tensors), tensors[0].shape[1]), dtype=kind, device=device)
    for number, tensor in enumerate(tensors):
        padded[: tensor.shape[0], number] = tensor.to(kind)
    return padded, lengths
