"""One tree of sums, whoever adds its branches; one ledger, in which every chunk is counted once."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longlag.distributed.ledger import Ledger
from longlag.distributed.sums import Sums, add, split_point
from property_examples import examples


def plain(leaves):
    """The tree, said once more: a power of two to the left, the rest to the right."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return add(plain(leaves[:left]), plain(leaves[left:]))


def leaves(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scale = 10.0 ** torch.randint(-4, 5, (count,), generator=generator)
    return [Sums(1, float(number), number[None]) for number in torch.randn(count, generator=generator) * scale]


@examples(300)
@given(count=st.integers(1, 70), seed=st.integers(0, 2**32))
def test_leases_of_any_size_in_any_order_add_up_to_the_bits_of_the_plain_tree(count, seed):
    chance, own = random.Random(seed), leaves(count, seed % 11)
    ledger, held = Ledger([None] * count), []
    while not ledger.finished:
        lease = ledger.lease(f"worker {chance.randrange(3)}", 0.0, 1.0, chance.choice([1, 1, 2, 5, 64]))
        if lease is not None:
            held.append(lease)
        if held and (lease is None or chance.random() < 0.5):
            done = held.pop(chance.randrange(len(held)))
            assert ledger.enter_answer(done, plain(own[done.start : done.stop]))
            assert not ledger.enter_answer(done, plain(own[done.start : done.stop]))  # a second time it changes nothing
    total, expected = ledger.total(), plain(own)
    assert (total.count, total.value) == (count, expected.value)
    assert torch.equal(total.vector, expected.vector)


@pytest.mark.parametrize(("start", "stop", "middle"), [(0, 2, 1), (0, 3, 2), (0, 64, 32), (0, 65, 64), (8, 11, 10)])
def test_a_branch_is_cut_at_the_largest_power_of_two(start, stop, middle):
    assert split_point(start, stop) == middle


def test_a_part_that_one_answer_lacks_the_sum_lacks():
    assert add(Sums(1, 2.0, torch.ones(2), torch.ones(2, 2)), Sums(2, 3.0, torch.ones(2))).matrix is None


def test_each_worker_is_given_its_own_chunks_first_and_then_those_of_who_has_most():
    ledger = Ledger(["a", "b", "b", "b", None, "a"])
    taken = [ledger.lease("a", 0.0, 1.0).start for _ in range(6)]
    assert taken == [0, 5, 4, 3, 2, 1]
    assert ledger.lease("a", 0.0, 1.0) is None


def test_an_expired_lease_goes_to_another_and_the_first_answer_counts():
    ledger, (leaf,) = Ledger([None]), leaves(1)
    first = ledger.lease("a", 0.0, 1.0)
    ledger.expire(0.5)
    assert ledger.lease("b", 0.5, 2.0) is None
    ledger.expire(1.5)
    second = ledger.lease("b", 1.5, 3.0)
    assert ledger.enter_answer(first, leaf)
    assert ledger.answered_by == ["a"]
    assert not ledger.enter_answer(second, leaf)
    assert ledger.finished


def test_what_a_lost_worker_held_is_pending_again_but_for_what_another_holds():
    ledger = Ledger([None] * 4)
    held = ledger.lease("a", 0.0, 9.0, 4)
    ledger.copy(held, "b", 0.0, 9.0)
    ledger.worker_lost("a")
    assert ledger.pending == 0
    ledger.worker_lost("b")
    assert ledger.pending == 4
