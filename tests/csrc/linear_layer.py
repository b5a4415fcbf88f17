"""A layer without gates or squashings, called at the kernels' own face: it computes matrix products and nothing else.

s_t = s_{t-1} + W x_t + R y_{t-1} + b        y_t = s_t, or P s_t
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """Arrays of one call and the directions of its backward pass. ``projection`` is None without one."""

    inputs: Array  # (T, B, I)
    input_weights: Array
    recurrent_weights: Array
    bias: Array
    projection: Array | None
    output: Array  # y_0
    cells: Array  # s_0
    d_outputs: Array  # dE/dy_t

    def cast(self, dtype: Any) -> Problem:
        return Problem(
            *(None if value is None else np.ascontiguousarray(value, dtype) for value in vars(self).values())
        )


def draw(rng: np.random.Generator, steps: int, samples: int, inputs: int, hidden: int, projection: int) -> Problem:
    """Whole numbers of -1, 0 and 1: every sum of products is exact, in whatever order it is added up."""
    width = projection or hidden

    def whole(*shape: int) -> Array:
        return rng.integers(-1, 2, shape)

    return Problem(
        whole(steps, samples, inputs),
        whole(hidden, inputs),
        whole(hidden, width),
        whole(hidden),
        whole(projection, hidden) if projection else None,
        whole(samples, width),
        whole(samples, hidden),
        whole(steps, samples, width),
    )


def oracle(p: Problem) -> dict[str, Array]:
    """The same in NumPy, step by step, and gradients by hand. Those by weights are one for each sample, (B, ...)."""
    states, outputs = [p.cells], [p.output]
    for x in p.inputs:
        states.append(states[-1] + x @ p.input_weights.T + outputs[-1] @ p.recurrent_weights.T + p.bias)
        outputs.append(states[-1] if p.projection is None else states[-1] @ p.projection.T)
    d_state, d_output = np.zeros_like(p.cells), np.zeros_like(p.output)
    found: dict[str, Array] = {
        "d_inputs": np.zeros_like(p.inputs),
        "d_input_weights": np.zeros((len(p.cells), *p.input_weights.shape), p.inputs.dtype),
        "d_recurrent_weights": np.zeros((len(p.cells), *p.recurrent_weights.shape), p.inputs.dtype),
        "d_bias": np.zeros((len(p.cells), *p.bias.shape), p.inputs.dtype),
    }
    if p.projection is not None:
        found["d_projection"] = np.zeros((len(p.cells), *p.projection.shape), p.inputs.dtype)
    for t in reversed(range(len(p.inputs))):
        d_output = d_output + p.d_outputs[t]
        if p.projection is not None:
            found["d_projection"] += np.einsum("bp,bh->bph", d_output, states[t + 1])
        d_state = d_state + (d_output if p.projection is None else d_output @ p.projection)
        found["d_inputs"][t] = d_state @ p.input_weights
        found["d_input_weights"] += np.einsum("bh,bi->bhi", d_state, p.inputs[t])
        found["d_recurrent_weights"] += np.einsum("bh,bj->bhj", d_state, outputs[t])
        found["d_bias"] += d_state
        d_output = d_state @ p.recurrent_weights
    return found | {
        "outputs": np.stack(outputs[1:]),
        "final_output": outputs[-1],
        "final_cells": states[-1],
        "d_output": d_output,
        "d_cells": d_state,
    }


def kernels(
    native: Any, problem: Problem, dtype: Any, lanes: str, *, every: int = 0, per_sample: bool = True
) -> dict[str, Array]:
    """What a compiled module's kernels make of it. Gradients by weights are sums, or one for each sample, (B, ...)."""
    p = problem.cast(dtype)
    (steps, samples, inputs), hidden = p.inputs.shape, p.cells.shape[1]
    cell = native.Cell(
        cells_per_block=1,
        input_gate=False,
        forget_gate=False,
        output_gate=False,
        coupled_gates=False,
        peepholes=False,
        gate_recurrence=False,
        input_squash="identity",
        output_squash="identity",
        sharpness=1.0,
        recurrence=True,
        conventional_units=0,
        unit_squash="identity",
    )
    layer = native.Layer(
        cell=cell,
        input_size=inputs,
        hidden_size=hidden,
        projection_size=0 if p.projection is None else len(p.projection),
        recurrent_paths=True,
        peephole_paths=True,
    )
    wide = p.inputs.dtype == np.float64
    size = layer.tape_size(wide=wide, lanes=lanes, steps=steps, samples=samples, checkpoint_every=every)
    found = {
        name: np.full(like.shape, np.nan, dtype)  # what the kernels do not write shows
        for name, like in {
            "outputs": p.d_outputs,
            "final_output": p.output,
            "final_cells": p.cells,
            "d_inputs": p.inputs,
            "d_output": p.output,
            "d_cells": p.cells,
        }.items()
    }
    weights = {"input_weights": p.input_weights, "recurrent_weights": p.recurrent_weights, "bias": p.bias}
    if p.projection is not None:
        weights["projection"] = p.projection
    for name, weight in weights.items():
        found[f"d_{name}"] = np.full((samples, *weight.shape) if per_sample else weight.shape, np.nan, dtype)
    tape = np.full(size, np.nan, dtype)

    def address(value: Array | None) -> int:
        return 0 if value is None else value.ctypes.data

    def strided(value: Array) -> tuple[int, ...]:
        return (value.ctypes.data, *(stride // value.itemsize for stride in value.strides))

    call = native.BatchCall(
        lanes=lanes,
        threads=1,
        steps=steps,
        samples=samples,
        checkpoint_every=every,
        lengths=0,
        inputs=strided(p.inputs),
        weights=(address(p.input_weights), address(p.recurrent_weights), address(p.bias), 0, address(p.projection)),
        initial_state=(address(p.output), address(p.cells), 0),
        outputs=address(found["outputs"]),
        tape=address(tape),
    )
    forward, backward = (layer.forward64, layer.backward64) if wide else (layer.forward32, layer.backward32)
    forward(call, final_state=(address(found["final_output"]), address(found["final_cells"]), 0))
    backward(
        call,
        d_outputs=strided(p.d_outputs),
        d_final_state=(0, 0, 0),
        d_inputs=address(found["d_inputs"]),
        d_initial_state=(address(found["d_output"]), address(found["d_cells"]), 0),
        d_weights=(
            address(found["d_input_weights"]),
            address(found["d_recurrent_weights"]),
            address(found["d_bias"]),
            0,
            address(found.get("d_projection")),
        ),
        per_sample=per_sample,
    )
    return found
