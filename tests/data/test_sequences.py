"""SequenceBatch: what the constructors make of ragged sequences, what a batch is cut into, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longlag import SequenceBatch
from longlag.errors import InputError

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=5)


def ragged(lengths: list[int], features: int = 2) -> list[np.ndarray]:
    """Every number its own, so that none can be taken for another."""
    numbers = np.arange(1.0, sum(lengths) * features + 1).reshape(-1, features)
    return np.split(numbers, np.cumsum(lengths)[:-1])


def batch_of(lengths: list[int]) -> SequenceBatch:
    sequences = ragged(lengths)
    classes = [np.arange(length) for length in lengths]
    return SequenceBatch.every_step(sequences, classes)


def parts(batch: SequenceBatch) -> tuple[Tensor, ...]:
    return batch.inputs, batch.lengths, batch.targets, batch.target_mask


def equal(one: SequenceBatch, other: SequenceBatch) -> bool:
    return all(
        torch.equal(mine, theirs) and mine.dtype == theirs.dtype
        for mine, theirs in zip(parts(one), parts(other), strict=True)
    )


# -- making one --------------------------------------------------------------------------------------------------------


@given(LENGTHS)
def test_every_step_pads_each_sequence_and_asks_at_each_of_its_steps(lengths: list[int]) -> None:
    sequences, classes = ragged(lengths), [np.arange(length) + 10 for length in lengths]
    batch = SequenceBatch.every_step(sequences, classes)
    assert batch.inputs.shape == (max(lengths), len(lengths), 2)
    assert batch.lengths.tolist() == lengths
    assert batch.lengths.dtype == batch.targets.dtype == torch.int64
    assert len(batch) == len(lengths)
    for t in range(max(lengths)):
        for b, length in enumerate(lengths):
            real = t < length
            assert bool(batch.target_mask[t, b]) == bool(batch.step_mask[t, b]) == real
            assert batch.inputs[t, b].tolist() == (sequences[b][t].tolist() if real else [0.0, 0.0])
            assert int(batch.targets[t, b]) == (classes[b][t] if real else 0)


@given(LENGTHS)
def test_last_step_asks_once_at_the_end_and_never_where_there_is_none(lengths: list[int]) -> None:
    answers = np.arange(len(lengths) * 3.0).reshape(-1, 3) + 1
    batch = SequenceBatch.last_step(ragged(lengths), answers)
    asked = torch.nonzero(batch.target_mask).tolist()
    assert sorted(asked) == sorted([length - 1, b] for b, length in enumerate(lengths) if length)
    for t, b in asked:
        assert batch.targets[t, b].tolist() == answers[b].tolist()
    assert not bool(batch.targets[~batch.target_mask].any())
    for b, (sequence, length) in enumerate(zip(ragged(lengths), lengths, strict=True)):
        assert batch.inputs[:length, b].tolist() == sequence.tolist()


def test_one_target_value_may_come_without_its_own_axis() -> None:
    sequences = ragged([3, 2])
    last = SequenceBatch.last_step(sequences, [0.5, 0.75])
    assert equal(last, SequenceBatch.last_step(sequences, [[0.5], [0.75]]))
    assert last.targets.shape == (3, 2, 1)
    every = SequenceBatch.every_step(sequences, [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])])
    assert every.targets[..., 0].T.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]


def test_classes_stay_whole_numbers() -> None:
    sequences = ragged([3, 2])
    last = SequenceBatch.last_step(sequences, [7, 9], dtype=torch.float32)
    assert last.targets.tolist() == [[0, 0], [0, 9], [7, 0]]
    assert (last.inputs.dtype, last.targets.dtype) == (torch.float32, torch.int64)
    every = SequenceBatch.every_step(sequences, [torch.tensor([1, 2, 3]), torch.tensor([4, 5])])
    assert every.targets.tolist() == [[1, 4], [2, 5], [3, 0]]


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        (np.float64, None, torch.float64),
        (np.float32, None, torch.float32),
        (np.int64, None, torch.float32),  # torch's default
        (np.uint8, None, torch.float32),
        (np.float64, torch.float32, torch.float32),
        (np.int32, torch.float64, torch.float64),
    ],
)
def test_inputs_and_real_targets_share_one_type(given: Any, dtype: torch.dtype | None, expected: torch.dtype) -> None:
    sequences = [sequence.astype(given) for sequence in ragged([3, 2])]
    for targets in ([np.ones((3, 1), np.float16), np.ones((2, 1), np.float16)], [np.ones(3), np.ones(2)]):
        batch = SequenceBatch.every_step(sequences, targets, dtype=dtype)
        assert batch.inputs.dtype == batch.targets.dtype == expected
    batch = SequenceBatch.last_step(sequences, torch.ones(2, 1, dtype=torch.float64), dtype=dtype)
    assert batch.inputs.dtype == batch.targets.dtype == expected


def test_tensors_arrays_and_lists_are_the_same_sequences() -> None:
    arrays = ragged([3, 2])
    expected = SequenceBatch.last_step(arrays, np.array([1.0, 2.0]))
    as_lists = [array.tolist() for array in arrays]
    as_tensors = [torch.from_numpy(array) for array in arrays]
    assert equal(SequenceBatch.last_step(as_lists, [1.0, 2.0]), expected)
    assert equal(SequenceBatch.last_step(as_tensors, torch.tensor([1.0, 2.0])), expected)


def test_one_3d_array_is_a_list_of_sequences() -> None:
    array = np.arange(24.0).reshape(4, 3, 2)
    batch = SequenceBatch.every_step(array, array[..., :1])
    assert np.array_equal(batch.inputs.numpy(), array.transpose(1, 0, 2))
    assert np.array_equal(batch.targets.numpy(), array[..., :1].transpose(1, 0, 2))


def test_read_only_strided_and_backward_arrays_are_taken_without_a_warning() -> None:
    """Warnings are errors here; pandas and memory maps hand out read-only arrays."""
    frozen = ragged([3, 2])
    for array in frozen:
        array.setflags(write=False)
    targets = np.array([1.0, 2.0])
    targets.setflags(write=False)
    expected = SequenceBatch.last_step(ragged([3, 2]), [1.0, 2.0])
    assert equal(SequenceBatch.last_step(frozen, targets), expected)
    backward = [array[::-1, ::-1].copy()[::-1, ::-1] for array in frozen]
    assert equal(SequenceBatch.last_step(backward, targets[::-1].copy()[::-1]), expected)
    every = SequenceBatch.every_step(frozen, [array[:, 0] for array in frozen])
    assert every.targets[:, 0, 0].tolist() == frozen[0][:, 0].tolist()


def test_what_was_given_can_be_changed_afterwards() -> None:
    arrays, tensors = ragged([3, 2]), [torch.ones(3, 2), torch.ones(2, 2)]
    answers = torch.ones(2, 1)
    batches = [SequenceBatch.last_step(source, answers) for source in (arrays, tensors)]
    kept = [[part.clone() for part in parts(batch)] for batch in batches]
    for source in (*arrays, *tensors, answers):
        source[:] = -1
    for batch, before in zip(batches, kept, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(parts(batch), before, strict=True))


def test_sequences_without_any_step_are_sequences() -> None:
    batch = SequenceBatch.last_step([np.zeros((0, 2)), np.zeros((0, 2))], [1.0, 2.0])
    assert batch.inputs.shape == (0, 2, 2)
    assert len(batch) == 2
    assert not bool(batch.target_mask.any())
    classes = SequenceBatch.every_step([np.zeros((0, 2)), np.ones((1, 2))], [np.zeros(0, int), np.ones(1, int)])
    assert classes.lengths.tolist() == [0, 1]


def test_a_sequence_without_steps_may_have_real_targets() -> None:
    batch = SequenceBatch.every_step([np.zeros((0, 2)), np.ones((1, 2))], [np.zeros((0, 1)), np.ones((1, 1))])
    assert batch.targets.tolist() == [[[0.0], [1.0]]]


# -- reading it --------------------------------------------------------------------------------------------------------


@given(LENGTHS, st.data())
def test_select_takes_the_chosen_sequences_in_their_order_without_needless_padding(
    lengths: list[int], data: st.DataObject
) -> None:
    batch = batch_of(lengths)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    found = batch.select(torch.tensor(chosen, dtype=torch.int64))
    assert found.lengths.tolist() == [lengths[number] for number in chosen]
    assert found.inputs.shape == (max(found.lengths.tolist(), default=0), len(chosen), 2)
    for place, number in enumerate(chosen):
        steps = lengths[number]
        for mine, theirs in zip(parts(found), parts(batch), strict=True):
            if mine.dim() > 1:
                assert torch.equal(mine[:steps, place], theirs[:steps, number])


@given(LENGTHS, st.integers(0, 5), st.integers(0, 5))
def test_a_window_holds_its_steps_and_what_is_left_of_each_length(lengths: list[int], start: int, size: int) -> None:
    batch = batch_of(lengths)
    stop = min(start + size, max(lengths))
    start = min(start, stop)
    found = batch.window(start, stop)
    assert found.lengths.tolist() == [len(range(start, stop)[: max(length - start, 0)]) for length in lengths]
    assert torch.equal(found.inputs, batch.inputs[start:stop])
    assert torch.equal(found.targets, batch.targets[start:stop])
    assert torch.equal(found.target_mask, batch.target_mask[start:stop])


@given(LENGTHS, st.integers(1, 4))
def test_windows_make_up_the_whole(lengths: list[int], size: int) -> None:
    batch = batch_of(lengths)
    windows = [batch.window(start, start + size) for start in range(0, max(lengths), size)]
    if windows:  # the last may reach beyond the end
        assert torch.equal(torch.cat([window.inputs for window in windows]), batch.inputs)
        assert torch.equal(torch.cat([window.step_mask for window in windows]), batch.step_mask)
        assert torch.equal(torch.stack([window.lengths for window in windows]).sum(0), batch.lengths)


def test_another_type_or_device_leaves_classes_lengths_and_mask_alone() -> None:
    classes = batch_of([3, 1])
    single = classes.to(dtype=torch.float32)
    assert [part.dtype for part in parts(single)] == [torch.float32, torch.int64, torch.int64, torch.bool]
    assert equal(single.to("cpu", torch.float64), classes)
    real = SequenceBatch.last_step(ragged([3, 1]), [0.5, 0.25]).to(dtype=torch.float32)
    assert [part.dtype for part in parts(real)] == [torch.float32, torch.int64, torch.float32, torch.bool]
    assert equal(classes.to(), classes)


def test_weights_go_with_their_sequences() -> None:
    plain, weights = batch_of([3, 1, 2]), torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64)
    batch = dataclasses.replace(plain, sample_weight=weights)
    assert batch.tensors[:4] == parts(batch)
    assert equal(SequenceBatch(*batch.tensors), batch)
    assert plain.tensors == parts(plain)
    made = {
        "select": (batch.select(torch.tensor([2, 0])), [0.0, 0.5]),
        "slice": (batch.slice(1, 3), [2.0, 0.0]),
        "window": (batch.window(1, 2), [0.5, 2.0, 0.0]),
        "to": (batch.to(dtype=torch.float32), [0.5, 2.0, 0.0]),
    }
    for name, (part, expected) in made.items():
        assert part.sample_weight is not None, name
        assert part.sample_weight.tolist() == expected, name
    assert made["to"][0].tensors[4].dtype == torch.float32
    for part in (plain.select(torch.tensor([1])), plain.slice(0, 1), plain.window(0, 1), plain.to()):
        assert part.sample_weight is None


def test_a_batch_cannot_be_changed_by_mistake() -> None:
    with pytest.raises(AttributeError, match="cannot assign to field 'lengths'"):
        batch_of([1]).lengths = torch.tensor([0])  # type: ignore[misc]


# -- what is refused ---------------------------------------------------------------------------------------------------

GOOD: dict[str, Tensor] = {
    "inputs": torch.zeros(4, 3, 2),
    "lengths": torch.tensor([4, 0, 2]),
    "targets": torch.zeros(4, 3, 1),
    "target_mask": torch.zeros(4, 3, dtype=torch.bool),
}
LATE = GOOD["target_mask"].clone()
LATE[2, 2] = LATE[3, 1] = True
BAD: list[tuple[dict[str, Tensor], str]] = [
    ({"inputs": torch.zeros(4, 3)}, "inputs has shape (4, 3); expected (time, batch, features)"),
    ({"inputs": torch.zeros(4, 3, 2, 1)}, "inputs has shape (4, 3, 2, 1); expected (time, batch, features)"),
    *(
        ({"lengths": lengths}, f"lengths has shape {shape} and type {kind}; expected (3,) and torch.int64")
        for lengths, shape, kind in (
            (torch.tensor([4, 0]), "(2,)", "torch.int64"),
            (torch.tensor([[4, 0, 2]]), "(1, 3)", "torch.int64"),
            (torch.tensor(4), "()", "torch.int64"),
            (torch.tensor([4.0, 0.0, 2.0]), "(3,)", "torch.float32"),
            (torch.tensor([4, 0, 2], dtype=torch.int32), "(3,)", "torch.int32"),
        )
    ),
    *(
        ({"lengths": torch.tensor(lengths)}, f"lengths must lie in 0..4; got {lengths}")
        for lengths in ([4, 0, 5], [4, -1, 2])
    ),
    ({"sample_weight": torch.ones(2)}, "sample_weight is torch.float32 of shape (2,); expected floating point (3,)"),
    (
        {"sample_weight": torch.ones(3, 1)},
        "sample_weight is torch.float32 of shape (3, 1); expected floating point (3,)",
    ),
    (
        {"sample_weight": torch.ones(3, dtype=torch.int64)},
        "sample_weight is torch.int64 of shape (3,); expected floating point (3,)",
    ),
    ({"targets": torch.zeros(3, 3, 1)}, "targets has shape (3, 3, 1); expected it to begin (4, 3)"),
    ({"targets": torch.zeros(4)}, "targets has shape (4,); expected it to begin (4, 3)"),
    ({"target_mask": torch.zeros(4, 2, dtype=torch.bool)}, "target_mask has shape (4, 2); expected it to begin (4, 3)"),
    (
        {"target_mask": torch.zeros(4, 3)},
        "target_mask is torch.float32 of shape (4, 3); expected torch.bool of shape (4, 3)",
    ),
    (
        {"target_mask": torch.zeros(4, 3, 1, dtype=torch.bool)},
        "target_mask is torch.bool of shape (4, 3, 1); expected torch.bool of shape (4, 3)",
    ),
    ({"target_mask": LATE}, "target_mask asks for an answer at step 2 of sequence 2, which has 2 steps"),
]


@pytest.mark.parametrize(("changed", "message"), BAD, ids=[message for _, message in BAD])
def test_parts_that_do_not_fit_are_refused_in_one_sentence(changed: dict[str, Tensor], message: str) -> None:
    SequenceBatch(**GOOD)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        SequenceBatch(**{**GOOD, **changed})


MISFITS: list[tuple[Callable[..., SequenceBatch], Any, Any, str]] = [
    (SequenceBatch.last_step, [], [], "no sequences were given; expected at least one"),
    (SequenceBatch.every_step, [], [], "no sequences were given; expected at least one"),
    (SequenceBatch.last_step, ragged([3, 2]), [1.0], "2 sequences but 1 targets"),
    (SequenceBatch.last_step, ragged([3, 2]), [1, 2, 3], "2 sequences but 3 targets"),
    (SequenceBatch.last_step, ragged([3, 2]), 1.0, "2 sequences but no targets"),
    (SequenceBatch.every_step, ragged([3, 2]), [np.zeros(3)], "2 sequences but 1 targets"),
    (
        SequenceBatch.every_step,
        ragged([3, 2]),
        [np.zeros(3), np.zeros((3, 1))],
        "sequence 1 has 2 steps but targets of shape (3, 1)",
    ),
    (
        SequenceBatch.last_step,
        [np.zeros((3, 2)), np.zeros((3, 1))],
        [1, 2],
        "sequence 1 has shape (3, 1); expected (steps, 2)",
    ),
    (
        SequenceBatch.last_step,
        [np.zeros((3, 2)), np.zeros(2)],
        [1, 2],
        "sequence 1 has shape (2,); expected (steps, 2)",
    ),
    (
        SequenceBatch.every_step,
        [np.zeros((3, 2)), np.zeros((3, 2, 2))],
        [np.zeros(3), np.zeros(3)],
        "sequence 1 has shape (3, 2, 2); expected (steps, 2)",
    ),
]


@pytest.mark.parametrize(("make", "sequences", "targets", "message"), MISFITS)
def test_sequences_and_targets_that_do_not_fit_are_refused_in_one_sentence(
    make: Callable[..., SequenceBatch], sequences: Any, targets: Any, message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make(sequences, targets)


TWO = [torch.zeros(3, 2), torch.zeros(2, 2)]
UNSEEN: list[tuple[str, Callable[[], object]]] = [
    (
        "targets with 2 and with 1 values: the second is stretched to two",
        lambda: SequenceBatch.every_step(TWO, [torch.zeros(3, 2), torch.ones(2, 1)]),
    ),
    (
        "classes, then real values: 0.7 becomes class 0",
        lambda: SequenceBatch.every_step(TWO, [torch.tensor([1, 0, 1]), torch.tensor([0.5, 0.7])]),
    ),
    (
        "real values, then classes",
        lambda: SequenceBatch.every_step(TWO, [torch.tensor([1.0, 0.0, 1.0]), torch.tensor([5, 7])]),
    ),
    (
        "int32 classes, which no loss takes",
        lambda: SequenceBatch(**{**GOOD, "targets": torch.zeros(4, 3, dtype=torch.int32)}),
    ),
    ("targets that are true or false", lambda: SequenceBatch.last_step(TWO, torch.tensor([True, False]))),
    (
        "inputs that are whole numbers",
        lambda: SequenceBatch(**{**GOOD, "inputs": torch.zeros(4, 3, 2, dtype=torch.int64)}),
    ),
    (
        "real targets without a last axis, which outputs are stretched over",
        lambda: SequenceBatch(**{**GOOD, "targets": torch.zeros(4, 3)}),
    ),
    (
        "classes with a third axis",
        lambda: SequenceBatch(**{**GOOD, "targets": torch.zeros(4, 3, 1, dtype=torch.int64)}),
    ),
    ("a sequence that is a number", lambda: SequenceBatch.last_step([1.0], [1.0])),
    ("a sequence of text", lambda: SequenceBatch.last_step([[["a"]]], [1.0])),
    ("a sequence with rows of different length", lambda: SequenceBatch.last_step([[[1.0, 2.0], [3.0]]], [1.0])),
]


@pytest.mark.parametrize("make", [make for _, make in UNSEEN], ids=[name for name, _ in UNSEEN])
def test_what_could_only_be_guessed_at_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()
