"""Recurrent cascade-correlation: hidden units with a self-connection, trained, frozen and added one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from longlag.errors import InputError
from longlag_lab.competitors.measures import all_right, covariance, output_errors, weight_count
from longlag_lab.competitors.quickprop import Quickprop, Stagnation
from longlag_lab.competitors.self_recurrent import Floats, Strings, unit_gradient, unit_values

__all__ = ["CascadeCorrelation", "CascadeResult", "Phase", "Strings", "weight_count"]


class Phase(NamedTuple):
    """One training phase: passes over the training set, and the squared error or the best covariance at its end."""

    trained: Literal["outputs", "candidates"]
    epochs: int
    hidden_units: int
    score: float


@dataclass(frozen=True, kw_only=True)
class CascadeResult:
    """What has come of a trial.

    ``solved``: every prediction of both sets is right. ``presentations``: passes over the training set, of outputs and
    of candidates, times its strings. ``weights``: those of the net at the end, biases and self-connections included.
    """

    solved: bool
    presentations: int
    hidden_units: int
    weights: int
    history: tuple[Phase, ...]


@dataclass(frozen=True, kw_only=True)
class CascadeCorrelation:
    """Recurrent cascade-correlation (RCC: Fahlman 1991, NIPS 3, and CMU-CS-91-100), on the prediction of next symbols.

    Output units read a bias, the inputs and all hidden units; quickprop trains them on the squared error until it
    stagnates. Then candidates read the bias, the inputs, all hidden units and their own last value; quickprop trains
    them to covary with the errors that are left; the best is frozen and becomes a hidden unit. And so on.

    The defaults are those of Fahlman's public cascade-correlation program (cascor1) but for ``output_threshold``: its
    0.01 fits errors that can fall to zero; here most of the error is the choice among legal symbols, and stays.

    Parameters
    ----------
    max_units : int
        Hidden units after which a trial is given up.
    candidates : int
        Size of the pool.
    weight_range : float
        First weights are uniform in [-range, range].
    output_epsilon, output_mu, output_decay, candidate_epsilon, candidate_mu, candidate_decay : float
        Of :class:`Quickprop`. The epsilons are for the mean over all symbols; a candidate's is divided by its inputs.
    output_patience, candidate_patience : int
        Epochs without a change worth the name that end a phase.
    output_threshold, candidate_threshold : float
        The share by which the error or the best covariance has to change.
    output_epochs, candidate_epochs : int
        Most epochs of a phase.
    prime_offset : float
        Added to the slope of the output units, so that a saturated one still learns.
    check_every : int
        Output epochs between two looks at whether the task is solved; the end of a phase is always looked at.
    """

    max_units: int = 15
    candidates: int = 8
    weight_range: float = 1.0
    output_epsilon: float = 0.35
    output_mu: float = 2.0
    output_decay: float = 1e-4
    output_patience: int = 8
    output_threshold: float = 0.001
    output_epochs: int = 100
    candidate_epsilon: float = 1.0
    candidate_mu: float = 2.0
    candidate_decay: float = 0.0
    candidate_patience: int = 8
    candidate_threshold: float = 0.03
    candidate_epochs: int = 100
    prime_offset: float = 0.1
    check_every: int = 5

    def fit(self, training: Strings, test: Strings, *, seed: int, cap: int) -> CascadeResult:
        """Run one trial. ``cap`` bounds the presentations: no pass begins that would exceed it."""
        if training.legal.shape[1] != test.legal.shape[1]:
            raise InputError(f"{training.legal.shape[1]} training symbols, {test.legal.shape[1]} in the test set")
        trial = _Trial(self, training, test, np.random.default_rng(seed), cap // len(training.lengths))
        solved = trial.train_outputs()
        while not solved and trial.passes_left and trial.hidden < self.max_units:
            trial.add_unit()
            solved = trial.train_outputs()
        return CascadeResult(
            solved=solved,
            presentations=sum(phase.epochs for phase in trial.history) * len(training.lengths),
            hidden_units=trial.hidden,
            weights=weight_count(training.legal.shape[1], trial.hidden),
            history=tuple(trial.history),
        )


class _Trial:
    """The growing net and its training set: values of frozen units are kept as columns of the features."""

    def __init__(
        self, settings: CascadeCorrelation, training: Strings, test: Strings, random: np.random.Generator, passes: int
    ) -> None:
        self.settings, self.training, self.test = settings, training, test
        self.random, self.passes_left = random, passes
        self.features, self.test_features = training.bias_and_inputs, test.bias_and_inputs
        self.legal, self.test_legal = training.legal[training.order], test.legal[test.order]
        symbols = training.legal.shape[1]
        self.goals = np.eye(symbols)[training.targets[training.order]] - 0.5
        self.weights = self._draw(1 + symbols, symbols)
        self.optimizer = Quickprop(
            self.weights.shape,
            epsilon=settings.output_epsilon / len(self.goals),
            mu=settings.output_mu,
            decay=settings.output_decay,
        )
        self.errors = np.zeros_like(self.goals)
        self.hidden = 0
        self.history: list[Phase] = []

    def _draw(self, *shape: int) -> Floats:
        return self.random.uniform(-self.settings.weight_range, self.settings.weight_range, shape)

    def train_outputs(self) -> bool:
        """Train the outputs until they stagnate; True as soon as the task is seen to be solved."""
        settings, epoch, error, solved = self.settings, 0, 0.0, False
        stagnant = Stagnation(settings.output_patience, settings.output_threshold)
        while self.passes_left and epoch < settings.output_epochs:
            outputs, differences, self.errors = output_errors(
                self.features, self.weights, self.goals, settings.prime_offset
            )
            self.passes_left -= 1
            epoch += 1
            error = float(np.square(differences).sum())
            ends = stagnant(error) or epoch == settings.output_epochs or not self.passes_left
            solved = (ends or epoch % settings.check_every == 0) and self._solved(outputs)
            if ends or solved:
                break
            self.weights = self.optimizer.step(self.weights, self.features.T @ self.errors)
        self.history.append(Phase("outputs", epoch, self.hidden, error))
        return solved

    def _solved(self, outputs: Floats) -> bool:
        return all_right(outputs, self.legal) and all_right(self.test_features @ self.weights, self.test_legal)

    def add_unit(self) -> None:
        """Train a pool of candidates until the best stagnates, and make that one a hidden unit."""
        settings, epoch = self.settings, 0
        weights = self._draw(self.features.shape[1] + 1, settings.candidates)
        optimizer = Quickprop(
            weights.shape,
            epsilon=settings.candidate_epsilon / (len(self.goals) * len(weights)),
            mu=settings.candidate_mu,
            decay=settings.candidate_decay,
        )
        stagnant = Stagnation(settings.candidate_patience, settings.candidate_threshold, wait_for_change=True)
        while True:
            values = unit_values(self.features, weights, self.training)
            scores, pull = covariance(values, self.errors)
            self.passes_left -= 1
            epoch += 1
            if stagnant(float(scores.max())) or epoch == settings.candidate_epochs or not self.passes_left:
                break
            slope = -unit_gradient(self.features, weights, values, pull, self.training)
            weights = optimizer.step(weights, slope)
        best = int(scores.argmax())
        self.history.append(Phase("candidates", epoch, self.hidden, float(scores[best])))
        self._install(weights[:, [best]], values[:, [best]])

    def _install(self, weights: Floats, values: Floats) -> None:
        """Add a column of features; outputs start from minus their error's covariance with it."""
        centred = self.errors - self.errors.mean(axis=0)
        first = -(values.T @ centred) / np.square(self.errors).sum()
        self.features = np.concatenate([self.features, values], axis=1)
        test_values = unit_values(self.test_features, weights, self.test)
        self.test_features = np.concatenate([self.test_features, test_values], axis=1)
        self.weights = np.concatenate([self.weights, first])
        self.optimizer.add_row()
        self.hidden += 1
