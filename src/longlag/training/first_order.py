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
from longlag.training import torch_optimizers
from longlag.training.config import TrainingConfig
from longlag.training.schedules import value_at

__all__ = ["FirstOrderStep"]


class FirstOrderStep:
    """``TrainStep`` of a first-order optimiser: one update for each batch, or for each window of truncated BPTT."""

    advice = torch_optimizers.ADVICE
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
        self.optimizer = torch_optimizers.make(config, trainable(network))

    @property
    def learning_rate(self) -> float:
        """The learning rate of this epoch."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def begin_epoch(self, progress: float) -> None:
        """Set the learning rate and the probability of feeding answers back."""
        assert self.config.learning_rate is not None
        for group in self.optimizer.param_groups:
            group["lr"] = value_at(self.config.learning_rate, progress)
        if self.feeding is not None:
            self.feeding.sampling_probability = value_at(self.config.sampling_probability, progress)

    def on(self, batch: SequenceBatch, place: str) -> Iterator[tuple[float, float]]:
        """Make one update, or one for each window, each of which follows the mean over the window's own answers."""
        if not bool(batch.target_mask.any()):
            return
        engine, loss = self.engine, self.loss
        if isinstance(engine, TruncatedBPTT):
            recording, weights = _RecordingLoss(loss), loss.weights(batch)
            windows = engine.windows(self.network, recording, batch, each_its_own_mean=loss.reduction != "sum")
            for start, (value, gradient) in zip(range(0, len(weights), engine.k1), windows, strict=True):
                mask = batch.target_mask[start : start + engine.k1]
                if bool(mask.any()):  # a window without targets teaches nothing
                    norm = torch_optimizers.step(self.optimizer, value, gradient, self.config, place)
                    yield float((weights[start : start + engine.k1][mask] * recording.latest).sum()), norm
            return
        value, gradient = engine.value_and_gradient(self.network, loss, batch)
        yield float(value), torch_optimizers.step(self.optimizer, value, gradient, self.config, place)

    def pack(self) -> dict[str, Tensor]:
        """The memory of torch's optimiser as named tensors."""
        return torch_optimizers.pack(self.optimizer)

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Put back the memory that ``pack`` took. CheckpointError if it is another optimiser's."""
        torch_optimizers.unpack(self.optimizer, packed)


class _RecordingLoss(Loss):
    """A loss that keeps the errors of its latest call."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.reduction)
        self.loss = loss
        self.latest = torch.empty(0, device="cpu")

    def errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        errors = self.loss.errors(outputs, targets)
        self.latest = errors.detach()
        return errors

    def weights(self, batch: SequenceBatch) -> Tensor:
        return self.loss.weights(batch)
