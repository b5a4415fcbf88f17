"""The formats an input may have (batch first, unbatched, packed, ragged), all brought to one, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longlag.errors import InputTypeError, ShapeError
from longlag.nn.sizes import LayerSizes
from longlag.nn.tensors import check_tensor
from longlag.ops.layer import State
from longlag.ops.plain_tensors import has_values

__all__ = [
    "InputFormat",
    "is_autocast_on",
    "restore_format",
    "reverse",
    "split_state",
    "stack_state",
    "to_time_major",
    "with_data",
]

_PARTS = ("hidden[0]", "hidden[1]", "hidden[2]")  # torch.nn.LSTM's words for the parts of hx


class InputFormat(NamedTuple):
    """An input as the engines take it, and what is needed to answer in the caller's format.

    inputs : (T, B, I), cut to the longest sequence, zero in the padding; lengths : (B,) or None when all are full;
    steps : the caller's T; batched, batch_first : whether the caller's input has a batch, and has it first;
    packed : the caller's PackedSequence; autocast : whether autocast is on, and engines have to be spared it.
    """

    inputs: Tensor
    lengths: Tensor | None
    steps: int
    batched: bool = True
    batch_first: bool = False
    packed: PackedSequence | None = None
    autocast: bool = False


def to_time_major(
    input: Tensor | PackedSequence,
    lengths: Tensor | Sequence[int] | None,
    *,
    sizes: LayerSizes,
    dtype: torch.dtype,
    device: torch.device,
    batch_first: bool,
) -> InputFormat:
    """Bring any accepted input to (T, B, I). ``dtype`` and ``device`` are the parameters'.

    Raises
    ------
    InputError
        When the input is no dense tensor; as a ShapeError when dimensions, features, types or lengths do not fit.
    """
    autocast = is_autocast_on(device.type)
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise ShapeError("lengths were given with a PackedSequence, which has its own; expected one of the two")
        check_tensor("the data of the PackedSequence", input.data)
        if input.data.dim() != 2:
            raise ShapeError(
                f"a PackedSequence must hold sequences of shape (steps, features); "
                f"its data is {input.data.dim()}-D, expected 2-D"
            )
        values = _as_floats(input.data, sizes, dtype, device, autocast)
        values, counts = pad_packed_sequence(with_data(input, values))
        full = not torch.compiler.is_compiling() and int(counts.min()) == values.shape[0]
        ragged = None if full else counts.to(values.device)
        return InputFormat(values, ragged, values.shape[0], packed=input, autocast=autocast)
    check_tensor("input", input, "a Tensor or a PackedSequence")
    dimensions = input.dim()
    if dimensions not in (2, 3):
        raise ShapeError(f"LSTM: Expected input to be 2D or 3D, got {dimensions}D instead")
    batched = dimensions == 3
    values = _as_floats(input, sizes, dtype, device, autocast)
    if not batched:
        values = values.unsqueeze(1)
    elif batch_first:
        values = values.transpose(0, 1)
    steps = values.shape[0]
    if lengths is None:
        return InputFormat(values, None, steps, batched, batch_first, None, autocast)
    lengths = lengths if isinstance(lengths, Tensor) else _as_tensor(lengths)
    lengths = lengths.reshape(1) if not batched and lengths.dim() == 0 else lengths
    values, ragged = _cut_and_clean(values, lengths)
    return InputFormat(values, ragged, steps, batched, batch_first, None, autocast)


def _as_tensor(lengths: Sequence[int]) -> Tensor:
    """Return a list or an array of lengths as a tensor on the CPU, whatever the default device is."""
    try:
        return torch.as_tensor(lengths, device="cpu")
    except (OverflowError, RuntimeError, TypeError, ValueError):
        raise InputTypeError(f"lengths is {lengths!r}; expected whole numbers, one for each sequence") from None


def _cut_and_clean(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
    """Drop the steps that no sequence reaches, and set padding to zero, so that it cannot change a bit of a result."""
    steps, samples = values.shape[:2]
    wrong_type = lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool
    if lengths.shape != (samples,) or wrong_type:
        raise ShapeError(
            f"lengths has shape {tuple(lengths.shape)} and type {lengths.dtype}; expected ({samples},) whole numbers"
        )
    # A copy: a data loader may fill its buffer anew before the way back.
    lengths = lengths.to(device=values.device, dtype=torch.int64, copy=True)
    longest = steps
    # Reading values would break a graph, and fake tensors have none; masks alone give the same result.
    if has_values(lengths) and not torch.compiler.is_compiling():
        if not samples:
            return values, None
        least, longest = int(lengths.min()), int(lengths.max())
        if least < 0 or longest > steps:
            raise ShapeError(f"lengths must lie in 0..{steps}; got {lengths.tolist()}")
        if least == longest:
            return values[:longest], None
        values = values[:longest]
    inside = torch.arange(longest, device=values.device)[:, None] < lengths[None, :]
    return torch.where(inside[:, :, None], values, 0.0), lengths


def _as_floats(values: Tensor, sizes: LayerSizes, dtype: torch.dtype, device: torch.device, autocast: bool) -> Tensor:
    """Return the values in the type that the layer works in: the parameters', or autocast's where that is on."""
    if values.shape[-1] != sizes.input_size:
        raise ShapeError(
            f"input.size(-1) must be equal to input_size. Expected {sizes.input_size}, got {values.shape[-1]}"
        )
    if values.device != device:
        raise ShapeError(f"input is on {values.device}; the parameters are on {device}; expected the same")
    _check_type("input", values, dtype)
    working = torch.get_autocast_dtype(device.type) if autocast and dtype != torch.float64 else dtype
    return values if values.dtype is working else values.to(working)


def is_autocast_on(device: str) -> bool:
    """Return whether autocast is on for this type of device; PyTorch does not answer for the meta device."""
    return device != "meta" and torch.is_autocast_enabled(device)


def _is_mixed(device: str, dtype: torch.dtype) -> bool:
    """Return whether autocast is on and would change numbers of this type (it leaves float64 alone)."""
    return is_autocast_on(device) and dtype != torch.float64


def _check_type(name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    """Refuse a tensor of another type than the parameters', unless autocast converts it: any shorter float."""
    if tensor.dtype == dtype:
        return
    converted = tensor.is_floating_point() and tensor.dtype != torch.float64
    if not (converted and _is_mixed(tensor.device.type, dtype)):
        raise ShapeError(f"{name} has type {tensor.dtype}; the parameters have {dtype}; expected the same")


def split_state(
    hx: Sequence[Tensor] | None, form: InputFormat, *, sizes: LayerSizes, dtype: torch.dtype
) -> list[State]:
    """Return the state before step 0 of each layer and direction; zeros where ``hx`` is None.

    Raises
    ------
    InputError
        When ``hx`` is no tuple of dense tensors; as a ShapeError when their number, shapes or types do not fit.
    """
    samples, places, widths = form.inputs.shape[1], sizes.stack_size, sizes.state_widths
    if hx is None:
        output_width, cell_width, gate_width = (*widths, 0)[:3]
        output = form.inputs.new_zeros(samples, output_width)
        cells = output if cell_width == output_width else form.inputs.new_zeros(samples, cell_width)  # just read
        gates = form.inputs.new_zeros(samples, gate_width)
        return [State(output, cells, gates)] * places
    if not isinstance(hx, (tuple, list, Tensor)):
        raise InputTypeError(f"hx is of type {type(hx).__name__}; expected a tuple of {len(widths)} tensors")
    if len(hx) != len(widths):
        raise ShapeError(
            f"hx has {len(hx)} tensors; expected {len(widths)}: outputs, cells"
            + (", gate activations" if len(widths) == 3 else "")
        )
    parts = []
    for number, (part, width) in enumerate(zip(hx, widths, strict=True)):
        dimensions = 3 if form.batched else 2
        check_tensor(_PARTS[number], part)
        if part.dim() != dimensions:
            kind = "batched 3-D" if form.batched else "unbatched 2-D"
            raise ShapeError(
                f"For {kind} input, hx and cx should also be {dimensions}-D but got "
                f"({', '.join(f'{tensor.dim()}-D' for tensor in hx)}) tensors"
            )
        part = part if form.batched else part.unsqueeze(1)
        if part.shape != (places, samples, width):
            raise ShapeError(f"Expected hidden[{number}] size {(places, samples, width)}, got {list(part.shape)}")
        _check_type(_PARTS[number], part, dtype)
        parts.append(part.to(form.inputs.dtype))
    if len(parts) == 2:
        parts.append(form.inputs.new_zeros((places, samples, 0)))
    return [State(*(part[place] for part in parts)) for place in range(places)]


def reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Return each sequence back to front within its length, with its padding behind it. Twice is the identity."""
    if lengths is None:
        return values.flip(0)
    steps = torch.arange(values.shape[0], device=values.device)[:, None]
    from_end = lengths[None, :] - 1 - steps
    index = torch.where(from_end >= 0, from_end, steps)
    return values.gather(0, index[:, :, None].expand_as(values))


def with_data(packed: PackedSequence, data: Tensor) -> PackedSequence:
    """Return the packed sequences with other values. What torch.compile makes of ``packed._replace`` is wrong."""
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


def restore_format(outputs: Tensor, form: InputFormat) -> Tensor | PackedSequence:
    """Return outputs (T, B, O) in the caller's format."""
    if form.packed is not None:
        packed = form.packed
        if packed.sorted_indices is not None:
            outputs = outputs.index_select(1, packed.sorted_indices)
        running = torch.arange(outputs.shape[1], device=packed.batch_sizes.device) < packed.batch_sizes[:, None]
        return with_data(packed, outputs[running.to(outputs.device)])
    if outputs.shape[0] < form.steps:
        tail = outputs.new_zeros((form.steps - outputs.shape[0], *outputs.shape[1:]))
        outputs = torch.cat([outputs, tail])
    if not form.batched:
        return outputs.squeeze(1)
    return outputs.transpose(0, 1) if form.batch_first else outputs


def stack_state(finals: list[State], form: InputFormat, sizes: LayerSizes) -> tuple[Tensor, ...]:
    """Return the final states, (layers * directions, B, .) each, without B for an unbatched input."""
    parts = len(sizes.state_widths)
    if len(finals) == 1 and form.inputs.shape[0]:  # without a step an engine may hand back the initial state
        stacked = tuple([part.unsqueeze(0) for part in finals[0][:parts]])
    else:
        stacked = tuple(torch.stack([final[part] for final in finals]) for part in range(parts))
    return stacked if form.batched else tuple([part.squeeze(1) for part in stacked])
