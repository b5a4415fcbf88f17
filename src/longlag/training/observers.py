"""``train(observer=...)`` of the release before callbacks: works for one more release."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from longlag.training.callbacks import BatchEnd, Callback, TrainingInfo

__all__ = ["callback_of"]


def callback_of(observer: Any) -> Callback:
    """The callback that tells an observer what it used to be told."""
    warnings.warn(
        "train(observer=...) is now train(callbacks=[...]), with longlag.training.Callback objects; the old name goes "
        "with the next release",
        DeprecationWarning,
        stacklevel=3,
    )
    return observer if isinstance(observer, Callback) else _Observed(observer)


class _Observed(Callback):
    def __init__(self, observer: Any) -> None:
        self.observer = observer

    def on_batch_end(self, training: TrainingInfo, batch: BatchEnd) -> None:
        self.observer.batch_done(batch.epoch - 1, batch.batch - 1, training.batches, batch.sequences, batch.time_steps)

    def on_epoch_end(self, training: TrainingInfo, entry: Mapping[str, Any]) -> None:
        self.observer.epoch_done(dict(entry))
