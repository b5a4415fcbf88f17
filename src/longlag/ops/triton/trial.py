"""A trial launch: a tiny layer forward and backward, launched in both ways, and compared with the definition."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from longlag.cell import CellSpec
from longlag.ops import reference
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State, Weights
from longlag.ops.triton import layer, verification
from longlag.ops.triton.launch import INTERPRETED
from longlag.ops.triton.launch_config import float32_rounding

__all__ = ["ALLOWED", "largest_error", "try_and_record"]

ALLOWED = {"ieee": 1e-5, "tf32x3": 1e-4, "tf32": 0.05}
"""How far a result may be from the definition in float64, by the rounding of products; a wrong kernel is further."""

SPEC = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, conventional_units=1)
STEPS, SAMPLES, INPUTS, HIDDEN = 3, 18, 2, 4
"""More samples than one program takes, on tensor cores too."""


def try_and_record(device: torch.device) -> str:
    """Try a launch on this CUDA device, record whether it succeeds, and say in a line for people what came of it."""
    error, failure = None, verification.obstacle(device)
    if not failure:
        error, failure = _attempt(device)
    outcome = f"failed: {failure}" if failure else f"succeeded ({error:.0e} from the definition)"
    ending = f"backend 'auto' {'leaves them out' if failure else 'takes them'}"
    try:
        verification.record(device, error)
    except OSError as problem:
        ending = f"{verification.file()} cannot be written, by which backend 'auto' would know: {problem}"
    return f"a launch on {torch.cuda.get_device_name(device)} {outcome}; {ending}"


def _attempt(device: torch.device) -> tuple[float | None, str]:
    """Return the largest error, or None and why there is none."""
    if INTERPRETED and device.type == "cuda":
        return None, "the environment variable TRITON_INTERPRET is set, so nothing is compiled"
    try:
        error = largest_error(device)
    except Exception as problem:  # a compiler, a driver and a device fail in more ways than can be listed
        first_line = next(iter(str(problem).strip().splitlines()), "")
        return None, f"{type(problem).__name__}: {first_line}"
    allowed = ALLOWED[float32_rounding()]
    if not error <= allowed:
        return None, f"a result is {error:.0e} from the definition; expected at most {allowed:.0e}"
    return error, ""


def largest_error(device: torch.device) -> float:
    """Return the largest difference from the definition of any output, final state or gradient, in float32.

    It is relative to the larger of 1 and the largest number expected.
    """
    tensors = _tensors()
    expected = _results(reference.layer, [tensor.double() for tensor in tensors], "cpu")
    errors = []
    for resident in (True, False):
        launched = functools.partial(layer.layer, resident=resident)
        results = _results(launched, [tensor.to(device) for tensor in tensors], device)
        for ours, theirs in zip(results, expected, strict=True):
            difference = (ours.double().cpu() - theirs).abs().max()
            errors.append(float(difference / theirs.abs().max().clamp(min=1.0)))
    return max(errors, key=lambda error: math.inf if math.isnan(error) else error)


def _tensors() -> list[Tensor]:
    """Return inputs, the state's three parts and four kinds of weights, of seeded numbers that float32 has exactly."""
    generator = torch.Generator("cpu").manual_seed(1997)
    rows, width = SPEC.row_count(HIDDEN), SPEC.output_size(HIDDEN)
    shapes = [
        (STEPS, SAMPLES, INPUTS),
        (SAMPLES, width),
        (SAMPLES, HIDDEN),
        (SAMPLES, SPEC.gate_size(HIDDEN)),
        (rows, INPUTS),
        (rows, SPEC.source_size(HIDDEN)),
        (rows,),
        (len(SPEC.gates), HIDDEN),
    ]
    return [torch.rand(shape, generator=generator, device="cpu", dtype=torch.float32) - 0.5 for shape in shapes]


def _results(
    run: Callable[[LayerCall], tuple[Tensor, State]], tensors: list[Tensor], device: torch.device | str
) -> list[Tensor]:
    """Return outputs and final state, then the gradient of half the sum of their squares by every tensor."""
    lengths = torch.tensor([number % (STEPS + 1) for number in range(SAMPLES)], device=device)
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    with torch.enable_grad():
        outputs, state = run(LayerCall(SPEC, Weights(*leaves[4:]), leaves[0], State(*leaves[1:4]), lengths))
        answers = [outputs, *state]
        half_square = torch.stack([(answer**2).sum() / 2 for answer in answers]).sum()
        gradients = torch.autograd.grad(half_square, leaves)
    return [answer.detach() for answer in answers] + list(gradients)
