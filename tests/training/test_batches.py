"""The plan of batches: each sequence once, similar lengths together, from the seed and the epoch alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longlag.training.batches import epoch_seed, plan

LENGTHS = st.lists(st.integers(0, 9), max_size=20).map(lambda lengths: torch.tensor(lengths, dtype=torch.int64))


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return [batch.tolist() for batch in one] == [batch.tolist() for batch in other]


def padding(lengths: Tensor, batches: list[Tensor]) -> int:
    return sum(int((lengths[batch].max() - lengths[batch]).sum()) for batch in batches)


@given(LENGTHS, st.integers(1, 8), st.booleans(), st.integers(-5, 5), st.integers(0, 5))
def test_every_sequence_is_used_exactly_once(lengths: Tensor, size: int, bucket: bool, seed: int, epoch: int) -> None:
    batches = plan(lengths, size, bucket=bucket, seed=seed, epoch=epoch)
    used = [number for batch in batches for number in batch.tolist()]
    assert sorted(used) == list(range(len(lengths)))
    full, rest = divmod(len(lengths), size)
    # no sequences: torch splits nothing into one empty part; training refuses such data before
    assert sorted(map(len, batches)) == ([rest] if rest or not full else []) + [size] * full


@given(LENGTHS, st.integers(1, 8), st.integers(0, 5))
def test_buckets_do_not_overlap(lengths: Tensor, size: int, seed: int) -> None:
    ranges = [lengths[batch].tolist() for batch in plan(lengths, size, bucket=True, seed=seed, epoch=0) if len(batch)]
    ranges.sort(key=lambda found: (min(found), max(found)))
    assert all(max(one) <= min(other) for one, other in pairwise(ranges))


def test_buckets_need_far_less_padding() -> None:
    lengths = torch.randint(1, 100, (200,))
    plain, bucketed = (plan(lengths, 16, bucket=bucket, seed=0, epoch=0) for bucket in (False, True))
    assert padding(lengths, bucketed) < 0.2 * padding(lengths, plain)


@pytest.mark.parametrize("bucket", [True, False])
def test_the_order_depends_on_the_seed_and_the_epoch_and_on_nothing_else(bucket: bool) -> None:
    lengths = torch.randint(1, 5, (60,))
    first = plan(lengths, 7, bucket=bucket, seed=3, epoch=4)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same(first, plan(lengths, 7, bucket=bucket, seed=3, epoch=4))
    assert torch.equal(torch.get_rng_state(), before)
    others = [
        plan(lengths, 7, bucket=bucket, seed=seed, epoch=epoch) for seed, epoch in ((3, 5), (4, 4), (4, 3), (0, 4))
    ]
    assert not any(same(first, other) for other in others)


def test_sequences_of_equal_length_meet_others_in_every_epoch() -> None:
    lengths = torch.full((40,), 5)
    company = [
        {frozenset(batch.tolist()) for batch in plan(lengths, 4, bucket=True, seed=0, epoch=epoch)} for epoch in (0, 1)
    ]
    assert company[0].isdisjoint(company[1])


def test_long_and_short_batches_come_in_random_order() -> None:
    lengths = torch.arange(40)
    orders = [[int(lengths[b].min()) for b in plan(lengths, 4, bucket=True, seed=0, epoch=e)] for e in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert all(order != sorted(order) and sorted(order) == list(range(0, 40, 4)) for order in orders)


def test_every_epoch_of_every_run_has_a_seed_of_its_own_that_torch_takes() -> None:
    seeds = [epoch_seed(seed, epoch) for seed in (*range(-20, 80), 2**32, 2**63) for epoch in range(100)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    ones = sum(seed.bit_count() for seed in seeds) / len(seeds) / 63
    assert 0.49 < ones < 0.51  # neighbours share no pattern: half of all bits are set
