"""Mini-batches: what is forgotten between two of them, what is kept, and how they grow."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from longlag.errors import DivergenceError, InputError
from longlag.optim import (
    BoundObjective,
    Budget,
    HessianFreeMethod,
    LBFGSMethod,
    LevenbergMarquardtMethod,
    Record,
    Tolerances,
    growing,
    index_batches,
    minimise,
    minimise_batches,
)
from longlag.optim.minimise import State
from optim.problems import LeastSquares, Matrix, exponential_fit, generator

START = torch.tensor([1.0, 0.3, 0.0], dtype=torch.float64)
NEVER = Tolerances(0.0, 0.0)


class Fit:
    """An objective on the rows of one fit. Samples are row indices."""

    def __init__(self) -> None:
        self.curved: list[int] = []

    def on(self, rows: Tensor) -> LeastSquares:
        return LeastSquares(lambda theta: exponential_fit(0)(theta)[rows] / math.sqrt(len(rows)))

    def value(self, theta: Tensor, samples: Tensor) -> float:
        return self.on(samples).value(theta)

    def value_and_gradient(self, theta: Tensor, samples: Tensor) -> tuple[float, Tensor]:
        return self.on(samples).value_and_gradient(theta)

    def curvature_product(self, theta: Tensor, v: Tensor, samples: Tensor) -> Tensor:
        return self.curvature(theta, samples) @ v

    def curvature(self, theta: Tensor, samples: Tensor) -> Matrix:
        self.curved.append(len(samples))
        return self.on(samples).curvature(theta)


ALL = torch.arange(40)
HALVES = [ALL[::2], ALL[1::2]]


def test_one_batch_is_plain_minimisation() -> None:
    one = minimise_batches(LBFGSMethod(), Fit(), START, [ALL], inner_iterations=9, tolerances=NEVER)
    plain = minimise(LBFGSMethod(), BoundObjective(Fit(), ALL), START, max_iterations=9, tolerances=NEVER)
    assert torch.equal(one.theta, plain.theta)
    assert one.history == plain.history
    assert one.reason == "all 1 batches were used"


def test_lbfgs_begins_anew_on_each_batch() -> None:
    result = minimise_batches(LBFGSMethod(), Fit(), START, HALVES, inner_iterations=4, tolerances=NEVER)
    theta = START
    for half in HALVES:
        theta = minimise(LBFGSMethod(), BoundObjective(Fit(), half), theta, max_iterations=4, tolerances=NEVER).theta
    assert torch.equal(result.theta, theta)
    assert [record.iteration for record in result.history] == list(range(1, 9))


@pytest.mark.parametrize("method", [HessianFreeMethod(damping=0.5), LevenbergMarquardtMethod()])
def test_damping_is_kept_from_batch_to_batch(method: HessianFreeMethod | LevenbergMarquardtMethod) -> None:
    after: list[float] = []

    def callback(record: Record, state: State) -> bool:
        assert record.damping is not None
        if after:
            assert record.damping == after[-1]
        after.append(state.damping)  # type: ignore[attr-defined]
        return False

    minimise_batches(method, Fit(), START, HALVES * 3, inner_iterations=1, tolerances=NEVER, callback=callback)  # type: ignore[misc]
    assert len(after) == 6
    assert len(set(after)) > 1


@pytest.mark.parametrize("method", [HessianFreeMethod(), LevenbergMarquardtMethod()])
@pytest.mark.parametrize("inner", [1, 3])
def test_no_gradient_is_taken_where_no_step_follows(
    method: HessianFreeMethod | LevenbergMarquardtMethod, inner: int
) -> None:
    result = minimise_batches(method, Fit(), START, HALVES * 2, inner_iterations=inner, tolerances=NEVER)  # type: ignore[misc]
    moves = [record for record in result.history if record.step]
    assert len(moves) == 4 * inner
    assert result.evaluations.gradients <= 4 * inner + (isinstance(method, LevenbergMarquardtMethod) and 4 * inner)
    assert [math.isnan(record.gradient_norm) for record in moves] == ([False] * (inner - 1) + [True]) * 4


def test_hessian_free_keeps_its_warm_start_and_evaluates_on_the_new_samples() -> None:
    method = HessianFreeMethod()
    one, two = BoundObjective(Fit(), HALVES[0]), BoundObjective(Fit(), HALVES[1])
    state = method.start(one, START)
    method.step(one, state)
    new = method.restart(two, state)
    assert new.warm is state.warm
    assert new.value == two.value(state.theta) != state.value
    assert new.gradient is not None
    assert torch.equal(new.gradient, two.value_and_gradient(state.theta)[1])


def test_curvature_may_be_taken_on_fewer_samples() -> None:
    objective = Fit()
    minimise_batches(
        HessianFreeMethod(), objective, START, [ALL] * 3, inner_iterations=1, curvature_batch=lambda rows: rows[:10]
    )
    assert objective.curved == [10, 10, 10]


@pytest.mark.costly
def test_growing_mini_batches_reach_the_minimum_of_them_all() -> None:
    sizes = itertools.islice(growing(10, 1.5, 40), 40)
    batches = index_batches(40, sizes, generator(0))
    found = minimise_batches(
        HessianFreeMethod(damping=0.01), Fit(), START, batches, inner_iterations=1, tolerances=NEVER
    )
    best = minimise(HessianFreeMethod(), BoundObjective(Fit(), ALL), START, tolerances=Tolerances(1e-8, 0))
    assert best.status == "converged"
    torch.testing.assert_close(found.theta, best.theta, rtol=0, atol=1e-4)


@pytest.mark.parametrize("limit", range(12))
def test_a_budget_holds_across_batches(limit: int) -> None:
    result = minimise_batches(
        LBFGSMethod(), Fit(), START, HALVES * 4, inner_iterations=2, budget=Budget(limit), tolerances=NEVER
    )
    assert result.evaluations.total == limit
    assert result.status == "budget"
    assert result.theta.isfinite().all()


def test_the_callback_stops_it_within_a_batch() -> None:
    result = minimise_batches(
        LBFGSMethod(),
        Fit(),
        START,
        HALVES,
        inner_iterations=5,
        tolerances=NEVER,
        callback=lambda record, _: record.iteration == 3,
    )
    assert (result.status, len(result.history)) == ("stopped", 3)


def test_a_batch_on_which_theta_is_not_finite_stops_it_where_it_was() -> None:
    class Spoiled(Fit):
        def on(self, rows: Tensor) -> LeastSquares:
            return LeastSquares(lambda theta: exponential_fit(0)(theta)[rows] * (math.nan if len(rows) < 20 else 1))

    result = minimise_batches(LBFGSMethod(), Spoiled(), START, [ALL, ALL[:5]], inner_iterations=2, tolerances=NEVER)
    assert result.status == "stalled"
    assert result.reason.startswith("batch 2: the loss is not finite")
    assert result.value == Spoiled().value(result.theta, ALL)
    with pytest.raises(DivergenceError):
        minimise_batches(LBFGSMethod(), Spoiled(), START, [ALL[:5]])


@given(st.integers(1, 30), st.floats(1, 3), st.integers(30, 60))
def test_batches_grow_to_all_samples_and_no_further(first: int, growth: float, count: int) -> None:
    sizes = list(itertools.islice(growing(first, growth, count), 50))
    assert sizes[0] == first
    assert sizes == sorted(sizes)
    assert max(sizes) <= count
    for k, size in enumerate(sizes[:5]):
        assert size == pytest.approx(min(first * growth**k, count), abs=1)


@given(st.lists(st.integers(1, 17), max_size=20), st.integers(0, 5))
def test_no_sample_is_twice_in_a_batch_and_each_has_its_turn(sizes: list[int], seed: int) -> None:
    batches = list(index_batches(17, sizes, generator(seed)))
    assert [len(batch) for batch in batches] == sizes
    for batch in batches:
        assert len(set(batch.tolist())) == len(batch)
        assert 0 <= int(batch.min()) <= int(batch.max()) < 17
    again = list(index_batches(17, sizes, generator(seed)))
    assert all(torch.equal(one, other) for one, other in zip(batches, again, strict=True))
    turn = torch.cat(list(index_batches(17, [5, 5, 7], generator(seed))))
    assert sorted(turn.tolist()) == list(range(17))


def test_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match="there is no batch; expected at least one"):
        minimise_batches(LBFGSMethod(), Fit(), START, [])
    with pytest.raises(InputError, match="inner_iterations is 0; expected a whole number of at least 1"):
        minimise_batches(LBFGSMethod(), Fit(), START, [ALL], inner_iterations=0)
    with pytest.raises(InputError, match="growing: first is 41; expected from 1 to the 40 samples"):
        growing(41, 2.0, 40)
    with pytest.raises(InputError, match=r"growing: growth is 0\.5; expected a finite number, at least 1"):
        growing(4, 0.5, 40)
    with pytest.raises(InputError, match="index_batches: a size is 41; expected from 1 to the 40 samples"):
        list(index_batches(40, [41], generator(0)))
