"""LSTMForecaster: what comes next in a series, or in each of many, with intervals that hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from longlag.cell import CellSpec
from longlag.checks import LARGEST, is_whole, one_of, true_or_false, whole_number
from longlag.distributed import Executor
from longlag.errors import InputError
from longlag.estimators.backtest import Backtest
from longlag.estimators.documentation import documented
from longlag.estimators.forecasting_estimator import ForecastingEstimator
from longlag.estimators.panels import future_of, going_on, is_table, panel_of, series_in, unread
from longlag.estimators.series import Form, read_many, with_future
from longlag.estimators.zero_shot import ForecastsWithoutFit
from longlag.forecasting.answers import LSTM, extended
from longlag.forecasting.design import design_of
from longlag.forecasting.levels import interval_levels, quantile_levels
from longlag.forecasting.rolling import held_out_steps
from longlag.forecasting.simple import SIMPLE
from longlag.forecasting.view import SeriesData, View
from longlag.nn.network import Reads
from longlag.panels.panel import Panel
from longlag.panels.rows import Duplicates, Gaps
from longlag.training import Callback, Schedule

__all__ = ["Backtest", "LSTMForecaster"]

Array = NDArray[np.float64]

_LEAST = 5  # values of the longest series
_MOST_VALUES = 2**21  # of one forecast: more would not fit into the memory of most machines

_FORMS = {"one": "arrays", "columns": "arrays", "list": "arrays", "table": "a table"}


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMForecaster(ForecastsWithoutFit, ForecastingEstimator):
    """Forecast one series or many, all with the same networks, from their own past and from columns beside them.

    At each step a network reads the recent past relative to its level, in a unit in which all series look alike, and
    answers at once with quantiles of the next ``horizon`` values, as corrections of a simple forecast (the last value,
    or that of a season ago). Every step of every series is an example. A few networks of different seeds are averaged.
    Their answers are joined with those of simple methods (Theta, exponential smoothing, autoregression, the last value,
    the last season), with weights that rolling origins at the end of the training part decide; the errors there also
    say how wide intervals must be, step by step. Then the networks learn that last part too.

    Parameters
    ----------
    horizon : int or None
        Steps ahead that are learned; forecasts beyond go on with the last season. None: a season, 6 steps where there
        is none, at most 48 and a quarter of the series.
    season : int, tuple of int or None
        Steps after which the series repeats itself, as 12, or (24, 168). None looks for one.
    lags : int or None
        Past values a network reads at each step beside those a season ago. None: a season, at most 33.
    n_networks : int
        Networks of different seeds.
    {network}
    {training}
    learning_rate : float, Schedule or None
        None goes from 0.005 to 0.0001 along a cosine, for a series alone from 0.015 to 0.0003; no learning rate for the
        batch methods.
    batch_size : int or None
        Sequences of an update. None is 64, and for a batch method its own, see ``TrainingConfig``.
    patience : int or None
        Stop after so many epochs without a better validation loss (training loss if there is no validation part).
    validation_fraction : float
        The share at the end of each series that decides when to stop, what the answer is made of and how wide
        intervals are; 0 for none.
    refit : bool
        Whether the networks then learn that share too.
    calendar : bool or str
        Whether the dates of a table are read too: hour, weekday, month; a country such as "DE" adds its holidays, for
        which the package "holidays" is needed.
    {run}

    Attributes
    ----------
    weights_ : dict, the share of the answer that each method has after ``fit``; "LSTM" are the networks
    errors_ : dict, each method's mean absolute error at the rolling origins in the unit of a usual change; "answer" too
        The same steps decide when training stops, and the weights: those of "LSTM" and "answer" are smaller than what
        to expect of later values, which ``backtest`` tells.
    seasons_ : tuple of int, ``(1,)`` for none
    horizon_ : int
    n_series_, n_exogenous_ : int
    continuation_ : longlag.data.Continuation, where the series of a table go on; None for arrays
    {fitted}

    Raises
    ------
    InputError (a ValueError)
        For a series that is too short, infinite, not numbers or beyond 1e150 in size, naming the step; for impossible
        parameters.
    DivergenceError
        If training stops being finite.

    Examples
    --------
    >>> forecaster = LSTMForecaster(random_state=0).fit(sunspots)  # doctest: +SKIP
    >>> forecaster.predict(5)  # doctest: +SKIP
    """

    reads: ClassVar[Reads] = "cells+inputs"

    horizon: int | None = None
    season: int | Sequence[int] | None = None
    lags: int | None = None
    n_networks: int = 3
    hidden_size: int = 32
    num_layers: int = 1
    dropout: float = 0.0
    cell: CellSpec | None = None
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] | None = None
    learning_rate: float | Schedule | None = None
    weight_decay: float = 0.0
    max_epochs: int | None = None
    batch_size: int | None = None
    gradient: str = "full"
    clip_norm: float | Literal["auto"] | None = "auto"
    patience: int | None = 30
    validation_fraction: float = 0.2
    refit: bool = True
    calendar: bool | str = False
    random_state: Any = None
    device: str | torch.device = "cpu"
    executor: Executor | None = None
    callbacks: Sequence[Callback] | None = None
    run_dir: str | None = None
    resume: bool = False
    verbose: bool = False

    # -- learning ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        y: Any,
        X: Any | None = None,
        *,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        known: Sequence[str] | None = None,
        past: Sequence[str] | None = None,
        static: Sequence[str] | None = None,
        duplicates: Duplicates | None = None,
        gaps: Gaps | None = None,
    ) -> Self:
        """Learn from a table of series, or from arrays. A former fit is forgotten.

        Parameters
        ----------
        y : a data frame or series of pandas, Polars or Arrow, a mapping of columns, a ``Table`` or a ``Panel``; or one
            series (T,), K series side by side (T, K), which also see each other's past, or a list of series (T_i,)
            A missing value is NaN.
        X : (T, E), or a list of (T_i, E)
            Columns known in the future, where ``y`` are arrays: row t belongs to time t.
        target, time, id, known, past, static, duplicates, gaps : as ``longlag.data.Panel.from_table`` has them
            Columns of a table by what they are for; those that are plain are found.
        """
        self._forget()
        self._draw_seed()
        self._check_parameters()
        columns = {"target": target, "time": time, "id": id, "known": known, "past": past, "static": static}
        self._columns = columns | {"duplicates": duplicates, "gaps": gaps}
        self._form, data, panel = self._read(y, X)
        self.continuation_ = None if panel is None else panel.continuation()
        self.n_series_, self.n_exogenous_ = len(data), data[0].known.shape[1]
        values = [one.values for one in data]
        share, constant = self.validation_fraction, len(data[0].static)
        design = design_of(values, self._seasons(), self.horizon, self.lags, constant, share=share)
        self._design, self.seasons_, self.horizon_ = design, design.seasons, design.horizon
        held_out = held_out_steps([len(one) for one in data], share, design.horizon)
        self._check_length(values)
        ends = [len(one) - part for one, part in zip(data, held_out, strict=True)]
        self._views = [View.of(one.until(end), design.season) for one, end in zip(data, ends, strict=True)]
        seen = [view.seen(one, design) for view, one in zip(self._views, data, strict=True)]
        self._learn(seen, ends)
        self._calibrate(data, seen, held_out)
        if self.refit and any(held_out):
            self._adopt(self._learned_again(seen, "refit"))
        self._data = data
        return self

    # -- forecasting ---------------------------------------------------------------------------------------------------

    def predict(self, horizon: int | None = None, X: Any | None = None) -> Any:
        """Medians of the next values after everything read, as many as ``horizon``; None is ``horizon_``.

        Parameters
        ----------
        X : the known columns of these steps, in the form of ``fit``; for a table one with rows for them

        Returns
        -------
        (horizon,), (horizon, K), or (series, horizon) of a list; of a data frame one of its own kind with the series,
        their times and the column that is forecast; of other tables a dict of these columns.
        """
        medians = self._future(horizon, X, [0.5])[..., 0]
        if self.continuation_ is None:
            return self._formed(medians)
        return self.continuation_.frame(medians.shape[1], {self.answer_name_: medians})

    def predict_interval(self, horizon: int | None = None, coverage: float = 0.9, X: Any | None = None) -> Any:
        """Central intervals that hold each value with probability ``coverage``: ``predict``'s shape, and an axis of 2.

        The last axis is lower, upper; of a table, columns of these names beside the median. Each interval is for one
        step by itself, not for the whole path.
        """
        low, high = interval_levels(coverage)
        check_is_fitted(self)
        if self.continuation_ is None:
            ends = self._future(horizon, X, [low, high])
            return np.stack([self._formed(ends[..., side]) for side in (0, 1)], axis=-1)
        lower, median, upper = np.moveaxis(self._future(horizon, X, [low, 0.5, high]), -1, 0)
        answers = {self.answer_name_: median, "lower": lower, "upper": upper}
        return self.continuation_.frame(median.shape[1], answers)

    def predict_quantiles(
        self, horizon: int | None = None, levels: Sequence[float] = (0.1, 0.5, 0.9), X: Any | None = None
    ) -> Any:
        """Quantiles at these levels: ``predict``'s shape, and an axis for the levels; of a table a column for each."""
        probabilities = quantile_levels(levels)
        quantiles = self._future(horizon, X, probabilities)
        if self.continuation_ is None:
            return np.stack([self._formed(quantiles[..., k]) for k in range(len(probabilities))], axis=-1)
        answers = {f"{level:g}": quantiles[..., k] for k, level in enumerate(probabilities)}
        return self.continuation_.frame(quantiles.shape[1], answers)

    def update(self, y: Any, X: Any | None = None, *, learn: bool = False) -> Self:
        """Read on: ``y`` follows the values seen so far, and forecasts begin after it.

        What the answer is made of and how wide intervals are follows from the forecasts of these values too, but for
        many series, where ``fit`` has told as much. With ``learn`` the networks go on to learn from all values, for a
        share of the epochs of ``fit``.
        """
        check_is_fitted(self)
        true_or_false("learn", learn)
        more, panel = self._read_like_fit(y, X, goes_on=True)
        continuation = self.continuation_
        if panel is not None and continuation is not None:
            missing = going_on(panel, continuation)
            more = [one.after_gap(steps) for one, steps in zip(more, missing, strict=True)]
            last = [times[-1] if len(times) else end for times, end in zip(panel.times, continuation.last, strict=True)]
            continuation = dataclasses.replace(continuation, last=np.stack(last))
        data = [one.followed_by(after) for one, after in zip(self._data, more, strict=True)]
        if learn:
            seen = [view.seen(one, self._design) for view, one in zip(self._views, data, strict=True)]
            forecast = partial(self._later_forecast, data, seen)
            calibration = self._calibration.learning([len(one) for one in data], forecast)
            self._adopt(self._learned_again(seen, "update"))
            self._calibration = calibration
        self._data, self.continuation_ = data, continuation  # all of it, or after an error none
        return self

    def backtest(
        self,
        y: Any,
        horizon: int | None = None,
        *,
        start: int | Sequence[int] | Literal["unread"] = "unread",
        X: Any | None = None,
        coverage: float = 0.9,
        stride: int = 1,
        methods: Sequence[str] = (),
    ) -> Backtest:
        """Forecast from every ``stride``-th step from ``start`` on, each time from the true values before it.

        Nothing is learned.

        Parameters
        ----------
        y : the whole series; where nobody says ``start``, a table may begin after what was read
        start : the first origin, or for a list or table of series one for each; the length of a series for none of it.
            "unread" is the first value that the model has not read, in ``fit`` or ``update``. A score of earlier
            ones flatters the model: it has learned them.
        methods : simple methods whose forecasts are wanted too, of ``longlag.forecasting.simple.SIMPLE``; "LSTM" are
            the networks alone

        Raises
        ------
        InputError
            If the horizon does not fit behind ``start``, or nothing is before it; if ``start`` is "unread" and the
            series are not those that were read, going on.
        """
        check_is_fitted(self)
        if isinstance(start, str) and start == "unread":
            data, start = self._with_unread(*self._read_like_fit(y, X, goes_on=True))
        else:
            data, _ = self._read_like_fit(y, X)
        return self._backtest_of(data, horizon, start, coverage, stride, methods)

    def _with_unread(self, data: list[SeriesData], panel: Panel | None) -> tuple[list[SeriesData], list[int]]:
        """The series that were read with what is new in ``data``, and where that begins in each."""
        starts = [len(one) for one in self._data]
        if panel is not None and self.continuation_ is not None:
            rest, missing = unread(panel, self.continuation_, [one.values for one in self._data])
            more = [one.after_gap(gap) for one, gap in zip(series_in(rest, self.calendar), missing, strict=True)]
            return [old.followed_by(new) for old, new in zip(self._data, more, strict=True)], starts
        for number, (one, old) in enumerate(zip(data, self._data, strict=True)):
            if not np.array_equal(one.values[: len(old)], old.values, equal_nan=True):
                raise InputError(
                    f"series {number} does not begin with the {len(old)} values that were read; expected the whole "
                    "series, or start"
                )
        return data, starts

    def _backtest_of(
        self,
        data: Sequence[SeriesData],
        horizon: int | None,
        start: Any,
        coverage: float,
        stride: int,
        methods: Sequence[str],
    ) -> Backtest:
        """``backtest`` of series that were read already."""
        levels = interval_levels(coverage)
        horizon = self.horizon_ if horizon is None else whole_number("horizon", horizon, 1)
        stride = whole_number("stride", stride, 1)
        for name in methods:
            one_of("methods", name, (LSTM, *SIMPLE))
        starts: list[Any] = list(start) if isinstance(start, (list, tuple)) else [start] * len(data)
        if len(starts) != len(data):
            raise InputError(f"start has {len(starts)} numbers; expected one, or one for each of {len(data)} series")
        origins = [_origins(len(one), horizon, first, stride) for one, first in zip(data, starts, strict=True)]
        if not any(map(len, origins)):
            steps = max(map(len, data))
            raise InputError(
                f"a horizon of {horizon} steps does not fit between step {starts[0]} and the end of a series of "
                f"{steps} steps; expected at most {max(steps - starts[0], 0)}"
            )
        numbers = np.repeat(np.arange(len(data)), [len(some) for some in origins])
        places = np.concatenate(origins)
        seen = [view.seen(one, self._design) for view, one in zip(self._views, data, strict=True)]
        answers, errors = self._calibrated_at(data, seen, numbers, places, also=methods)
        lower, median, upper = np.moveaxis(
            self._values(answers, errors, data, numbers, places, horizon, [levels[0], 0.5, levels[1]]), -1, 0
        )
        truth = np.stack([data[k].values[at : at + horizon] for k, at in zip(numbers, places, strict=True)])
        others = {
            name: self._in_values(extended(answers.methods[name], horizon, self._design), data, numbers, places)
            for name in methods
        }
        for paths in (lower, median, upper, truth, *others.values()):  # from nothing there is no forecast, nor a score
            paths[[not np.isfinite(data[k].values[:at]).any() for k, at in zip(numbers, places, strict=True)]] = np.nan
        if self._form in ("one", "columns"):  # series side by side have the same origins
            numbers, places = numbers[: len(origins[0])] * 0, origins[0]

        def formed(paths: Array) -> Array:
            if self._form in ("one", "columns"):
                return paths.reshape(len(data), len(places), horizon).transpose(1, 2, 0)
            return paths[..., None]

        named = {name: formed(paths) for name, paths in others.items()}
        return Backtest(places, formed(truth), formed(median), formed(lower), formed(upper), coverage, named, numbers)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _future(self, horizon: int | None, X: Any | None, levels: Sequence[float]) -> Array:
        """(series, horizon, levels): quantiles after everything seen so far."""
        check_is_fitted(self)
        longest = max(self.horizon_, _MOST_VALUES // self.n_series_)
        horizon = self.horizon_ if horizon is None else whole_number("horizon", horizon, 1, longest)
        data = self._data
        if self.continuation_ is None:
            data = with_future(data, X, self._form, horizon)
        else:
            futures = future_of(self.continuation_, X, horizon, self.calendar)
            if futures is not None:
                data = [one.knowing(future) for one, future in zip(data, futures, strict=True)]
        seen = [view.seen(one, self._design) for view, one in zip(self._views, data, strict=True)]
        numbers, places = np.arange(len(data)), np.array([len(one) for one in data])
        answers, errors = self._calibrated_at(data, seen, numbers, places, later=self._calibration.later)
        self._calibration.forget([len(one) for one in data])
        return self._values(answers, errors, data, numbers, places, horizon, levels)

    def _formed(self, paths: Array) -> Array:
        """(series, horizon) in the form of what ``fit`` was given."""
        return paths[0] if self._form == "one" else paths.T if self._form == "columns" else paths

    def _read(self, y: Any, X: Any | None, **options: Any) -> tuple[Form, list[SeriesData], Panel | None]:
        """Series from arrays, or from a table with its panel."""
        if not is_table(y):
            named = [name for name, value in self._columns.items() if value is not None]
            if named:
                raise InputError(f"{named[0]} was given, but the series are arrays without columns; expected a table")
            return *read_many(y, X, largest=LARGEST), None
        if X is not None:
            raise InputError("X was given beside a table; expected known columns in the table, named by known=[...]")
        panel = panel_of(y, **self._columns, **options)
        return "table", series_in(panel, self.calendar), panel

    def _read_like_fit(self, y: Any, X: Any | None, *, goes_on: bool = False) -> tuple[list[SeriesData], Panel | None]:
        """Read series as ``fit`` did; those that go on may be too short to tell how. InputError if they are others."""
        before = self.continuation_
        options = {"frequency": before.frequency, "categories": before.categories} if before and goes_on else {}
        form, data, panel = self._read(y, X, **options)
        if (form == "table") != (self._form == "table"):
            raise InputError(f"the series are {_FORMS[form]}; expected {_FORMS[self._form]}, as in fit")
        if len(data) != self.n_series_:
            what = "values per step" if form in ("one", "columns") else "series"
            raise InputError(f"the series has {len(data)} {what}; expected {self.n_series_}, as in fit")
        columns = data[0].known.shape[1]
        if columns != self.n_exogenous_:
            raise InputError(f"X has {columns} columns; expected {self.n_exogenous_}, as in fit")
        return data, panel

    @property
    def answer_name_(self) -> str:
        """The column of a table's answers: that of the values, or "value" where several are forecast."""
        assert self.continuation_ is not None
        targets = self.continuation_.roles.target
        return targets[0] if len(targets) == 1 else "value"

    def series(self, number: int = 0) -> Array:
        """The values (T,) of a series, all that the model has read."""
        check_is_fitted(self)
        return self._data[number].values

    def _seasons(self) -> tuple[int, ...] | None:
        """The seasons that were named."""
        if self.season is None:
            return None
        return (int(self.season),) if is_whole(self.season) else tuple(int(season) for season in self.season)  # type: ignore[arg-type,union-attr]

    def _check_length(self, values: Sequence[Array]) -> None:
        """Refuse series of which none has enough numbers to learn from."""
        longest = max(int(np.isfinite(one).sum()) for one in values)
        if longest < _LEAST:
            raise InputError(f"the longest series has {longest} values; expected at least {_LEAST} to learn from")

    def _check_parameters(self) -> None:
        if self.validation_fraction is None:
            raise InputError("validation_fraction is None; expected at least 0 and below 1")
        super()._check_parameters()


def _origins(steps: int, horizon: int, start: Any, stride: int) -> NDArray[np.int64]:
    """Every ``stride``-th origin from ``start`` on behind which the horizon fits."""
    if not is_whole(start) or start < 1:
        raise InputError(f"start is {start!r}; expected a whole number of at least 1")
    return np.arange(start, steps - horizon + 1, stride)
