"""Answers: the weighted mean of networks and simple methods, from the past alone, and beyond the learned horizon."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from longlag.forecasting.answers import LSTM, answers_at, extended, network_quantiles
from longlag.forecasting.examples import WHOLE, Seen
from longlag.forecasting.features import Design
from longlag.forecasting.intervals import QUANTILES
from longlag.forecasting.rolling import simple_forecast
from longlag.forecasting.view import SeriesData, View
from longlag.nn import LSTM as Cells
from longlag.nn import Network

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
DESIGN = Design(4, (3,), 4, 3)
Q = len(QUANTILES)


def networks(count: int, design: Design = DESIGN) -> list[Network]:
    torch.manual_seed(1)
    return [
        Network(Cells(design.width, 3), design.horizon * Q, reads="cells+inputs").double().eval() for _ in range(count)
    ]


def seen_of(*lengths: int) -> tuple[list[SeriesData], list[View], list[Seen]]:
    data = [SeriesData.of(np.random.default_rng(length).normal(size=length)) for length in lengths]
    views = [View.of(one, DESIGN.season) for one in data]
    return data, views, [view.seen(one, DESIGN) for view, one in zip(views, data, strict=True)]


def test_quantiles_are_in_order_and_the_mean_over_the_networks() -> None:
    _, _, seen = seen_of(30, 17)
    members = networks(3)
    together = network_quantiles(members, seen, [30, 12], DESIGN)
    assert together.shape == (2, 4, Q)
    assert (np.diff(together, axis=-1) >= 0).all()
    alone = [network_quantiles([member], seen, [30, 12], DESIGN) for member in members]
    assert together == pytest.approx(np.mean(alone, axis=0))


def test_a_series_turned_upside_down_has_its_quantiles_turned() -> None:
    _, _, (seen,) = seen_of(40)
    turned = Seen.of(-seen.series, View.of(SeriesData.of(-seen.series), 3).unit, DESIGN)
    one, other = (network_quantiles(networks(2), [each], [33], DESIGN)[0] for each in (seen, turned))
    assert other * turned.unit.scale == pytest.approx(-one[:, ::-1])


@pytest.mark.parametrize("length", [60, WHOLE + 60])
def test_an_answer_reads_nothing_from_its_origin_on_and_is_the_same_in_company(length: int) -> None:
    data, views, seen = seen_of(length, 25)
    weights, origin = {LSTM: 0.5, "drift": 0.3, "Theta": 0.2}, length - 20
    changed = data[0].values.copy()
    changed[origin:] = 1e3
    other = views[0].seen(SeriesData.of(changed), DESIGN)
    members = networks(1)
    alone = answers_at(members, weights, views[:1], data[:1], [other], [origin], DESIGN)
    both = answers_at(members, weights, views, data, seen, [origin, 9], DESIGN)
    assert alone.centre[0] == pytest.approx(both.centre[0], rel=1e-12)
    assert alone.quantiles[0] == pytest.approx(both.quantiles[0], rel=1e-12)


def test_the_centre_is_the_weighted_mean_of_the_methods_and_the_quantiles_stand_about_it() -> None:
    data, views, seen = seen_of(30, 22)
    weights = {LSTM: 0.25, "drift": 0.75}
    members = networks(2)
    answers = answers_at(members, weights, views, data, seen, [30, 15], DESIGN, also=["last value"])
    assert set(answers.methods) == {LSTM, "drift", "last value"}
    expected = 0.25 * answers.methods[LSTM] + 0.75 * answers.methods["drift"]
    assert answers.centre == pytest.approx(expected)
    assert answers.quantiles[..., Q // 2] == pytest.approx(expected)
    widths = np.diff(answers.quantiles, axis=-1)
    assert widths == pytest.approx(np.diff(network_quantiles(members, seen, [30, 15], DESIGN), axis=-1))
    for number, origin in enumerate((30, 15)):
        past = data[number].values[:origin]
        for name in ("drift", "last value"):
            assert np.array_equal(
                answers.methods[name][number], simple_forecast(name, past, views[number].unit, DESIGN)
            )


# -- beyond the learned horizon ----------------------------------------------------------------------------------------


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one() -> None:
    for shape in ((2, 5), (2, 5, Q)):
        paths = np.sort(RNG.normal(size=shape), axis=-1)
        for design in (Design(5, (1,), 2, 1), Design(5, (3,), 2, 1), Design(5, (2, 9), 2, 1)):
            longest = extended(paths, 40, design)
            assert longest.shape == (2, 40, *shape[2:])
            for horizon in (1, 4, 5, 6, 13):
                assert np.array_equal(extended(paths, horizon, design), longest[:, :horizon])
            assert np.array_equal(longest[:, :5], paths)


@pytest.mark.parametrize(("horizon", "seasons", "whole"), [(7, (3,), 6), (12, (12,), 12), (5, (12,), 1), (4, (1,), 1)])
def test_beyond_what_was_learned_the_last_whole_seasons_go_on(
    horizon: int, seasons: tuple[int, ...], whole: int
) -> None:
    path = RNG.normal(size=(1, horizon))
    longer = extended(path, 50, Design(horizon, seasons, 2, 1))[0]
    for ahead in range(horizon, 50):
        assert longer[ahead] == longer[ahead - whole]


@pytest.mark.parametrize("seasons", [(1,), (3,)])
def test_intervals_beyond_what_was_learned_go_on_growing_as_the_root_of_the_steps(seasons: tuple[int, ...]) -> None:
    walk = np.arange(Q) - Q // 2
    spread = np.sqrt(np.arange(1, 25))[:, None] * walk  # of a random walk
    longer = extended(spread[None, :6], 24, Design(6, seasons, 2, 1))[0]
    assert longer == pytest.approx(spread)
