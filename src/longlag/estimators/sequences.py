"""What users call X, as sequences: 2-D tables, 3-D arrays, lists of arrays of unequal length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor

from longlag.data import Sequences
from longlag.data.scale import Standardizer
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError

__all__ = ["Steps", "read_sequences"]

_STEPS_PER_PASS = 2**16  # of padded sequences that a network reads at once where nothing is learned


@dataclass(frozen=True, eq=False)
class Steps:
    """Sequences laid end to end.

    values : (S, F) float64, the steps of all sequences, each sequence's in their order
    lengths : (B,) int64, steps of each sequence, at least one; their sum is S
    """

    values: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of sequences B."""
        return len(self.lengths)

    def take(self, chosen: NDArray[np.int64]) -> Steps:
        """The sequences of these numbers, in this order."""
        lengths = self.lengths[chosen]
        begins = np.cumsum(self.lengths)[chosen] - lengths
        shifts = begins - (np.cumsum(lengths) - lengths)
        return Steps(self.values[np.arange(lengths.sum()) + np.repeat(shifts, lengths)], lengths)

    def scaled(self, scaler: Standardizer | None, dtype: torch.dtype) -> Steps:
        """Standardised, if there is a scaler.

        Raises
        ------
        InputError
            If a value is then too large for ``dtype``, naming sequence and step.
        """
        with np.errstate(over="ignore"):
            values = self.values if scaler is None else scaler.transform(self.values)
        large = ~(np.abs(values) <= torch.finfo(dtype).max)
        if large.any():
            row, feature = np.argwhere(large)[0]
            sequence = int(np.searchsorted(np.cumsum(self.lengths), row, side="right"))
            step = row - self.lengths[:sequence].sum()
            raise InputError(
                f"sequence {sequence} is {self.values[row, feature]} at step {step}, feature {feature}, which is too "
                f"large for {dtype}" + ("" if scaler is None else " once standardised")
            )
        return Steps(values, self.lengths)

    def padded(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Inputs (T, B, F), zero beyond each length, and lengths (B,): what a network reads."""
        longest = int(self.lengths.max())
        room = np.zeros((len(self), longest, self.values.shape[1]))
        room[np.arange(longest) < self.lengths[:, None]] = self.values
        inputs = torch.from_numpy(room).transpose(0, 1).to(dtype).contiguous()
        return inputs, torch.from_numpy(self.lengths.copy())

    def batch(
        self, targets: NDArray[Any], dtype: torch.dtype, weights: NDArray[np.float64] | None = None
    ) -> SequenceBatch:
        """With one answer each, at the last step: (B,) int64 class numbers or (B, K) real numbers; and weights (B,)."""
        inputs, lengths = self.padded(dtype)
        answers = torch.from_numpy(np.array(targets))
        answers = answers.to(dtype) if answers.is_floating_point() else answers
        ends = (lengths - 1, torch.arange(len(self), device=inputs.device))
        spread = answers.new_zeros((inputs.shape[0], *answers.shape))
        spread[ends] = answers
        mask = torch.zeros(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        mask[ends] = True
        return SequenceBatch(
            inputs, lengths, spread, mask, None if weights is None else torch.from_numpy(weights).to(inputs)
        )

    def passes(self) -> Iterator[NDArray[np.int64]]:
        """All sequence numbers, in portions of similar length that need little memory together."""
        order = np.argsort(self.lengths, kind="stable")
        start = 0
        while start < len(order):
            rest = self.lengths[order[start:]]  # ascending: the last of a portion is its longest
            count = int(np.searchsorted(rest * np.arange(1, len(rest) + 1), _STEPS_PER_PASS, side="right"))
            yield order[start : start + max(count, 1)]
            start += max(count, 1)


def read_sequences(estimator: Any, X: Any, *, reset: bool) -> Steps:
    """Read X, and check it against what ``estimator`` was fitted on, or with ``reset`` remember what it is.

    Parameters
    ----------
    estimator : a scikit-learn estimator
        With ``reset`` it gets ``n_features_in_`` (columns of a table, else features per step), ``n_steps_in_`` (columns
        of a table, else None) and, from a table whose columns have names, ``feature_names_in_``. Without, it has these
        and ``network_``.
    X : one of
        a table (n, d): array, data frame or list of equally long lists of numbers; each row is a sequence of d steps of
        one feature; a 3-D array (n, T, F); a list of (T_b, F) or (T_b,) arrays; an object array of such arrays;
        ``longlag.data.Sequences``. Tensors count as arrays.

    Raises
    ------
    ValueError, TypeError
        For tables, those of scikit-learn.
    InputError (a ValueError)
        For other forms: what is wrong at which sequence and step.
    """
    if isinstance(X, SequenceBatch):
        raise InputError(
            "X is a SequenceBatch, which has its own targets; expected a table, 3-D array or list of arrays"
        )
    if isinstance(X, Sequences):
        X = X.arrays
    elif isinstance(X, Tensor):
        X = _array(X)
    cube = X if isinstance(X, (list, tuple)) else _beyond_table(X)
    if cube is None or (isinstance(cube, (list, tuple)) and _is_table(cube)):
        return _table(estimator, X, reset=reset)
    steps = _cube(cube) if isinstance(cube, np.ndarray) and cube.ndim == 3 else _list(cube)
    features = steps.values.shape[1]
    if reset:
        estimator.n_features_in_, estimator.n_steps_in_ = features, None
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif features != estimator.network_.lstm.input_size:
        raise InputError(
            f"X has {features} features per step, but {type(estimator).__name__} is expecting "
            f"{estimator.network_.lstm.input_size} features per step, as in fit"
        )
    return steps


# -- tables ------------------------------------------------------------------------------------------------------------


def _table(estimator: Any, X: Any, *, reset: bool) -> Steps:
    """Rows are sequences of one feature. Whatever is wrong is reported as every scikit-learn estimator does."""
    if reset or estimator.n_steps_in_ is not None:
        table = validate_data(estimator, X, reset=reset)
        if reset:
            estimator.n_steps_in_ = table.shape[1]
    else:
        table = check_array(X, estimator=estimator, input_name="X")
        features = estimator.network_.lstm.input_size
        if features != 1:
            raise InputError(
                f"X is 2-D, so its rows are sequences of one feature, but {type(estimator).__name__} was fitted on "
                f"{features} features per step; expected a 3-D array or a list of (steps, {features}) arrays "
                "(for a single sequence, a list of one)"
            )
    values = table.astype(np.float64).reshape(-1, 1)
    return Steps(values, np.full(len(table), table.shape[1], dtype=np.int64))


def _beyond_table(X: Any) -> NDArray[Any] | None:
    """X as a 3-D array or a 1-D array of arrays; None if it is neither, which is then scikit-learn's to judge."""
    if hasattr(X, "columns") or hasattr(X, "__dataframe__") or not hasattr(X, "__array__"):
        return None
    array = np.asarray(X)
    if array.ndim >= 3 or (array.ndim == 1 and array.dtype == object and any(_depth(item) for item in array)):
        return array
    return None


def _is_table(rows: Any) -> bool:
    """Numbers, or equally long lists of numbers. A list of arrays is no table: the next one may be longer."""
    depths = {_depth(row) for row in rows}
    if depths <= {0}:
        return True
    return (
        depths == {1} and len({len(row) for row in rows}) == 1 and all(isinstance(row, (list, tuple)) for row in rows)
    )


def _depth(item: Any) -> int:
    """Axes of an array or of nested lists; 0 for whatever is no sequence."""
    if isinstance(item, (list, tuple)):
        return 1 + (_depth(item[0]) if item else 0)
    return len(item.shape) if hasattr(item, "__array__") and hasattr(item, "shape") else 0


# -- sequences ---------------------------------------------------------------------------------------------------------


def _cube(cube: NDArray[Any]) -> Steps:
    count, length, features = cube.shape
    if not cube.size:
        raise InputError(f"X has shape {cube.shape}; expected at least one sequence, step and feature")
    values = _numbers(cube, "X")
    bad = ~np.isfinite(values)
    if bad.any():
        sequence, step, feature = np.argwhere(bad)[0]
        raise InputError(_not_finite(values[sequence, step, feature], sequence, step, feature))
    return Steps(values.reshape(-1, features), np.full(count, length, dtype=np.int64))


def _list(items: Any) -> Steps:
    arrays: list[NDArray[np.float64]] = []
    for number, item in enumerate(items):
        array = _sequence(item, number)
        if array.shape[1] != (arrays or [array])[0].shape[1]:
            raise InputError(
                f"sequence {number} has {array.shape[1]} features, but sequence 0 has {arrays[0].shape[1]}; "
                "expected the same number in all"
            )
        bad = ~np.isfinite(array)
        if bad.any():
            step, feature = np.argwhere(bad)[0]
            raise InputError(_not_finite(array[step, feature], number, step, feature))
        arrays.append(array)
    return Steps(np.concatenate(arrays), np.array([len(array) for array in arrays], dtype=np.int64))


def _sequence(item: Any, number: int) -> NDArray[np.float64]:
    """One sequence as (T, F)."""
    try:
        raw = _array(item)
    except ValueError as error:
        raise InputError(f"sequence {number} is not rectangular ({error}); expected (steps, features)") from error
    if raw.ndim not in (1, 2):
        what = f"has shape {raw.shape}" if raw.ndim else f"is a {type(item).__name__}"
        raise InputError(f"sequence {number} {what}; expected an array (steps, features) or (steps,)")
    if not raw.size:
        raise InputError(f"sequence {number} has shape {raw.shape}; expected at least one step and feature")
    values = _numbers(raw, f"sequence {number}")
    return values[:, None] if values.ndim == 1 else values


def _array(item: Any) -> NDArray[Any]:
    if isinstance(item, Tensor):
        item = item.detach().cpu()
        item = item.double() if item.dtype == torch.bfloat16 else item  # NumPy has none
    return np.asarray(item)


def _numbers(array: NDArray[Any], what: str) -> NDArray[np.float64]:
    """As float64. Text that looks like a number is not one."""
    if array.dtype.kind == "c":
        raise InputError(f"Complex data not supported: {what} is {array.dtype}; expected real numbers")
    wrong: Any = None if array.dtype.kind in "biuf" else array.flat[0]
    if array.dtype == object:
        wrong = next((value for value in array.flat if not _is_number(value)), None)
    if wrong is not None:
        raise InputError(f"{what} holds a {type(wrong).__name__}; expected numbers")
    return array.astype(np.float64)


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"


def _not_finite(value: float, sequence: int, step: int, feature: int) -> str:
    return f"sequence {sequence} is {value} at step {step}, feature {feature}; expected finite numbers"
