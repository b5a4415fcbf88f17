"""The CPU kernels' bits: what may change a result (the numbers asked about) and what may not (everything else)."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from equivalence.compare import answers_and_gradients
from equivalence.engines import instructions, kernels
from equivalence.heap import Heap
from equivalence.specs import LayerCase
from longlag import LSTM, CellSpec
from longlag.ops.layer import State, Weights
from longlag.ops.paths import FULL, TRUNCATED

native_layer = pytest.importorskip(
    "longlag.ops.native_layer", reason="the compiled module was not built", exc_type=ImportError
)
_native = pytest.importorskip("longlag._native", exc_type=ImportError)

LANES = ("samples", "units")
CELLS = {
    "plain": CellSpec(),
    "rich": CellSpec(
        cells_per_block=3, peepholes=True, gate_recurrence=True, sharpness=1.5, conventional_units=2,
        input_squash="logistic_pm2", output_squash="identity",
    ),
}  # fmt: skip
every_way = pytest.mark.parametrize(
    ("name", "lanes", "dtype"),
    [
        pytest.param(name, lanes, dtype, id=f"{name}-{lanes}-{str(dtype).removeprefix('torch.')}")
        for name in _native.instruction_sets()
        for lanes in LANES
        for dtype in (torch.float32, torch.float64)
    ],
)


def long_call(cell: str, dtype: torch.dtype, *, samples: int = 150, steps: int = 19, ragged: bool = True) -> LayerCase:
    """Several tiles of samples, none of them but the first full, and sequences from nothing to all steps."""
    spec, random = CELLS[cell], torch.Generator().manual_seed(3)
    features, hidden, projection = 5, 21, 0 if cell == "plain" else 8

    def some(*shape: int, size: float = 1.0) -> Tensor:
        return size * torch.randn(*shape, generator=random, dtype=dtype)

    rows, width = spec.row_count(hidden), spec.output_size(hidden, projection)
    gates = spec.gate_size(hidden) if spec.gate_recurrence else 0
    weights = Weights(
        some(rows, features, size=0.3),
        some(rows, spec.source_size(hidden, projection), size=0.3),
        some(rows),
        some(len(spec.gates), hidden) if spec.peepholes else None,
        some(projection, hidden, size=0.3) if projection else None,
    )

    def state() -> State:
        return State(some(samples, width), some(samples, hidden), some(samples, gates))

    lengths = torch.randint(0, steps + 1, (samples,), generator=random) if ragged else None
    return LayerCase(
        spec, weights, some(steps, samples, features), state(), lengths, some(steps, samples, width), state()
    )


def results(call: LayerCase, lanes: str, every: int = 0, paths=FULL) -> list[Tensor]:
    engine = kernels(lanes, every)
    answers, gradients = answers_and_gradients(engine, call, paths)
    return [*answers, *gradients]


def same(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.costly
@pytest.mark.parametrize("cell", CELLS)
@every_way
def test_the_number_of_threads_changes_no_bit(name: str, lanes: str, dtype: torch.dtype, cell: str) -> None:
    # 150 * 19 samples' steps of more than 2000 weights are ten times what is worth a second thread (driver.cpp)
    call = long_call(cell, dtype)
    with instructions(name):
        for every in (0, 4):
            torch.set_num_threads(1)
            expected = results(call, lanes, every)
            for threads in (2, 3):
                torch.set_num_threads(threads)
                assert all(same(results(call, lanes, every), expected) for _ in range(3)), threads


@pytest.mark.parametrize("paths", [FULL, TRUNCATED], ids=["full", "truncated"])
@pytest.mark.parametrize("cell", CELLS)
@every_way
def test_where_the_checkpoints_stand_changes_no_bit(name, lanes, dtype, cell, paths) -> None:
    call = long_call(cell, dtype, samples=41)
    with instructions(name):
        expected = results(call, lanes, 0, paths)
        for every in (1, 2, 3, 7, 18, 19, 20, 1000):
            assert same(results(call, lanes, every, paths), expected), every


@pytest.mark.parametrize("lanes", LANES)
def test_checkpoints_that_the_engine_sets_by_itself_change_no_bit(lanes: str, monkeypatch) -> None:
    """It does so for long sequences of small nets, whose tape would take longer to write than to compute again."""
    call = long_call("plain", torch.float32, samples=300, steps=70)
    spaced = native_layer.checkpoint_interval(call.spec, lanes, call.inputs, call.state.cells.shape[1])
    found = results(call, lanes)
    monkeypatch.setattr(native_layer, "checkpoint_interval", lambda *_: 0 if spaced else 32)
    assert same(results(call, lanes), found)


# -- what stands beside the numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0, 4])
@pytest.mark.parametrize("cell", CELLS)
@every_way
def test_padding_is_not_read_and_not_written(name, lanes, dtype, cell, every) -> None:
    call = long_call(cell, dtype, samples=41)
    inside = (torch.arange(len(call.inputs))[:, None] < call.lengths)[:, :, None]
    with instructions(name):
        expected = results(call, lanes, every)
        assert all(bool(part.isfinite().all()) for part in expected)
        assert expected[0].masked_select(~inside).count_nonzero() == 0
        assert expected[4].masked_select(~inside).count_nonzero() == 0  # the gradient of the inputs
        spoilt = dataclasses.replace(
            call,
            inputs=call.inputs.masked_fill(~inside, torch.nan),
            d_outputs=call.d_outputs.masked_fill(~inside, torch.nan),
        )
        found = results(spoilt, lanes, every)
    assert same(found, expected)


@pytest.mark.parametrize("every", [None, 4])
@pytest.mark.parametrize("lanes", LANES)
def test_how_far_a_batch_is_padded_changes_no_bit(lanes: str, every: int | None) -> None:
    lstm = LSTM(3, 6, 2, bidirectional=True, backend=f"native-{lanes}", cell=CELLS["rich"], checkpoint_every=every)
    values, lengths = torch.randn(40, 37, 3), torch.randint(0, 10, (37,))
    answers = []
    for steps in (9, 10, 26, 40):
        given = values[:steps].clone()
        given[9:] = torch.nan
        given.requires_grad_()
        output, state = lstm(given, lengths=lengths)
        total = output[:9].square().sum() + sum(part.square().sum() for part in state)
        assert output[9:].count_nonzero() == 0
        gradient, *gradients = torch.autograd.grad(total, [given, *lstm.parameters()])
        assert gradient[9:].count_nonzero() == 0
        answers.append([output[:9], *state, gradient[:9], *gradients])
    assert all(same(answer, answers[0]) for answer in answers[1:])


@pytest.mark.parametrize("every", [0, 4])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", CELLS)
@every_way
def test_a_sequence_of_nan_spoils_its_own_answers_alone(name, lanes, dtype, cell, ragged, every) -> None:
    call = long_call(cell, dtype, samples=41, ragged=ragged)
    spoilt = dataclasses.replace(call, inputs=call.inputs.clone())
    spoilt.inputs[:, 17] = torch.nan
    others = [sample for sample in range(41) if sample != 17]
    with instructions(name):
        expected, found = (results(each, lanes, every) for each in (call, spoilt))
    by_step = (0, 4)  # outputs and the gradient of the inputs; then states and their gradients
    for number in (0, 1, 2, 3, 4, 5, 6, 7):
        pick = (slice(None), others) if number in by_step else (others,)
        assert torch.equal(found[number][pick], expected[number][pick]), number


# -- memory --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [0, 4])
@pytest.mark.parametrize("cell", CELLS)
@every_way
def test_nothing_is_read_that_nobody_wrote(name, lanes, dtype, cell, every, monkeypatch) -> None:
    """torch.empty is full of NaN in every test (conftest); here the kernels' own memory is as well, which they take
    from the C library and keep for their next call."""
    call, heap = long_call(cell, dtype, samples=41), Heap()
    with instructions(name):
        expected = results(call, lanes, every)
        assert all(bool(part.isfinite().all()) for part in expected)
        for nan in (call.of_nan(), long_call(cell, dtype, samples=64, ragged=False).of_nan()):
            results(nan, lanes, every)
            assert same(results(call, lanes, every), expected)
        with heap.free_memory_is_nan():
            assert same(results(call, lanes, every), expected)
        for byte in (0x7F, 0xFE):  # 3e38 and -2e38, or 1e306 and -5e303
            with heap.fresh_memory_is(byte):
                assert same(results(call, lanes, every), expected)
        monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
        assert same(results(call, lanes, every), expected)


# -- strides -------------------------------------------------------------------------------------------------------


def wide_apart(values: Tensor) -> Tensor:
    """The same numbers, each in the second of two places."""
    return torch.stack([torch.full_like(values, torch.nan), values], dim=-1)[..., 1]


def samples_first(values: Tensor) -> Tensor:
    return values.transpose(0, 1).contiguous().transpose(0, 1)


def features_first(values: Tensor) -> Tensor:
    return values.permute(2, 0, 1).contiguous().permute(1, 2, 0)


@pytest.mark.parametrize("arranged", [samples_first, features_first, wide_apart])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("cell", CELLS)
@every_way
def test_where_the_numbers_stand_in_memory_changes_no_bit(name, lanes, dtype, cell, ragged, arranged) -> None:
    call = long_call(cell, dtype, samples=41, ragged=ragged)
    moved = dataclasses.replace(
        call,
        weights=Weights(*(None if weight is None else wide_apart(weight) for weight in call.weights)),
        inputs=arranged(call.inputs),
        state=State(*(wide_apart(part) for part in call.state)),
        lengths=None if call.lengths is None else torch.stack([call.lengths + 1, call.lengths], dim=-1)[:, 1],
        d_outputs=arranged(call.d_outputs),
        d_state=State(*(wide_apart(part) for part in call.d_state)),
    )
    assert not moved.inputs.is_contiguous()
    with instructions(name):
        expected = results(call, lanes, 4)
        assert same(without_a_copy(moved, lanes, 4), expected)
        assert same(without_a_copy(moved, lanes, 0), expected)


def without_a_copy(call: LayerCase, lanes: str, every: int) -> list[Tensor]:
    """``results``, for tensors in the places they came in: the error as well goes to the engine as it is."""
    leaves = [leaf.requires_grad_() for leaf in call.leaves()]
    outputs, final = kernels(lanes, every)(call.along(FULL))
    found = torch.autograd.grad((outputs, *final), leaves, (call.d_outputs, *call.d_state))
    for leaf in leaves:
        leaf.requires_grad_(False)
    return [outputs, *final, *found]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lanes", LANES)
def test_one_number_that_stands_for_many_is_read_as_many(lanes: str, batch_first: bool) -> None:
    """Samples that are views of one, and the gradient of a sum, whose numbers all are one."""
    lstm = LSTM(3, 6, backend=f"native-{lanes}", batch_first=batch_first)
    one = torch.randn(9, 1, 3)
    given = one.expand(9, 20, 3).transpose(0, 1) if batch_first else one.expand(9, 20, 3)
    answers = []
    for values, read in ((given, lambda at: at.sum()), (given.contiguous(), lambda at: (at * torch.ones(1)).sum())):
        output, state = lstm(values)
        total = read(output) + sum(read(part) for part in state)
        answers.append([output, *state, *torch.autograd.grad(total, list(lstm.parameters()))])
    assert same(*answers)
