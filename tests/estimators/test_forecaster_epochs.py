"""LSTMForecaster: how many epochs there are where nobody says it."""

import numpy as np
import pytest

from longlag.estimators import LSTMForecaster
from longlag.training import Callback, TrainingInfo


class Planned(Exception):
    """Ends a training before its first batch, with the epochs that it would have had at most."""


class Stop(Callback):
    def on_train_start(self, training: TrainingInfo) -> None:
        raise Planned(training.config.max_epochs)


@pytest.mark.parametrize(
    ("lengths", "batch_size", "epochs"),
    [
        pytest.param([240], None, 120, id="few values are known by heart then"),
        pytest.param([4000], None, 270, id="many values in one batch have as many updates as others"),
        pytest.param([100] * 200, None, 39, id="400 sequences are 7 batches"),
        pytest.param([10] * 300, 1, 2, id="a second look at least"),
    ],
)
def test_networks_have_270_updates_but_few_values_no_more_than_120_epochs(
    lengths: list[int], batch_size: int | None, epochs: int
) -> None:
    series = [np.sin(np.arange(length) / 3) for length in lengths]
    model = LSTMForecaster(horizon=1, season=1, lags=1, hidden_size=1, batch_size=batch_size, callbacks=[Stop()])
    with pytest.raises(Planned) as planned:
        model.fit(series)
    assert planned.value.args == (epochs,)
