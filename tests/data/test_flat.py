"""FlatSequences: the same sequences as the padded batch, step by step, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longlag.data import SequenceBatch
from longlag.data.flat import FlatSequences
from longlag.errors import InputError

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def flat_of(lengths: list[int], symbols: bool, every_step: bool) -> FlatSequences:
    """Inputs and targets of every row its own, so that none can be taken for another."""
    steps = sum(lengths)
    asked = steps if every_step else len(lengths)
    inputs: Any = np.arange(steps, dtype=np.int32)
    targets: Any = np.arange(asked, dtype=np.int32)[::-1].copy()
    if not symbols:
        inputs = np.arange(1, 2 * steps + 1, dtype=np.float32).reshape(-1, 2)
        targets = -np.arange(1, 3 * asked + 1, dtype=np.float32).reshape(-1, 3)
    return FlatSequences(
        inputs=inputs,
        lengths=np.array(lengths),
        targets=targets,
        input_size=steps if symbols else 2,
        output_size=asked if symbols else 3,
        every_step=every_step,
    )


def vector(values: Any, row: int, size: int) -> list[float]:
    if values.ndim == 1:
        return [1.0 if component == values[row] else 0.0 for component in range(size)]
    return [float(value) for value in values[row]]


def equal(one: FlatSequences, other: FlatSequences) -> bool:
    return (one.input_size, one.output_size, one.every_step) == (
        other.input_size,
        other.output_size,
        other.every_step,
    ) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("inputs", "lengths", "targets")
    )


@given(LENGTHS, st.booleans(), st.booleans())
def test_the_batch_holds_each_row_at_its_step(lengths: list[int], symbols: bool, every_step: bool) -> None:
    flat = flat_of(lengths, symbols, every_step)
    batch = flat.to_batch()
    assert len(flat) == len(batch) == len(lengths)
    assert batch.inputs.dtype == batch.targets.dtype == torch.float32
    assert batch.lengths.tolist() == lengths
    row = 0
    for b, length in enumerate(lengths):
        assert (flat.starts[b], flat.ends[b]) == (row, row + length - 1)
        for t in range(max(lengths)):
            asked = t < length if every_step else t == length - 1
            assert bool(batch.target_mask[t, b]) == asked
            seen = vector(flat.inputs, row, flat.input_size) if t < length else [0.0] * flat.input_size
            assert batch.inputs[t, b].tolist() == seen
            target = (
                vector(flat.targets, row if every_step else b, flat.output_size) if asked else [0.0] * flat.output_size
            )
            assert batch.targets[t, b].tolist() == target
            row += t < length


@given(LENGTHS, st.booleans())
def test_a_batch_and_back_is_the_same(lengths: list[int], every_step: bool) -> None:
    if max(lengths) == 1:
        every_step = True  # the last step is then every step
    flat = flat_of(lengths, False, every_step)
    assert equal(FlatSequences.from_batch(flat.to_batch()), flat)


def test_one_hot_vectors_come_back_as_vectors() -> None:
    flat = FlatSequences.from_batch(flat_of([2, 3], True, True).to_batch())
    np.testing.assert_array_equal(flat.inputs, np.eye(5, dtype=np.float32))
    np.testing.assert_array_equal(flat.targets, np.eye(5, dtype=np.float32)[::-1])


@given(LENGTHS, st.booleans(), st.booleans(), st.data())
def test_chosen_sequences_are_those_of_the_batch(
    lengths: list[int], symbols: bool, every_step: bool, data: st.DataObject
) -> None:
    flat = flat_of(lengths, symbols, every_step)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6))
    mine, theirs = flat.select(np.array(chosen)).to_batch(), flat.to_batch().select(torch.tensor(chosen))
    for name in ("inputs", "lengths", "targets", "target_mask"):
        assert torch.equal(getattr(mine, name), getattr(theirs, name))


@given(LENGTHS)
def test_places_count_steps_and_sequences(lengths: list[int]) -> None:
    steps, sequence = flat_of(lengths, True, True).places()
    assert steps.tolist() == [t for length in lengths for t in range(length)]
    assert sequence.tolist() == [b for b, length in enumerate(lengths) for _ in range(length)]


GOOD: dict[str, Any] = {
    "inputs": np.zeros(3, dtype=np.int32),
    "lengths": np.array([1, 2]),
    "targets": np.zeros((2, 4), dtype=np.float32),
    "input_size": 5,
    "output_size": 4,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": np.array([1.0, 2.0])}, r"lengths is float64 of shape \(2,\); expected int64"),
        ({"lengths": np.array([], dtype=np.int64)}, "expected int64 of shape .* at least one"),
        ({"lengths": [1, 2]}, "lengths is a list; expected"),
        ({"lengths": np.array([3, 0])}, "sequence 1 has length 0; expected at least 1"),
        ({"inputs": np.zeros(4, dtype=np.int32)}, r"inputs is int32 of shape \(4,\); expected int32 \(3,\)"),
        ({"inputs": np.zeros(3, dtype=np.int64)}, "inputs is int64"),
        ({"inputs": np.zeros((3, 4), dtype=np.float32)}, r"expected int32 \(3,\) or float32 \(3, 5\)"),
        ({"inputs": np.zeros((3, 5))}, r"inputs is float64 of shape \(3, 5\)"),
        ({"inputs": [0, 0, 0]}, "inputs is a list"),
        ({"inputs": np.array([0, 5, 1], dtype=np.int32)}, r"inputs has symbols from 0 to 5; expected 0\.\.4"),
        ({"inputs": np.array([0, -1, 1], dtype=np.int32)}, "inputs has symbols from -1 to 1"),
        ({"targets": np.array([0, 4], dtype=np.int32)}, r"targets has symbols from 0 to 4; expected 0\.\.3"),
        ({"every_step": True}, r"targets is float32 of shape \(2, 4\); expected int32 \(3,\) or float32 \(3, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    FlatSequences(**GOOD)
    with pytest.raises(InputError, match=message):
        FlatSequences(**{**GOOD, **change})


@pytest.mark.parametrize("samples", [[], [2], [-1], [0.0], [[0]]])
def test_a_choice_of_sequences_that_do_not_exist_is_refused(samples: list[Any]) -> None:
    with pytest.raises(InputError, match="samples"):
        FlatSequences(**GOOD).select(np.array(samples))


def test_a_batch_with_other_answers_is_refused() -> None:
    batch = flat_of([3, 2], False, True).to_batch()
    batch.target_mask[0, 0] = False
    with pytest.raises(InputError, match="target_mask marks other steps"):
        FlatSequences.from_batch(batch)
    classes = SequenceBatch.last_step([np.zeros((2, 1))], np.array([1]))
    with pytest.raises(InputError, match="class numbers"):
        FlatSequences.from_batch(classes)
    weighted = replace(flat_of([3, 2], False, True).to_batch(), sample_weight=torch.ones(2))
    with pytest.raises(InputError, match="the batch has sample_weight, which flat sequences do not keep"):
        FlatSequences.from_batch(weighted)
