"""Today's method on the tasks of the 1997 paper: Adam on the full gradient of small batches, and today's cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from longlag.cell import CellSpec, Squash
from longlag.data.flat import FlatSequences
from longlag.nn import init
from longlag.nn.lstm import LSTM
from longlag.nn.network import Network
from longlag.tasks import AllStrings, EmbeddedReber, NoiseFreeLag, RecentRun, Task

__all__ = ["AdamReference", "AdamTrial"]

_LOOK = 100  # sequences between looks at a test set
_AT_ONCE = 256  # test sequences in one batch


@dataclass(frozen=True, kw_only=True)
class AdamReference:
    """One layer of memory cells, trained by Adam on the full gradient of small fresh batches.

    Forget and input gates start with memories of every length up to that of the task (chrono initialisation).

    Parameters
    ----------
    why : str
        What differs from the paper, for the table's footnotes.
    task : Task
    stop : str
        The rule that ends a trial as solved; a name of ``task.rules``.
    hidden_size : int
    cell : CellSpec
    learning_rate : float
    batch : int
        Sequences of an update.
    classes : bool
        Targets are classes: outputs are trained by cross entropy, instead of by the squared error.
    longest : int
        The longest memory of the chrono initialisation, in steps.
    gradient : {"full", "truncated"}
    clip : float
        The largest norm of a gradient.
    """

    why: str
    task: Task
    stop: str
    hidden_size: int = 8
    cell: CellSpec = CellSpec(biases="single")  # noqa: RUF009 - frozen data
    learning_rate: float = 0.01
    batch: int = 10
    classes: bool = False
    longest: int = 100
    gradient: Literal["full", "truncated"] = "full"
    clip: float = 1.0

    def weight_count(self) -> int:
        """Return the number of trainable numbers."""
        return self.network().weight_count()

    def network(self) -> Network:
        """Return a fresh network, drawn from torch's present generator."""
        lstm = LSTM(self.task.input_size, self.hidden_size, cell=self.cell, gradient=self.gradient)
        init.chrono_(lstm, self.longest)
        activation: Squash = "logistic" if self.classes else "identity"
        return Network(lstm, self.task.output_size, output_activation=activation)


class AdamTrial:
    """One network's training. ``solved_at`` counts sequences, as the paper does."""

    def __init__(
        self, config: AdamReference, seed: np.random.SeedSequence, *, cap: int, data: np.random.SeedSequence
    ) -> None:
        first, sequences, tests = seed.spawn(3)
        self.config, self.cap = config, cap
        self.rng, self.test_rng = np.random.default_rng(sequences), np.random.default_rng(tests)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(first.generate_state(1)[0]))
            self.network = config.network()
        self.sequences = 0
        self.solved_at: int | None = None
        self.test: dict[str, float] = {}
        self.curve: list[tuple[int, float]] = []
        self._recent: tuple[NDArray[np.float64], NDArray[np.float64]] = (np.empty(0), np.empty(0))
        self.training: FlatSequences | None = None
        self.test_set: FlatSequences | None = None
        task, rule = config.task, config.task.rules[config.stop]
        if isinstance(task, EmbeddedReber):
            self.training, self.test_set = task.training_and_test(np.random.default_rng(data))
        elif isinstance(task, NoiseFreeLag):
            self.test_set = task.both()
        elif not isinstance(rule, RecentRun):
            self.test_set = task.draw(getattr(rule, "size", 256), self.test_rng)

    def run(self, progress: Callable[[int], None]) -> None:
        """Train until the rule holds, or the cap is reached. ``progress`` gets the sequences read so far."""
        config = self.config
        optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        errors: list[float] = []  # since the last point of the curve
        while self.solved_at is None and self.sequences < self.cap:
            count = min(config.batch, self.cap - self.sequences)
            flat = self._draw(count)
            outputs, targets = self._outputs_and_targets(flat)
            values = outputs.detach().numpy()
            largest, mean = config.task.errors(values, flat), config.task.mean_errors(values, flat)
            loss = nn.functional.binary_cross_entropy if config.classes else nn.functional.mse_loss
            optimizer.zero_grad()
            loss(outputs.clamp(1e-7, 1 - 1e-7) if config.classes else outputs, targets).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
            optimizer.step()
            self.sequences += count
            errors += mean.tolist()
            if len(errors) >= _LOOK or self.sequences >= self.cap:
                self.curve.append((self.sequences, float(np.mean(errors))))
                errors = []
                progress(self.sequences)
                if self._passes_test():
                    self._solve()
            if self._passes_recent(largest, mean):
                self._solve()

    def _draw(self, count: int) -> FlatSequences:
        if self.training is not None:
            return self.training.select(self.rng.integers(0, len(self.training), count))
        return self.config.task.draw(count, self.rng)

    def _outputs_and_targets(self, flat: FlatSequences) -> tuple[Tensor, Tensor]:
        """Return outputs and targets at the steps that have targets, each (M, K)."""
        batch = flat.to_batch()
        outputs, _ = self.network.respond(batch)
        mask = batch.target_mask.T
        return outputs.transpose(0, 1)[mask], batch.targets.transpose(0, 1)[mask]

    def _passes_recent(self, largest: NDArray[np.float64], mean: NDArray[np.float64]) -> bool:
        rule = self.config.task.rules[self.config.stop]
        if not isinstance(rule, RecentRun):
            return False
        joined = np.append(self._recent[0], largest), np.append(self._recent[1], mean)
        self._recent = joined[0][-rule.window + 1 :], joined[1][-rule.window + 1 :]
        return rule.first_satisfied(*joined, tolerance=self.config.task.tolerance) is not None

    def _passes_test(self) -> bool:
        task, rule = self.config.task, self.config.task.rules[self.config.stop]
        if isinstance(rule, RecentRun) or self.test_set is None:
            return False
        sets = [self.test_set] if self.training is None else [self.test_set, self.training]
        errors = [self._errors(flat) for flat in sets]
        largest, mean = (np.concatenate(parts) for parts in zip(*errors, strict=True))
        if isinstance(task, NoiseFreeLag):
            return bool((largest < task.tolerance).all())
        return rule.satisfied(largest, mean, task.tolerance)

    @torch.no_grad()
    def _errors(self, flat: FlatSequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Largest and mean error of each sequence. Once the rule cannot hold any more, the others count as infinite."""
        task, rule = self.config.task, self.config.task.rules[self.config.stop]
        largest, mean = np.full(len(flat), np.inf), np.full(len(flat), np.inf)
        for start in range(0, len(flat), _AT_ONCE):
            part = flat.select(np.arange(start, min(start + _AT_ONCE, len(flat))))
            values = self._outputs_and_targets(part)[0].numpy()
            largest[start : start + _AT_ONCE] = task.errors(values, part)
            mean[start : start + _AT_ONCE] = task.mean_errors(values, part)
            wrong = (~(largest[: start + _AT_ONCE] < task.tolerance)).sum()
            if wrong >= getattr(rule, "wrong_below", 1):
                break
        return largest, mean

    def _solve(self) -> None:
        self.solved_at = self.sequences
        task = self.config.task
        if isinstance(task.rules[self.config.stop], AllStrings) or isinstance(task, NoiseFreeLag):
            return
        fresh = task.draw(2560, self.test_rng)
        parts = [fresh.select(np.arange(n, n + _AT_ONCE)) for n in range(0, 2560, _AT_ONCE)]
        with torch.no_grad():
            outputs = [self._outputs_and_targets(part)[0].numpy() for part in parts]
        largest = np.concatenate([task.errors(y, part) for y, part in zip(outputs, parts, strict=True)])
        mean = np.concatenate([task.mean_errors(y, part) for y, part in zip(outputs, parts, strict=True)])
        self.test = {
            "wrong": int((~(largest < task.tolerance)).sum()),
            "of": len(largest),
            "mean_error": float(mean.mean()),
        }
