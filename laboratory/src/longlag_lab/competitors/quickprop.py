"""Quickprop, a jump to the minimum of a parabola for every weight by itself, and when to stop it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Quickprop", "Stagnation"]


class Quickprop:
    """Quickprop for one array of weights (Fahlman 1988, "Faster-learning variations on back-propagation").

    With slope s now, slope p at the step before, and last step d, the next step is ``d * s / (p - s)``, but never more
    than ``mu * d``: that is taken where the slope has not fallen enough for the parabola to open upwards. Gradient
    descent ``-epsilon * s`` starts a weight that has not moved, and is added while the slope keeps its sign.

    Parameters
    ----------
    shape : tuple of int
        The shape of the weights.
    epsilon : float
        Rate of the gradient term. The slope is a sum over the training set, so this is small.
    mu : float
        Largest growth of a step.
    decay : float
        Times the weight, added to its slope.
    """

    def __init__(self, shape: tuple[int, ...], *, epsilon: float, mu: float, decay: float = 0.0) -> None:
        self.epsilon = epsilon
        self.mu = mu
        self.decay = decay
        self._step = np.zeros(shape)
        self._slope = np.zeros(shape)

    def step(self, weights: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weights after one step downhill; ``slope`` is the derivative of what is minimised."""
        slope = slope + self.decay * weights
        last, before = self._step, self._slope
        direction = np.sign(last)
        still_steep = direction * slope <= self.mu / (1 + self.mu) * direction * before
        parabola = np.divide(last * slope, before - slope, out=np.zeros_like(slope), where=~still_steep)
        move = np.where(still_steep, self.mu * last, parabola)
        move -= np.where(last * slope <= 0, self.epsilon * slope, 0.0)
        self._step, self._slope = move, slope
        moved: NDArray[np.float64] = weights + move
        return moved

    def add_row(self) -> None:
        """Add a row of weights, at rest; the others keep their last step and slope."""
        row = np.zeros((1, *self._step.shape[1:]))
        self._step = np.concatenate([self._step, row])
        self._slope = np.concatenate([self._slope, row])


class Stagnation:
    """Whether a score has not changed by a share of itself for so many epochs.

    ``wait_for_change``: the epochs count only after a first change (Fahlman's implementation does so for candidates,
    whose quickprop begins with very small steps).
    """

    def __init__(self, patience: int, threshold: float, *, wait_for_change: bool = False) -> None:
        self.patience, self.threshold, self.counting = patience, threshold, not wait_for_change
        self.last: float | None = None
        self.waited = 0

    def __call__(self, score: float) -> bool:
        self.waited += 1
        if self.last is None:
            self.last = score
        elif abs(score - self.last) > self.threshold * abs(self.last):
            self.last, self.waited, self.counting = score, 0, True
        return self.counting and self.waited >= self.patience
