"""longlag fit of a forecaster: the last part of each series is held out, scored, and learned at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from longlag.cli.inputs import Request, panel_in
from longlag.cli.pictures import backtest_pictures
from longlag.data import BuiltIn, Panel, Table
from longlag.diagnostics.plots import forecast_figure
from longlag.errors import InputError
from longlag.estimators import LSTMForecaster
from longlag.estimators.panels import part_of
from longlag.estimators.scores import score_forecasts
from longlag.forecasting.design import design_of, longest_horizon
from longlag.forecasting.simple import SIMPLE
from longlag.io.fingerprint import fingerprint

__all__ = ["COVERAGE", "ForecastProblem"]

COVERAGE = 0.9
_ORIGINS = 40  # forecasts of the score, or one of each series if those are more
_LEAST_TRAINING = 5
_COMPARED = ("last value", "seasonal naive", "Theta", "autoregression", "smoothing")
_DEAR = 50  # series beyond which only what the answer is made of, and what costs nothing, stands beside it


@dataclass(frozen=True, eq=False)
class ForecastProblem:
    """Series whose values from ``starts`` on are held out; a series that is too short for that has nothing held out."""

    panel: Panel
    starts: list[int]
    horizon: int
    seasons: tuple[int, ...]
    request: Request
    document: dict[str, Any]

    @classmethod
    def read(cls, request: Request, data: Table | BuiltIn, share: float) -> ForecastProblem:
        panel = panel_in(data, request)
        lengths = [len(values) for values in panel.values]
        builtin = isinstance(data, BuiltIn) and data.target == panel.roles.target[0]
        seasons = (panel.frequency.seasons() or None) if panel.frequency is not None else None
        if builtin and isinstance(data, BuiltIn) and data.season is not None:
            seasons = (data.season,)
        if request.season is not None:
            seasons = (request.season,)
        horizon = request.horizon or (data.horizon if builtin and isinstance(data, BuiltIn) else None)
        if seasons is None:
            # Nothing is chosen with an eye on rows that are scored, nor on those that the model holds out of the rest.
            reach = horizon or longest_horizon(lengths)
            starts = [max(_LEAST_TRAINING, length - max(int(length * share), reach)) for length in lengths]
            before = [values[:start] for values, start in zip(panel.values, starts, strict=True)]
            inner = LSTMForecaster.validation_fraction
            seasons = design_of(before, None, reach, request.lags, share=inner).seasons
        design = design_of(panel.values, seasons, horizon, request.lags)
        if max(lengths) <= _LEAST_TRAINING:
            raise InputError(
                f"{request.data} has {max(lengths)} row{'s' * (max(lengths) > 1)} in its longest series; expected at "
                f"least {_LEAST_TRAINING} to learn from and one to score"
            )
        if design.horizon >= max(lengths):
            raise InputError(
                f"--horizon {design.horizon} leaves nothing of a series of {max(lengths)} rows; expected less"
            )
        starts = [length - max(int(length * share), design.horizon) for length in lengths]
        starts = [start if start >= _LEAST_TRAINING else length for start, length in zip(starts, lengths, strict=True)]
        held_out = sum(lengths) - sum(starts)
        if not held_out:
            raise InputError(
                f"{max(lengths)} rows leave too few to learn from after a part is held out; expected at least "
                f"{_LEAST_TRAINING} beside {design.horizon} to score: give more data, or a smaller --horizon or --test"
            )
        known = sum(int(np.isfinite(one[start:]).sum()) for one, start in zip(panel.values, starts, strict=True))
        if not known:
            raise InputError(
                f"{request.data} has no value in the {held_out} rows that are held out; expected some to score: "
                "give a larger --test"
            )
        if request.lags is not None and request.lags >= max(starts):
            raise InputError(
                f"--lags {request.lags} is no less than the {max(starts)} rows to learn from; expected less"
            )
        if request.season is not None and 2 * request.season > max(starts):
            raise InputError(
                f"--season {request.season} does not fit twice into the {max(starts)} rows to learn from; expected less"
            )
        document = {
            "task": "forecast",
            "data": request.data,
            "data_sha256": fingerprint(
                *panel.values,
                *panel.times,
                *panel.known,
                *panel.past,
                panel.static,
                np.array(panel.ids, dtype=object),
            ),
            "target": panel.roles.target[0] if len(panel.roles.target) == 1 else list(panel.roles.target),
            "time": panel.roles.time,
            "id": panel.roles.id,
            "inputs": list(panel.roles.past),
            "known": list(panel.roles.known),
            "static": list(panel.roles.static),
            "calendar": request.calendar,
            "series": len(panel),
            "frequency": None if panel.frequency is None or panel.roles.time is None else panel.frequency.name(),
            "season": design.season if design.season > 1 else None,
            "seasons": [season for season in design.seasons if season > 1],
            "horizon": design.horizon,
            "lags": design.window,
            "networks": request.networks or LSTMForecaster.n_networks,
            "test_rows": held_out,
            "refit": request.refit,
        }
        return cls(panel, starts, design.horizon, design.seasons, request, document)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was understood or done without being told."""
        return self.panel.notes

    def estimator(self, **settings: Any) -> LSTMForecaster:
        return LSTMForecaster(
            horizon=self.horizon,
            season=list(self.seasons),
            lags=self.request.lags,
            calendar=self.request.calendar,
            n_networks=self.document["networks"],
            **settings,
        )

    def train(self, model: LSTMForecaster) -> None:
        model.fit(part_of(self.panel, [0] * len(self.panel), self.starts))

    def evaluate(self, model: LSTMForecaster) -> tuple[dict[str, Any], Mapping[str, Callable[[Path], None]]]:
        """As ``Problem``; the model then has learned the held-out rows too, unless that was refused."""
        lengths = [len(values) for values in self.panel.values]
        origins = [
            max(0, length - self.horizon + 1 - start) for length, start in zip(lengths, self.starts, strict=True)
        ]
        scored = sum(count > 0 for count in origins)
        # One that the series are too short for, or their season too long, would only be the last value again.
        methods = [name for name in _COMPARED if SIMPLE[name].needs(max(self.starts), self.seasons)]
        if scored > _DEAR:
            methods = [name for name in methods if name in (*model.weights_, "last value", "seasonal naive")]
        backtest = model.backtest(
            self.panel,
            self.horizon,
            start=self.starts,
            stride=max(1, -(-sum(origins) // max(_ORIGINS, scored))),
            coverage=COVERAGE,
            methods=["LSTM", *methods],
        )
        score = score_forecasts(backtest, self.panel.values, self.starts, self.seasons)
        score["answer"] = {name: round(share, 4) for name, share in model.weights_.items()}
        score["validation_errors"] = {name: round(error, 6) for name, error in model.errors_.items()}
        model.update(part_of(self.panel, self.starts, lengths), learn=self.request.refit)
        pictures = backtest_pictures(backtest, self.panel, self.starts, self.seasons)
        roles = self.panel.roles
        draw = partial(
            forecast_figure,
            pictures=pictures,
            coverage=COVERAGE,
            time_name=roles.time or "row",
            value_name=roles.target[0] if len(roles.target) == 1 else "",
        )
        return {"score": score, "training_rows": sum(self.starts)}, {"forecast.png": draw}
