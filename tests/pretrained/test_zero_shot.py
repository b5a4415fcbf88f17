"""Zero-shot forecasts: what they may depend on, and series of every kind."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longlag.errors import InputError
from longlag.pretrained import zero_shot as module
from longlag.pretrained.levels import LEVELS, MIDDLE
from longlag.pretrained.weights import packaged_weights
from longlag.pretrained.zero_shot import SEEN, ZeroShotModel, batches, network_of, packaged_model, zero_shot
from pretrained.models import in_float64, kinds, seasonal
from property_examples import examples

Array = NDArray[np.float64]
KINDS = kinds()


@functools.cache
def model(scale: str = "values") -> ZeroShotModel:
    return ZeroShotModel(network_of(packaged_weights()), scale)  # type: ignore[arg-type]


# -- what a forecast may depend on -------------------------------------------------------------------------------------


@given(
    name=st.sampled_from([name for name in KINDS if name != "high"]),
    logarithm=st.floats(-8, 8),
    shift=st.floats(-1e3, 1e3),
    season=st.sampled_from([(1, 1), (4, 4), (12, 12), (4, 24)]),
)
@examples(60)
def test_a_forecast_follows_the_unit_and_the_origin_of_a_series(
    name: str, logarithm: float, shift: float, season: tuple[int, int]
) -> None:
    """The oracle is the series in another unit, in float64. No floor of 0: one series is sure to be negative."""
    values, scale = KINDS[name], 10.0**logarithm
    size = float(np.nanmax(np.abs(values)))
    low = values - 2 * size  # below 0 whatever the shift
    once = in_float64().quantiles([low], 30, season)
    again = in_float64().quantiles([scale * (low + min(shift, 0) * size)], 30, season)
    expected = scale * (once + min(shift, 0) * size)
    usual = float(np.nanmax(np.abs(np.diff(values[np.isfinite(values)])), initial=0.0))
    assert again == pytest.approx(expected, rel=1e-9, abs=1e-6 * scale * usual)


@pytest.mark.parametrize("name", KINDS)
def test_powers_of_two_change_no_digit(name: str) -> None:
    for exponent in (-900, -3, 900):
        scaled = zero_shot([np.ldexp(KINDS[name], exponent)], 8, (12, 12))
        assert np.array_equal(scaled, np.ldexp(zero_shot([KINDS[name]], 8, (12, 12)), exponent))


def test_a_series_is_forecast_as_if_it_were_alone() -> None:
    """Beside others of other lengths, seasons and sizes, in batches of every cut."""
    series = [values * 10.0**number for number, values in enumerate(KINDS.values())]
    seasons = [((1, 1), (12, 12), (4, 12))[number % 3] for number in range(len(series))]
    together = zero_shot(series, 9, seasons)
    for number, (one, its) in enumerate(zip(series, seasons, strict=True)):
        (alone,) = zero_shot([one], 9, its)
        assert together[number] == pytest.approx(alone, rel=1e-5, abs=1e-5 * float(np.nanmax(np.abs(one))))


def test_series_are_cut_into_batches_of_bounded_memory_and_each_stands_in_one() -> None:
    rng = np.random.default_rng(0)
    lengths = [*rng.integers(1, 1100, 3000).tolist(), 20_000, 20_000]
    seasons = [((1, 1), (12, 12))[number % 2] for number in range(len(lengths))]
    found = list(batches(lengths, seasons, 48))
    assert sorted(number for batch in found for number in batch) == list(range(len(lengths)))
    for batch in found:
        assert len({seasons[number] for number in batch}) == 1
        cells = len(batch) * max(lengths[number] for number in batch)
        assert len(batch) == 1 or (cells <= 2**16 and len(batch) * 48 <= 2**14)
    padding = sum(len(batch) * max(lengths[number] for number in batch) for batch in found) / sum(lengths)
    assert padding < 1.1


def test_values_long_ago_are_not_read_but_two_outer_seasons_are() -> None:
    long = seasonal(SEEN + 500)
    changed = long.copy()
    changed[: len(long) - SEEN] = -1e6
    assert np.array_equal(zero_shot([long - 1e3], 5, (12, 12)), zero_shot([changed - 1e3], 5, (12, 12)))
    assert not np.array_equal(zero_shot([long - 1e3], 5, (12, 800)), zero_shot([changed - 1e3], 5, (12, 800)))


def test_a_missing_value_is_not_one_of_the_values() -> None:
    """Gaps widen the intervals of what comes next, and what stands in them (there is nothing) moves no forecast."""
    values = seasonal(120)
    values[-6:] = np.nan
    (gap,) = zero_shot([values], 6, (12, 12))
    (known,) = zero_shot([seasonal(120)], 6, (12, 12))
    assert np.isfinite(gap).all()
    assert (gap[:, -2] - gap[:, 1]).mean() > (known[:, -2] - known[:, 1]).mean()
    (masked,) = zero_shot([np.ma.array(values).filled(np.nan)], 6, (12, 12))
    assert np.array_equal(masked, gap)


# -- series of every kind ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["values", "logarithms", "both"])
@pytest.mark.parametrize("season", [(1, 1), (12, 12), (7, 365), (24, 168), (1440, 10080)])
def test_quantiles_are_finite_and_do_not_cross(season: tuple[int, int], scale: str) -> None:
    answers = model(scale).quantiles(list(KINDS.values()), 30, season, (0.001, 0.01, *LEVELS, 0.99, 0.999))
    assert np.isfinite(answers).all()
    assert (np.diff(answers, axis=-1) >= 0).all()


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e300, 1.7e308])
def test_the_ends_of_float64_are_forecast_too(size: float) -> None:
    values = seasonal(48)
    (answers,) = zero_shot([values / values.max() * size], 12, (12, 12))
    assert np.isfinite(answers).all()
    assert answers[0, MIDDLE] == pytest.approx(size, rel=0.5)


@pytest.mark.parametrize("values", [[3.0], [7, 7], [0] * 30, [-2.5] * 100, [np.nan, 4.0, np.nan]])
def test_a_series_that_never_changed_is_forecast_to_stay(values: list[float]) -> None:
    answers = zero_shot([values], 5, (12, 12))
    assert (answers == np.nanmax(values)).all()


def test_a_series_that_was_never_negative_is_not_forecast_to_be() -> None:
    counts = np.random.default_rng(0).poisson(0.2, size=80)
    answers = zero_shot([counts, counts - 1.0], 12, (12, 12))
    assert answers[0].min() == 0.0
    assert answers[1].min() < -1.0


def test_numbers_of_every_kind_are_read() -> None:
    counts = np.arange(40) % 7
    expected = zero_shot([counts.astype(float)], 3, (7, 7))
    for same in (counts, counts.tolist(), counts.astype(np.float32), counts.astype(np.uint8), counts.astype(object)):
        assert np.array_equal(zero_shot([same], 3, (7, 7)), expected)
    assert zero_shot([np.array([True, False] * 9)], 3, (2, 2)).shape == (1, 3, len(LEVELS))


def test_no_series_have_no_forecasts() -> None:
    assert zero_shot([], 4, (12, 12)).shape == (0, 4, len(LEVELS))


def test_a_seasonal_series_is_forecast_better_than_by_its_last_season() -> None:
    """And the intervals hold most of the values: what the weights of the package are for."""
    series = [seasonal(120, seed=seed, noise=4.0) for seed in range(40)]
    answers = zero_shot([one[:-12] for one in series], 12, (12, 12))
    truth = np.stack([one[-12:] for one in series])
    naive = np.stack([one[-24:-12] for one in series])
    assert np.abs(answers[..., MIDDLE] - truth).mean() < 0.9 * np.abs(naive - truth).mean()
    assert 0.75 < ((truth >= answers[..., 1]) & (truth <= answers[..., -2])).mean() <= 1.0


@pytest.mark.parametrize(
    ("series", "seasons", "says"),
    [
        ([[1.0], [np.nan]], (1, 1), "series 1 has no value in 1 steps; expected at least one"),
        ([[]], (1, 1), "series 0 has no value in 0 steps"),
        ([[1.0, np.inf]], (1, 1), "series 0 is infinite at step 1; expected numbers"),
        ([["1", "2"]], (1, 1), "series 0 holds something that is no number"),
        ([[1j]], (1, 1), "series 0 holds something that is no number"),
        ([np.zeros((3, 2))], (1, 1), r"series 0 has shape \(3, 2\); expected \(steps,\)"),
        ([[1.0]], (12,), "seasons is .* expected two whole numbers"),
        ([[1.0]], (24, 12), "expected the shorter one first"),
        ([[1.0]], (0, 12), "season is 0; expected a whole number of at least 1"),
        ([[1.0]], [(1, 1), (2, 2)], "there are seasons for 2 series; expected 1"),
    ],
)
def test_what_cannot_be_forecast_is_named(series: list[Sequence[float]], seasons: Sequence[int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        zero_shot(series, 3, seasons)  # type: ignore[arg-type]


@pytest.mark.parametrize("horizon", [0, -1, 1.5, "3"])
def test_a_horizon_that_is_no_number_of_steps_is_refused(horizon: object) -> None:
    with pytest.raises(InputError, match="horizon is"):
        zero_shot([[1.0, 2.0]], horizon, (1, 1))  # type: ignore[arg-type]


def test_a_gap_longer_than_what_is_read_leaves_the_last_value_before_it() -> None:
    values = np.full(SEEN + 900, np.nan)
    values[:3] = 1.0, 2.0, 6.0
    assert (zero_shot([values], 2, (1, 1)) == 6.0).all()


# -- logarithms --------------------------------------------------------------------------------------------------------


def test_logarithms_are_asked_for_positive_series_alone_and_both_is_the_mean_of_the_two() -> None:
    positive, near_zero = seasonal(), np.r_[seasonal(), 0.001]
    for values, logarithmic in ((positive, True), (near_zero, False), (-positive, False)):
        each = [model(scale).quantiles([values], 6, (12, 12)) for scale in ("values", "logarithms", "both")]
        assert np.array_equal(each[0], each[1]) == (not logarithmic)
        assert each[2] == pytest.approx((each[0] + each[1]) / 2, rel=1e-12)


def test_in_logarithms_a_forecast_is_that_of_the_logarithms() -> None:
    values = seasonal()
    expected = np.exp(model().quantiles([np.log(values) - 9], 6, (12, 12)) + 9)
    assert model("logarithms").quantiles([values], 6, (12, 12)) == pytest.approx(expected, rel=1e-5)


def test_the_weights_are_read_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = packaged_model()
    monkeypatch.setattr(module, "packaged_weights", lambda: pytest.fail("read again"))
    zero_shot([[1.0, 2.0]], 1, (1, 1))
    assert packaged_model() is first
