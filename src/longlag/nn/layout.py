"""The forms an input may come in (batch first, unbatched, packed, ragged), all brought to one, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longlag.errors import InputError
from longlag.ops.layer import State

if TYPE_CHECKING:
    from longlag.nn.lstm import LSTM

__all__ = ["Form", "ShapeError", "fold", "fold_state", "reverse", "state_widths", "unfold", "unfold_state"]


class ShapeError(InputError, RuntimeError):
    """A tensor whose size, type or lengths do not fit the layer. A RuntimeError too, because torch raises that."""


@dataclass(frozen=True)
class Form:
    """An input as the engines take it, and what is needed to answer in the caller's form.

    inputs : (T, B, I), cut to the longest sequence, zero in the padding; lengths : (B,) or None when all are full;
    steps : the caller's T; packed : the caller's PackedSequence; batched : whether the caller's input had a batch.
    """

    inputs: Tensor
    lengths: Tensor | None
    steps: int
    batched: bool
    packed: PackedSequence | None = None


def unfold(lstm: LSTM, input: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None) -> Form:
    """Bring any accepted input to (T, B, I)."""
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise ShapeError("lengths were given with a PackedSequence, which has its own; expected one of the two")
        if input.data.dim() != 2:
            raise ShapeError(
                f"a PackedSequence must hold sequences of shape (steps, features); "
                f"its data is {input.data.dim()}-D, expected 2-D"
            )
        _check_values(lstm, input.data)
        values, given = pad_packed_sequence(input._replace(data=input.data.to(working_type(lstm))))
        ragged = given.to(values.device) if int(given.min()) < values.shape[0] else None
        return Form(values, ragged, values.shape[0], batched=True, packed=input)
    if input.dim() not in (2, 3):
        raise ShapeError(f"LSTM: Expected input to be 2D or 3D, got {input.dim()}D instead")
    _check_values(lstm, input)
    batched = input.dim() == 3
    values = input.unsqueeze(1) if not batched else input.transpose(0, 1) if lstm.batch_first else input
    values = values.to(working_type(lstm))
    if lengths is None:
        return Form(values, None, values.shape[0], batched)
    lengths = torch.as_tensor(lengths)  # a list will do
    lengths = lengths.reshape(1) if not batched and lengths.dim() == 0 else lengths
    return _cut_and_clean(values, lengths, batched)


def _cut_and_clean(values: Tensor, lengths: Tensor, batched: bool) -> Form:
    """Steps that no sequence reaches are dropped, padding becomes zero: then it cannot change a bit of anything."""
    steps, samples = values.shape[:2]
    if lengths.shape != (samples,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(lengths.shape)} and type {lengths.dtype}; expected ({samples},) whole numbers"
        )
    lengths = lengths.to(device=values.device, dtype=torch.int64)
    longest = steps
    if not torch.compiler.is_compiling():  # reading values would break the graph; masks alone give the same result
        if not samples:
            return Form(values, None, steps, batched)
        least, longest = int(lengths.min()), int(lengths.max())
        if least < 0 or longest > steps:
            raise ShapeError(f"lengths must lie in 0..{steps}; got {lengths.tolist()}")
        if least == longest:
            return Form(values[:longest], None, steps, batched)
        values = values[:longest]
    inside = torch.arange(longest, device=values.device)[:, None] < lengths[None, :]
    return Form(torch.where(inside[:, :, None], values, 0.0), lengths, steps, batched)


def _check_values(lstm: LSTM, values: Tensor) -> None:
    if values.shape[-1] != lstm.input_size:
        raise ShapeError(
            f"input.size(-1) must be equal to input_size. Expected {lstm.input_size}, got {values.shape[-1]}"
        )
    _check_type("input", values, lstm)


def working_type(lstm: LSTM) -> torch.dtype:
    """The parameters' type, or autocast's where that is on and would change it (it leaves float64 alone)."""
    weight = lstm.weight_ih_l0
    mixed = torch.is_autocast_enabled(weight.device.type) and weight.dtype != torch.float64
    return torch.get_autocast_dtype(weight.device.type) if mixed else weight.dtype


def _check_type(name: str, tensor: Tensor, lstm: LSTM) -> None:
    """Under autocast any shorter float will do, because it is converted; else only the parameters' own type."""
    kind = lstm.weight_ih_l0.dtype
    mixed = torch.is_autocast_enabled(tensor.device.type) and kind != torch.float64
    fits = mixed and tensor.is_floating_point() and tensor.dtype != torch.float64
    if tensor.dtype != kind and not fits:
        raise ShapeError(f"{name} has type {tensor.dtype}; the parameters have {kind}; expected the same")


def state_widths(lstm: LSTM) -> list[int]:
    """Last dimensions of the carried state: outputs, cells, and gate activations with gate recurrence."""
    widths = [lstm.cell.output_size(lstm.hidden_size, lstm.proj_size), lstm.hidden_size]
    return [*widths, lstm.cell.gate_size(lstm.hidden_size)] if lstm.cell.gate_recurrence else widths


def unfold_state(lstm: LSTM, hx: Sequence[Tensor] | None, form: Form) -> list[State]:
    """The state before step 0 of each layer and direction; zeros where none was given."""
    samples, places, widths = form.inputs.shape[1], lstm.num_layers * lstm.num_directions, state_widths(lstm)
    if hx is None:
        three = (*widths, 0)[:3]
        zeros = {width: form.inputs.new_zeros((samples, width)) for width in three}  # equal ones are one: all just read
        return [State(*(zeros[width] for width in three))] * places
    if len(hx) != len(widths):
        raise ShapeError(
            f"hx has {len(hx)} tensors; expected {len(widths)}: outputs, cells"
            + (", gate activations" if len(widths) == 3 else "")
        )
    parts = []
    for number, (part, width) in enumerate(zip(hx, widths, strict=True)):
        dimensions = 3 if form.batched else 2
        if part.dim() != dimensions:
            kind = "batched 3-D" if form.batched else "unbatched 2-D"
            raise ShapeError(
                f"For {kind} input, hx and cx should also be {dimensions}-D but got "
                f"({', '.join(f'{tensor.dim()}-D' for tensor in hx)}) tensors"
            )
        part = part if form.batched else part.unsqueeze(1)
        if part.shape != (places, samples, width):
            raise ShapeError(f"Expected hidden[{number}] size {(places, samples, width)}, got {list(part.shape)}")
        _check_type(f"hidden[{number}]", part, lstm)
        parts.append(part.to(form.inputs.dtype))
    if len(parts) == 2:
        parts.append(form.inputs.new_zeros((places, samples, 0)))
    return [State(*(part[place] for part in parts)) for place in range(places)]


def reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Each sequence back to front within its own length; padding stays behind it. Its own inverse."""
    if lengths is None:
        return values.flip(0)
    steps = torch.arange(values.shape[0], device=values.device)[:, None]
    from_end = lengths[None, :] - 1 - steps
    index = torch.where(from_end >= 0, from_end, steps)
    return values.gather(0, index[:, :, None].expand_as(values))


def fold(lstm: LSTM, outputs: Tensor, form: Form) -> Tensor | PackedSequence:
    """Outputs (T, B, O) in the caller's form."""
    if form.packed is not None:
        packed = form.packed
        if packed.sorted_indices is not None:
            outputs = outputs.index_select(1, packed.sorted_indices)
        running = torch.arange(outputs.shape[1])[None, :] < packed.batch_sizes[:, None]
        return PackedSequence(
            outputs[running.to(outputs.device)], packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
        )
    if outputs.shape[0] < form.steps:
        tail = outputs.new_zeros((form.steps - outputs.shape[0], *outputs.shape[1:]))
        outputs = torch.cat([outputs, tail])
    if not form.batched:
        return outputs.squeeze(1)
    return outputs.transpose(0, 1) if lstm.batch_first else outputs


def fold_state(lstm: LSTM, finals: list[State], form: Form) -> tuple[Tensor, ...]:
    """Final states (layers * directions, B, .), without B for an unbatched input."""
    kept = 3 if lstm.cell.gate_recurrence else 2
    if len(finals) == 1 and form.inputs.shape[0]:  # without a step an engine may hand back the state it was given
        stacked = tuple(part.unsqueeze(0) for part in finals[0][:kept])
    else:
        stacked = tuple(torch.stack([final[part] for final in finals]) for part in range(kept))
    return stacked if form.batched else tuple(part.squeeze(1) for part in stacked)
