"""Sequences to learn from: every answer is the one of a plain loop, and nothing from the held-out part is in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from longlag.forecasting.examples import CONTEXT, WHOLE, Seen, pasts, training_examples, upside_down
from longlag.forecasting.features import PLAIN, Design
from longlag.forecasting.units import Unit

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
DESIGN = Design(3, (4,), 2, 4)
H = DESIGN.horizon


def seen_of(values: Array, design: Design = DESIGN) -> Seen:
    return Seen.of(values, Unit.of(values, design.season), design)


def series(steps: int, *missing: int) -> Array:
    values = np.random.default_rng(steps).normal(size=steps)
    values[list(missing)] = np.nan
    return values


@pytest.mark.parametrize(("first", "last"), [(0, 30), (0, 24), (20, 30), (5, 6)])
def test_answers_are_the_next_values_less_the_simple_forecast(first: int, last: int) -> None:
    values = series(30, 7, 8, 22)
    seen = seen_of(values)
    batch = training_examples([seen], [first], [last], torch.float64)
    assert batch.inputs.shape[:2] == (last, 2)  # as it is, and upside down
    for step in range(last):
        answered = False
        for ahead in range(1, H + 1):
            there = step + ahead < last and not np.isnan(values[step + ahead])
            target, mark = float(batch.targets[step, 0, ahead - 1]), float(batch.targets[step, 0, H + ahead - 1])
            assert mark == there
            if there:
                # The same step of the last season, which may be the last value before a gap.
                source = step + ahead - 4
                past = values[: (source if source >= 0 else step) + 1]
                base = past[np.isfinite(past)][-1]
                assert target == pytest.approx((values[step + ahead] - base) / seen.unit.scale)
            else:
                assert target == 0.0
            answered |= there
        assert bool(batch.target_mask[step, 0]) == (answered and step >= first)


def test_a_series_that_is_read_whole_comes_upside_down_too() -> None:
    batch = training_examples([seen_of(series(30))], [0], [30], torch.float64)
    assert torch.equal(batch.inputs[:, 1], upside_down(batch.inputs[:, 0], PLAIN))
    assert torch.equal(batch.targets[:, 1, :H], -batch.targets[:, 0, :H])
    assert torch.equal(batch.targets[:, 1, H:], batch.targets[:, 0, H:])
    assert torch.equal(batch.target_mask[:, 1], batch.target_mask[:, 0])


def test_upside_down_turns_all_but_the_plain_columns_and_twice_is_as_before() -> None:
    inputs = torch.from_numpy(RNG.normal(size=(5, 2, 9)))
    for plain in (PLAIN, PLAIN + 2):
        turned = upside_down(inputs, plain)
        assert torch.equal(turned[..., :-plain], -inputs[..., :-plain])
        assert torch.equal(turned[..., -plain:], inputs[..., -plain:])
        assert torch.equal(upside_down(turned, plain), inputs)


@pytest.mark.parametrize("last", [WHOLE - 12, WHOLE + 88])
def test_values_from_the_last_step_on_are_never_read(last: int) -> None:
    values = series(WHOLE + 100)
    unit = Unit.of(values, 4)
    other = values.copy()
    other[last:] = 1e6
    batches = [training_examples([Seen.of(each, unit, DESIGN)], [0], [last], torch.float64) for each in (values, other)]
    for name in ("inputs", "lengths", "targets", "target_mask"):
        assert torch.equal(getattr(batches[0], name), getattr(batches[1], name))


@pytest.mark.parametrize("steps", [WHOLE + 1, 1000, 5003])
@pytest.mark.parametrize("first", [0, 400])
def test_windows_answer_at_every_step_of_a_long_series(steps: int, first: int) -> None:
    seen = seen_of(np.arange(float(steps)) ** 1.1)
    batch = training_examples([seen], [first], [steps], torch.float64)
    # Each input is told by its age, log(1 + t) / 5.
    at = torch.round(torch.expm1(5.0 * batch.inputs[..., -PLAIN])).long()
    answered = at[batch.target_mask]
    assert sorted({*answered.tolist()}) == list(range(first, steps - 1))
    assert batch.inputs.shape[0] <= CONTEXT
    assert (batch.targets[..., H:].sum(-1)[batch.target_mask] > 0).all()


def test_series_of_different_length_keep_their_own_answers() -> None:
    both = [seen_of(series(20)), seen_of(series(9))]
    together = training_examples(both, [0, 0], [20, 9], torch.float64)
    for number, one in enumerate(both):
        alone = training_examples([one], [0], [len(one)], torch.float64)
        for name in ("inputs", "targets"):
            part = getattr(together, name)[: len(one), 2 * number]
            assert torch.equal(part, getattr(alone, name)[:, 0])
        assert not together.target_mask[len(one) :, 2 * number].any()


def test_nothing_is_asked_before_a_series_begins() -> None:
    batch = training_examples([seen_of(series(30, *range(10)))], [0], [30], torch.float64)
    assert not batch.target_mask[:10].any()
    assert batch.target_mask[10:-1].all()


@pytest.mark.parametrize("origin", [1, 40, WHOLE, WHOLE + 50])
def test_what_is_read_before_an_origin_is_its_past(origin: int) -> None:
    values = series(WHOLE + 60)
    seen = seen_of(values)
    inputs, lengths = pasts([seen, seen], [origin, 7], torch.float64)
    length = origin if origin <= WHOLE else CONTEXT
    assert lengths.tolist() == [length, 7]
    assert np.array_equal(inputs[:length, 0].numpy(), seen.inputs[origin - length : origin])
    assert np.array_equal(inputs[:7, 1].numpy(), seen.inputs[:7])
