"""Standardizer: each feature brought to mean 0 and standard deviation 1, as measured on the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import instance_of
from longlag.errors import InputError

__all__ = ["Standardizer"]


@dataclass(frozen=True, eq=False)
class Standardizer:
    """z = (x - mean) / scale, feature by feature. Make one with ``fit`` or ``from_state``.

    Parameters
    ----------
    mean : (F,) float64
    scale : (F,) float64
        The standard deviation (divided by N, as in NumPy); 1 for a feature that is constant.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            instance_of(name, getattr(self, name), np.ndarray, "an array (features,)")
        if self.mean.ndim != 1 or self.mean.shape != self.scale.shape:
            raise InputError(
                f"mean has shape {self.mean.shape} and scale {self.scale.shape}; expected (features,) both"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise InputError("a mean is not finite or a scale not positive and finite; expected both")

    @classmethod
    def fit(cls, training: ArrayLike | list[NDArray[Any]], weights: NDArray[np.float64] | None = None) -> Standardizer:
        """Measure the training part, and only it: (N, F) or (N,) values, or a list of (T_b, F) sequences.

        ``weights`` (N,), of at least 0, say what each row counts.

        Raises
        ------
        InputError
            If there are no rows, or a value is NaN or infinite (named by row and feature).
        """
        values = _matrix(training)
        if weights is not None and weights.shape != (len(values),):
            raise InputError(f"weights has shape {weights.shape}; expected ({len(values)},), one for each row")
        if not np.isfinite(values).all():
            row, feature = np.argwhere(~np.isfinite(values))[0]
            raise InputError(
                f"the training part is {values[row, feature]} at row {row}, feature {feature}; expected finite numbers"
            )
        # Divided by the largest before they are squared or summed, so that neither 1e200 nor 1e-200 is lost, and
        # a constant feature is 1 exactly: its mean comes back as it was and its scale is 0 without rounding.
        largest = np.abs(values).max(axis=0)
        largest[largest == 0] = 1.0
        unit = values / largest
        mean = np.average(unit, axis=0, weights=weights)
        apart = np.abs(unit - mean).max(axis=0)
        apart[apart == 0] = 1.0
        with np.errstate(over="ignore"):  # an infinite scale is refused below
            square = np.average(((unit - mean) / apart) ** 2, axis=0, weights=weights)
            scale = np.sqrt(square) * apart * largest
        scale[scale == 0] = 1.0
        return cls(mean * largest, scale)

    def transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """Standardised values, float64, in the shape given: (..., F), or (N,) where there is one feature."""
        matrix = self._checked(values)
        return ((matrix.reshape(-1, len(self.mean)) - self.mean) / self.scale).reshape(matrix.shape)

    def inverse(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values in the units of the training part from standardised ones, in the shape given."""
        matrix = self._checked(values)
        return (matrix.reshape(-1, len(self.mean)) * self.scale + self.mean).reshape(matrix.shape)

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Arrays to save, which ``from_state`` takes back."""
        return {"mean": self.mean.copy(), "scale": self.scale.copy()}

    @classmethod
    def from_state(cls, state: Mapping[str, ArrayLike]) -> Standardizer:
        """The standardizer whose ``state`` was saved.

        Raises
        ------
        InputError
            If an entry is missing or unknown, or the arrays are not what a standardizer has.
        """
        instance_of("state", state, Mapping, "what Standardizer.state gave")
        if set(state) != {"mean", "scale"}:
            raise InputError(f"the state has the entries {sorted(state)}; expected 'mean' and 'scale'")
        return cls(_numbers(state["mean"], "mean").copy(), _numbers(state["scale"], "scale").copy())

    def _checked(self, values: ArrayLike) -> NDArray[np.float64]:
        matrix, features = _numbers(values, "values"), len(self.mean)
        if matrix.ndim == 0 or (matrix.shape[-1] != features and not (matrix.ndim == 1 and features == 1)):
            raise InputError(f"values have shape {matrix.shape}; expected {features} features last, as in fit")
        return matrix


def _numbers(values: Any, what: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":  # NumPy would drop the imaginary parts
            raise TypeError("they are complex")
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:  # text, objects, rows of different length
        raise InputError(f"{what} cannot be read as numbers ({error}); expected an array of them") from error


def _matrix(training: ArrayLike | list[NDArray[Any]]) -> NDArray[np.float64]:
    if isinstance(training, list) and training and all(np.ndim(sequence) == 2 for sequence in training):
        widths = {np.shape(sequence)[1] for sequence in training}
        if len(widths) > 1:
            raise InputError(f"the sequences have {sorted(widths)} features; expected the same number in all")
        training = np.concatenate(training)
    values = _numbers(training, "the training part")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"the training part has shape {values.shape}; expected (rows, features), at least one each")
    return values
