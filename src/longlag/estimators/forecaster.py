"""LSTMForecaster: what comes next in a series, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from longlag.cell import CellSpec
from longlag.checks import LARGEST, is_whole, true_or_false, whole_number
from longlag.data.scale import Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor
from longlag.errors import InputError
from longlag.estimators.autoregression import fit_linear
from longlag.estimators.backtest import Backtest
from longlag.estimators.base import NetworkEstimator
from longlag.estimators.documentation import documented
from longlag.estimators.saving import array, check_keys, scaler_arrays, scaler_of
from longlag.estimators.series import (
    LEAST_DEVIATION,
    interval_levels,
    lagged,
    read_series,
    scaled_series,
    start_linear,
    windows,
)
from longlag.nn import GaussianNLL
from longlag.nn.network import Reads
from longlag.training import Schedule
from longlag.training.threads import fitting_threads

__all__ = ["Backtest", "LSTMForecaster"]

Array = NDArray[np.float64]
_ROWS_PER_PASS = 20_000  # sample paths that run side by side


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMForecaster(NetworkEstimator):
    """Forecast a series (or several together), step by step, from its own past and known inputs.

    At each step the network reads the last ``lags`` values (and the exogenous values of the step to forecast) and
    answers with the mean and deviation of the next value. Output units read the cells and the inputs (connectivity B
    of the 1997 paper's Table 10); their weights from the inputs start as the least-squares linear autoregression of
    the same lags, so that training improves on it where the series allows. Several steps ahead the network runs freely:
    values drawn from its own answers are its next inputs. Mean and intervals come from ``n_paths`` such futures.

    Parameters
    ----------
    lags : int
        Past values the network sees at each step; one season is a good choice.
    window : int or None
        Steps of a training sequence. None is ``2 * lags``.
    {network}
    {training}
    learning_rate : float, Schedule or None
        None goes from 0.001 to 0.00005 along a cosine; no learning rate for the batch methods.
    batch_size : int or None
        Windows of an update. None is 32, and for a batch method its own, see ``TrainingConfig``.
    patience : int or None
        Stop after so many epochs without a better validation loss (training loss if there is no validation part).
    validation_fraction : float
        The share at the end of the series that decides when to stop; 0 for none.
    n_paths : int
        Sampled futures.
    {run}

    Attributes
    ----------
    n_targets_, n_exogenous_ : int
    scale_ : Standardizer of the series
    exogenous_scale_ : Standardizer of the exogenous values, or None
    {fitted}

    Raises
    ------
    InputError (a ValueError)
        For a series that is too short, not finite, not numbers or beyond 1e150 in size, naming the step; for impossible
        parameters.
    DivergenceError
        If training stops being finite.

    Examples
    --------
    >>> forecaster = LSTMForecaster(lags=11, random_state=0).fit(sunspots)  # doctest: +SKIP
    >>> forecaster.predict(5)  # doctest: +SKIP
    """

    reads: ClassVar[Reads] = "cells+inputs"

    lags: int = 12
    window: int | None = None
    hidden_size: int = 16
    num_layers: int = 1
    dropout: float = 0.0
    cell: CellSpec | None = None
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] | None = None
    learning_rate: float | Schedule | None = None
    weight_decay: float = 0.0
    max_epochs: int = 100
    batch_size: int | None = None
    gradient: str = "full"
    clip_norm: float | Literal["auto"] | None = "auto"
    patience: int | None = 30
    validation_fraction: float = 0.2
    n_paths: int = 200
    random_state: Any = None
    executor: Executor | None = None
    run_dir: str | None = None
    resume: bool = False
    verbose: bool = False

    # -- learning ------------------------------------------------------------------------------------------------------

    def fit(self, y: ArrayLike, X: ArrayLike | None = None) -> Self:
        """Learn from a series ``y`` (T,) or (T, K), and known inputs ``X`` (T, E): row t belongs to time t.

        A former fit is forgotten.
        """
        self._draw_seed()
        self._check_parameters()
        series, known = self._series(y), self._known(X)
        window = self._window()
        if known is not None and len(known) != len(series):
            raise InputError(f"X has {len(known)} rows; expected {len(series)}, as many as the series has steps")
        held_out = int(len(series) * self.validation_fraction)
        rows = len(series) - held_out - self.lags  # training answers
        if rows < 2:
            raise InputError(
                f"the series has {len(series)} steps; expected at least {self.lags + held_out + 2} "
                f"for {self.lags} lags and {held_out} validation steps"
            )
        self._flat = np.ndim(y) == 1
        self.n_targets_, self.n_exogenous_ = series.shape[1], 0 if known is None else known.shape[1]
        self.scale_ = Standardizer.fit(series[: len(series) - held_out])
        self.exogenous_scale_ = None if known is None else Standardizer.fit(known[: len(series) - held_out])
        inputs, answers = self._rows(series, known, torch.get_default_dtype())
        training = windows(inputs[:rows], answers[:rows], min(window, rows))
        validation = None
        if held_out:
            start = max(0, rows - window)  # earlier steps are read without an answer, to fill the cells
            validation = SequenceBatch.every_step([inputs[start:]], [answers[start:]])
            validation.target_mask[: rows - start] = False
        network, loss = self._build(*self._network_sizes()), GaussianNLL()
        with torch.no_grad():
            known_rows, known_answers = inputs[:rows].double().numpy(), answers[:rows].double().numpy()
            coefficients, deviation = fit_linear(known_rows, known_answers, least=LEAST_DEVIATION)
            start_linear(network, coefficients, deviation)
        self._train(network, loss, training, validation)
        self._remember(series, known)
        return self

    def update(self, y: ArrayLike, X: ArrayLike | None = None) -> Self:
        """Read on: ``y`` follows the values seen so far, and forecasts begin after it. The weights stay as they are."""
        check_is_fitted(self)
        series, known = self._series(y), self._known(X)
        self._check_sizes(series, known)
        past, past_known = self._past
        self._remember(
            np.concatenate([past, series]),
            None if known is None or past_known is None else np.concatenate([past_known, known]),
        )
        return self

    # -- forecasting ---------------------------------------------------------------------------------------------------

    def predict(self, horizon: int, X: ArrayLike | None = None) -> Array:
        """Means of the next ``horizon`` values, (horizon,) or (horizon, K); ``X`` (horizon, E) is known about them."""
        paths = self._future(horizon, X)
        return self._shaped(paths.mean(axis=0))

    def predict_interval(self, horizon: int, coverage: float = 0.9, X: ArrayLike | None = None) -> Array:
        """Central intervals that should hold each value with probability ``coverage``; (horizon, 2) or (horizon, K, 2).

        The last axis is lower, upper. Each interval is for one step by itself, not for the whole path.
        """
        levels = interval_levels(coverage)
        paths = self._future(horizon, X)
        return np.stack([self._shaped(np.quantile(paths, level, axis=0)) for level in levels], axis=-1)

    def one_step(self, y: ArrayLike, X: ArrayLike | None = None) -> Array:
        """Means for each value of another series from those before it; NaN for the first ``lags``, which have none."""
        check_is_fitted(self)
        series, known = self._series(y), self._known(X)
        self._check_sizes(series, known)
        if len(series) <= self.lags:
            raise InputError(f"the series has {len(series)} steps; expected more than the {self.lags} lags")
        inputs, _ = self._rows(series, known, next(self.network_.parameters()).dtype)
        with torch.no_grad(), fitting_threads(self.network_, 1):
            outputs, _ = self.network_(inputs[:, None])
        mean, _ = GaussianNLL().moments(outputs[:, 0])
        means = np.full(series.shape, np.nan)
        means[self.lags :] = self._unscaled(mean)
        return self._shaped(means)

    def backtest(
        self, y: ArrayLike, horizon: int, *, start: int, X: ArrayLike | None = None, coverage: float = 0.9
    ) -> Backtest:
        """Forecast ``horizon`` steps from every time from ``start`` on, each from the true values before it.

        ``y`` is the whole series; the weights never change, so values from ``start`` on must not have been in ``fit``.

        Raises
        ------
        InputError
            If the horizon does not fit behind ``start``, or ``lags`` values do not fit before it.
        """
        check_is_fitted(self)
        series, known = self._series(y), self._known(X)
        self._check_sizes(series, known)
        low, high = interval_levels(coverage)
        whole_number("horizon", horizon, 1)
        if not is_whole(start) or start < self.lags:
            raise InputError(f"start is {start!r}; expected a whole number of at least the {self.lags} lags")
        origins = np.arange(start, len(series) - horizon + 1)
        if not len(origins):
            raise InputError(
                f"a horizon of {horizon} steps does not fit between step {start} and the end of a series of "
                f"{len(series)} steps; expected at most {max(len(series) - start, 0)}"
            )
        # Origins with less than a window before them go one by one, so that no other reads less because of them.
        early = max(0, min(len(origins), self.lags + self._window() - start))
        late = origins[early:]
        passes = max(1, len(late) * self.n_paths // _ROWS_PER_PASS)
        generator = torch.Generator("cpu").manual_seed(self.seed_)
        parts = []
        for some in [*origins[:early, None], *(np.array_split(late, passes) if len(late) else [])]:
            with fitting_threads(self.network_, self.n_paths):
                paths = self._paths(series, known, some, horizon, generator)
            parts.append((paths.mean(0), *np.quantile(paths, (low, high), axis=0)))
        mean, lower, upper = (np.concatenate(part) for part in zip(*parts, strict=True))
        truth = np.stack([series[origin : origin + horizon] for origin in origins])
        return Backtest(origins, truth, mean, lower, upper, coverage)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _future(self, horizon: int, X: ArrayLike | None) -> Array:
        """(paths, horizon, K) futures after everything seen so far."""
        check_is_fitted(self)
        whole_number("horizon", horizon, 1)
        past, past_known = self._past
        known = self._known(X)
        if (known is None) != (self.exogenous_scale_ is None):
            wanted = f"X with {horizon} rows of {self.n_exogenous_} values" if self.n_exogenous_ else "no X"
            raise InputError(f"the model was fitted {'with' if self.n_exogenous_ else 'without'} X; expected {wanted}")
        if known is not None:
            if known.shape != (horizon, self.n_exogenous_):
                raise InputError(f"X has shape {known.shape}; expected ({horizon}, {self.n_exogenous_})")
            assert past_known is not None
            known = np.concatenate([past_known, known])
        generator = torch.Generator("cpu").manual_seed(self.seed_)
        with fitting_threads(self.network_, self.n_paths):
            return self._paths(past, known, np.array([len(past)]), int(horizon), generator)[:, 0]

    @torch.no_grad()
    def _paths(
        self,
        series: Array,
        known: Array | None,
        origins: NDArray[np.int64],
        horizon: int,
        generator: torch.Generator,
    ) -> Array:
        """(paths, origins, horizon, K) sampled futures, each from the true values before its origin."""
        kind = next(self.network_.parameters()).dtype
        scaled = scaled_series(self.scale_, series, "the series", kind)
        beside = None
        if known is not None and self.exogenous_scale_ is not None:
            beside = scaled_series(self.exogenous_scale_, known, "X", kind)
        # What the network reads before an origin: a window like those it was trained on, shorter near the beginning.
        reach = min(self._window(), int(origins.min()) - self.lags)
        spans = [
            lagged(
                scaled[origin - reach - self.lags : origin],
                self.lags,
                None if beside is None else beside[origin - reach : origin],
            )
            for origin in origins
        ]
        state = self.network_.lstm.initial_state(len(origins))
        if reach:
            _, state = self.network_(torch.stack(spans, dim=1).to(kind), state)
        copies = self.n_paths
        state = tuple(part.repeat_interleave(copies, dim=1) for part in state)
        recent = torch.stack([scaled[origin - self.lags : origin].flatten() for origin in origins])
        recent = recent.repeat_interleave(copies, dim=0).to(kind)
        loss, values = GaussianNLL(), []
        for ahead in range(horizon):
            inputs = recent
            if beside is not None:
                now = torch.stack([beside[origin + ahead] for origin in origins]).to(kind)
                inputs = torch.cat([recent, now.repeat_interleave(copies, dim=0)], dim=1)
            outputs, state = self.network_(inputs[None], state)
            mean, deviation = loss.moments(outputs[0])
            noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64, device="cpu").to(kind)
            value = mean + deviation * noise
            if not bool(torch.isfinite(value).all()):
                raise InputError(
                    f"the forecast stops being finite {ahead + 1} steps ahead: the model's own answers, fed back, "
                    "grow without bound; expected a shorter horizon, or more data to learn from"
                )
            values.append(value)
            recent = torch.cat([recent[:, self.n_targets_ :], value], dim=1)
        paths = torch.stack(values, dim=1).double().view(len(origins), copies, horizon, self.n_targets_)
        return self._unscaled(paths.transpose(0, 1).contiguous())

    def _unscaled(self, values: Tensor) -> Array:
        """The network's values in the series' unit. InputError if one is so large that squares of errors overflow."""
        with np.errstate(over="ignore"):
            unscaled = self.scale_.inverse(values.double().numpy())
        if not (np.abs(unscaled) <= LARGEST).all():
            raise InputError(
                f"a forecast is beyond {LARGEST:g} in size: the model's answers grow without bound; expected a shorter "
                "horizon, or more data to learn from"
            )
        return unscaled

    def _network_sizes(self) -> tuple[int, int]:
        """The input and output size of the network."""
        inputs = int(self.lags) * self.n_targets_ + self.n_exogenous_
        return inputs, GaussianNLL().outputs_for(self.n_targets_)

    def _rows(self, series: Array, known: Array | None, kind: torch.dtype) -> tuple[Tensor, Tensor]:
        """Inputs (T - lags, lags * K + E) and answers (T - lags, K), standardised; row r answers for time lags + r."""
        scaled = scaled_series(self.scale_, series, "the series", kind)
        beside = None
        if known is not None and self.exogenous_scale_ is not None:
            beside = scaled_series(self.exogenous_scale_, known, "X", kind)[self.lags :]
        return lagged(scaled, self.lags, beside).to(kind), scaled[self.lags :].to(kind)

    def _remember(self, series: Array, known: Array | None) -> None:
        """Keep as much of the past as a forecast reads."""
        steps = self.lags + self._window()
        self._past = (series[-steps:], None if known is None else known[-steps:])

    def _window(self) -> int:
        """Steps of a training sequence."""
        return int(2 * self.lags if self.window is None else self.window)

    def _check_parameters(self) -> None:
        if self.validation_fraction is None:
            raise InputError("validation_fraction is None; expected at least 0 and below 1")
        super()._check_parameters()

    def _check_sizes(self, series: Array, known: Array | None) -> None:
        if series.shape[1] != self.n_targets_:
            raise InputError(f"the series has {series.shape[1]} values per step; expected {self.n_targets_}, as in fit")
        columns = 0 if known is None else known.shape[1]
        if columns != self.n_exogenous_:
            raise InputError(f"X has {columns} columns; expected {self.n_exogenous_}, as in fit")
        if known is not None and len(known) != len(series):
            raise InputError(f"X has {len(known)} rows; expected {len(series)}, as many as the series has steps")

    def _series(self, y: ArrayLike) -> Array:
        return read_series(y, "the series", largest=LARGEST)

    def _known(self, X: ArrayLike | None) -> Array | None:
        return None if X is None else read_series(X, "X")

    def _shaped(self, values: Array) -> Array:
        return values[..., 0] if self._flat else values

    def _usual_rate(self) -> float | Schedule:
        return Schedule(1e-3, 5e-5, "cosine")

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        past, known = self._past
        arrays = {"past": past, **scaler_arrays("scale", self.scale_)}
        if known is not None:
            arrays |= {"known": known, **scaler_arrays("exogenous", self.exogenous_scale_)}
        return {"targets": self.n_targets_, "exogenous": self.n_exogenous_, "flat": self._flat}, arrays

    def _unpack(self, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        check_keys("fitted", document, {"targets", "exogenous", "flat"})
        self.n_targets_ = whole_number("targets", document["targets"], 1)
        self.n_exogenous_ = whole_number("exogenous", document["exogenous"], 0)
        self._flat = document["flat"]
        true_or_false("flat", self._flat)
        if self._flat and self.n_targets_ != 1:
            raise InputError(f"flat is True for {self.n_targets_} values per step; expected it for one alone")
        past, known = array(arrays, "past", (None, self.n_targets_)), None
        if len(past) < self.lags:
            raise InputError(f"past has {len(past)} steps; expected at least the {self.lags} lags")
        self.scale_, self.exogenous_scale_ = scaler_of("scale", arrays, self.n_targets_), None
        names = {"past", *scaler_arrays("scale", self.scale_)}
        if self.n_exogenous_:
            known = array(arrays, "known", (len(past), self.n_exogenous_))
            self.exogenous_scale_ = scaler_of("exogenous", arrays, self.n_exogenous_)
            names |= {"known", *scaler_arrays("exogenous", self.exogenous_scale_)}
        check_keys("the arrays", arrays, names)
        self._past = (past, known)
        return self._network_sizes()
