"""First-order updates: an engine's gradient and a step of one of torch.optim's optimisers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceEngine
from longlag.gradients import GradientEngine, ScheduledSampling, TruncatedBPTT
from longlag.gradients.engine import trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.training import optimizers
from longlag.training.config import TrainingConfig
from longlag.training.schedules import value_at

__all__ = ["FirstOrder"]


class FirstOrder:
    """``Updates`` by SGD, momentum, Adam or AdamW: one for each batch, or for each window of truncated BPTT."""

    advice = optimizers.ADVICE
    ended = None  # noise of the batches does not end

    def __init__(
        self,
        config: TrainingConfig,
        network: Network,
        loss: Loss,
        feeding: ScheduledSampling | None,
        executor: Executor | None,
    ) -> None:
        self.config, self.network, self.loss, self.feeding = config, network, loss, feeding
        self.engine: GradientEngine = config.engine() if feeding is None else feeding
        if executor is not None:
            self.engine = MapReduceEngine(self.engine, executor)
        self.optimizer = optimizers.make(config, trainable(network))

    @property
    def learning_rate(self) -> float:
        """Of this epoch."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def begin_epoch(self, progress: float) -> None:
        """Learning rate and share of own answers."""
        assert self.config.learning_rate is not None
        for group in self.optimizer.param_groups:
            group["lr"] = value_at(self.config.learning_rate, progress)
        if self.feeding is not None:
            self.feeding.own = value_at(self.config.own_answers, progress)

    def on(self, batch: SequenceBatch, place: str) -> Iterator[tuple[float, float]]:
        """A window's update follows the mean over its own answers; what is yielded is its part of the batch's loss."""
        if not bool(batch.target_mask.any()):
            return
        engine, loss = self.engine, self.loss
        if isinstance(engine, TruncatedBPTT):
            noting, weights = _Noting(loss), loss.weights(batch)
            windows = engine.windows(self.network, noting, batch, each_its_own_mean=loss.reduction != "sum")
            for start, (value, gradient) in zip(range(0, len(weights), engine.k1), windows, strict=True):
                asked = batch.target_mask[start : start + engine.k1]
                if bool(asked.any()):  # a window that asks nothing teaches nothing
                    norm = optimizers.step(self.optimizer, value, gradient, self.config, place)
                    yield float((weights[start : start + engine.k1][asked] * noting.found).sum()), norm
            return
        value, gradient = engine.value_and_gradient(self.network, loss, batch)
        yield float(value), optimizers.step(self.optimizer, value, gradient, self.config, place)

    def pack(self) -> dict[str, Tensor]:
        """See ``optimizers.pack``."""
        return optimizers.pack(self.optimizer)

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """See ``optimizers.unpack``."""
        optimizers.unpack(self.optimizer, packed)


class _Noting(Loss):
    """A loss that remembers the errors it found last."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.reduction)
        self.loss = loss
        self.found = torch.empty(0)

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        errors = self.loss.errors(outputs, targets)
        self.found = errors.detach()
        return errors

    def weights(self, batch: SequenceBatch) -> Tensor:
        return self.loss.weights(batch)
