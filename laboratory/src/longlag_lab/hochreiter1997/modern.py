"""What this library does today with a task of the 1997 paper: Adam on the full gradient, a cell of now."""

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

__all__ = ["Modern", "ModernTrial"]

_LOOK = 100  # sequences between looks at a test set
_AT_ONCE = 256  # test sequences in one batch


@dataclass(frozen=True, kw_only=True)
class Modern:
    """One layer of memory cells, trained by Adam on the full gradient of small fresh batches.

    Forget and input gates start with memories of every length up to that of the task (chrono initialisation). Outputs
    are trained by cross entropy where targets are classes, by the squared error elsewhere.
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
        """All trainable numbers."""
        return self.network().weight_count()

    def network(self) -> Network:
        """A fresh network, from torch's present generator."""
        lstm = LSTM(self.task.input_size, self.hidden_size, cell=self.cell, gradient=self.gradient)
        init.chrono_(lstm, self.longest)
        activation: Squash = "logistic" if self.classes else "identity"
        return Network(lstm, self.task.output_size, output_activation=activation)


class ModernTrial:
    """One network's training. ``solved_at`` counts sequences, as the paper does."""

    def __init__(self, modern: Modern, seed: np.random.SeedSequence, *, cap: int, data: np.random.SeedSequence) -> None:
        first, sequences, tests = seed.spawn(3)
        self.modern, self.cap = modern, cap
        self.rng, self.test_rng = np.random.default_rng(sequences), np.random.default_rng(tests)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(first.generate_state(1)[0]))
            self.network = modern.network()
        self.sequences = 0
        self.solved_at: int | None = None
        self.test: dict[str, float] = {}
        self.curve: list[tuple[int, float]] = []
        self._recent: tuple[NDArray[np.float64], NDArray[np.float64]] = (np.empty(0), np.empty(0))
        self.training: FlatSequences | None = None
        self.strings: FlatSequences | None = None
        task, rule = modern.task, modern.task.rules[modern.stop]
        if isinstance(task, EmbeddedReber):
            self.training, self.strings = task.training_and_test(np.random.default_rng(data))
        elif isinstance(task, NoiseFreeLag):
            self.strings = task.both()
        elif not isinstance(rule, RecentRun):
            self.strings = task.draw(getattr(rule, "size", 256), self.test_rng)

    def run(self, progress: Callable[[int], None]) -> None:
        """Until the rule holds, or the cap."""
        modern = self.modern
        optimizer = torch.optim.Adam(self.network.parameters(), lr=modern.learning_rate)
        seen: list[float] = []
        while self.solved_at is None and self.sequences < self.cap:
            count = min(modern.batch, self.cap - self.sequences)
            flat = self._draw(count)
            outputs, targets = self._answers(flat)
            said = outputs.detach().numpy()
            largest, mean = modern.task.errors(said, flat), modern.task.mean_errors(said, flat)
            loss = nn.functional.binary_cross_entropy if modern.classes else nn.functional.mse_loss
            optimizer.zero_grad()
            loss(outputs.clamp(1e-7, 1 - 1e-7) if modern.classes else outputs, targets).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), modern.clip)
            optimizer.step()
            self.sequences += count
            seen += mean.tolist()
            if len(seen) >= _LOOK or self.sequences >= self.cap:
                self.curve.append((self.sequences, float(np.mean(seen))))
                seen = []
                progress(self.sequences)
                if self._passes_test():
                    self._solve()
            if self._passes_recent(largest, mean):
                self._solve()

    def _draw(self, count: int) -> FlatSequences:
        if self.training is not None:
            return self.training.select(self.rng.integers(0, len(self.training), count))
        return self.modern.task.draw(count, self.rng)

    def _answers(self, flat: FlatSequences) -> tuple[Tensor, Tensor]:
        """Outputs and targets (M, K) where there are targets."""
        batch = flat.to_batch()
        outputs, _ = self.network.respond(batch)
        mask = batch.target_mask.T
        return outputs.transpose(0, 1)[mask], batch.targets.transpose(0, 1)[mask]

    def _passes_recent(self, largest: NDArray[np.float64], mean: NDArray[np.float64]) -> bool:
        rule = self.modern.task.rules[self.modern.stop]
        if not isinstance(rule, RecentRun):
            return False
        joined = np.append(self._recent[0], largest), np.append(self._recent[1], mean)
        self._recent = joined[0][-rule.window + 1 :], joined[1][-rule.window + 1 :]
        return rule.first_satisfied(*joined, tolerance=self.modern.task.tolerance) is not None

    def _passes_test(self) -> bool:
        task, rule = self.modern.task, self.modern.task.rules[self.modern.stop]
        if isinstance(rule, RecentRun) or self.strings is None:
            return False
        sets = [self.strings] if self.training is None else [self.strings, self.training]
        errors = [self._errors(flat) for flat in sets]
        largest, mean = (np.concatenate(parts) for parts in zip(*errors, strict=True))
        if isinstance(task, NoiseFreeLag):
            return bool((largest < task.tolerance).all())
        return rule.satisfied(largest, mean, task.tolerance)

    @torch.no_grad()
    def _errors(self, flat: FlatSequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of frozen weights; as soon as some sequences are wrong beyond repair, the others count as wrong too."""
        task, rule = self.modern.task, self.modern.task.rules[self.modern.stop]
        largest, mean = np.full(len(flat), np.inf), np.full(len(flat), np.inf)
        for start in range(0, len(flat), _AT_ONCE):
            part = flat.select(np.arange(start, min(start + _AT_ONCE, len(flat))))
            said = self._answers(part)[0].numpy()
            largest[start : start + _AT_ONCE] = task.errors(said, part)
            mean[start : start + _AT_ONCE] = task.mean_errors(said, part)
            wrong = (~(largest[: start + _AT_ONCE] < task.tolerance)).sum()
            if wrong >= getattr(rule, "wrong_below", 1):
                break
        return largest, mean

    def _solve(self) -> None:
        self.solved_at = self.sequences
        task = self.modern.task
        if isinstance(task.rules[self.modern.stop], AllStrings) or isinstance(task, NoiseFreeLag):
            return
        fresh = task.draw(2560, self.test_rng)
        parts = [fresh.select(np.arange(n, n + _AT_ONCE)) for n in range(0, 2560, _AT_ONCE)]
        with torch.no_grad():
            said = [self._answers(part)[0].numpy() for part in parts]
        largest = np.concatenate([task.errors(y, part) for y, part in zip(said, parts, strict=True)])
        mean = np.concatenate([task.mean_errors(y, part) for y, part in zip(said, parts, strict=True)])
        self.test = {
            "wrong": int((~(largest < task.tolerance)).sum()),
            "of": len(largest),
            "mean_error": float(mean.mean()),
        }
