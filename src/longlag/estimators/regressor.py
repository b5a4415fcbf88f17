"""LSTMRegressor: one value, or one vector of values, per sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags, check_array, check_consistent_length

from longlag.checks import LARGEST, true_or_false
from longlag.data.scale import Standardizer
from longlag.errors import InputError
from longlag.estimators.base import learning
from longlag.estimators.documentation import documented
from longlag.estimators.saving import check_keys, scaler_arrays, scaler_of
from longlag.estimators.sequence_to_one import SequenceEstimator, check_fitted, require_answers
from longlag.estimators.sequences import Steps, read_sequences
from longlag.estimators.weighting import read_weights, shares
from longlag.nn import MeanSquaredError
from longlag.panels.rows import Duplicates, Gaps

__all__ = ["LSTMRegressor"]


@documented
class LSTMRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Predict numbers from a sequence. An LSTM reads it; linear output units read the cells after its last step.

    A few networks of different seeds learn alike, and their answers are averaged.

    {sequences}

    Parameters
    ----------
    {sequence_network}
    {training}
    {sequence_training}
    standardize : bool
        Bring each feature and each target to mean 0 and deviation 1, as measured on the training part (features over
        all its steps). Predictions are in the unit of ``y`` either way.
    {warm_start}
    {run}

    Attributes
    ----------
    n_outputs_ : int, numbers per sequence
    target_scaler_ : Standardizer or None
    {sequence_attributes}
    {fitted}

    Raises
    ------
    ValueError, TypeError
        For unusable tables and targets, scikit-learn's own.
    InputError (a ValueError)
        For other unusable sequences, naming sequence and step; for impossible parameters.
    DivergenceError
        If training stops being finite.

    Examples
    --------
    >>> X, y = [[[1.0], [2.0]], [[3.0], [0.0], [0.0]]], [3.0, 30.0]
    >>> LSTMRegressor(random_state=0).fit(X, y).predict(X).round().tolist()
    [3.0, 30.0]
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | str | None = None,
        *,
        target: str | None = None,
        id: str | None = None,
        time: str | None = None,
        features: Sequence[str] | None = None,
        duplicates: Duplicates | None = None,
        gaps: Gaps | None = None,
    ) -> Self:
        """Learn from n sequences and their targets.

        Former fits are forgotten, unless ``warm_start`` goes on from the last one.

        Parameters
        ----------
        X : sequences, or with ``id`` a long table: a data frame, a dict of columns or a ``Table`` with a row a step
        y : (n,) or (n, K) the numbers to predict
        sample_weight : (n,), of at least 0
            What each sequence counts: one of weight 2 counts as twice the sequence, one of 0 is left out. The name of
            a column of a long table.
        target, id, time, features : columns of a long table
            What is to be answered, one value for each sequence; which sequence a row belongs to; the order of its rows,
            which without it stand together; and the numbers of a step, which are all other columns without it.
        duplicates, gaps : as ``longlag.data.sequences_by`` has them
        """
        with learning():
            goes_on = self._begin()
            X, y, sample_weight, columns = self._read_fit(
                X,
                y,
                sample_weight,
                target=target,
                id=id,
                time=time,
                features=features,
                duplicates=duplicates,
                gaps=gaps,
            )
            sequences = read_sequences(self, X, reset=not goes_on)
            require_answers(self, y)
            targets = check_array(y, ensure_2d=False, input_name="y", estimator=self).astype(np.float64)
            check_consistent_length(sequences.lengths, targets)
            if goes_on:
                self._require_former(targets)
            weights = read_weights(sample_weight, len(targets))
            self._flat, self.columns_ = targets.ndim == 1, columns
            targets = targets.reshape(len(targets), -1)
            self.n_outputs_ = targets.shape[1]
            self._learn(sequences, targets, self.n_outputs_, MeanSquaredError(), weights=weights, goes_on=goes_on)
        return self

    def _require_former(self, targets: NDArray[np.float64]) -> None:
        """Refuse targets that the networks of the former fit have not."""
        former = () if self._flat else (self.n_outputs_,)
        if targets.shape[1:] != former:
            raise InputError(
                f"y has shape {targets.shape}, but the former fit had {(*former, 1)[0]} numbers for each sequence; "
                "expected the same with warm_start"
            )

    def predict(self, X: Any) -> Any:
        """(n,) or (n, K), as ``y`` was: the predictions, in its unit.

        Of a long table, where the model was fitted on one, a frame of the same kind (or a dict): a row for each
        sequence, sorted by their names, with the column that is predicted.
        """
        table = self._long_table(X)
        numbers = self._predictions(X if table is None else table.sequences.arrays)
        if table is None or self.columns_ is None:
            return numbers
        return table.answers(self.columns_.id, {self.columns_.target: numbers})

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The coefficient of determination R^2. Without ``y``, X is a long table that has the numbers."""
        return float(super().score(*self._labelled(X, y), sample_weight))

    def _predictions(self, X: Any) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            outputs: NDArray[np.float64] = self._respond(X).mean(axis=0)
        if self.target_scaler_ is not None:
            with np.errstate(over="ignore"):
                outputs = self.target_scaler_.inverse(outputs)
        if not np.isfinite(outputs).all():
            sequence = int(np.argwhere(~np.isfinite(outputs))[0, 0])
            raise InputError(f"the answer to sequence {sequence} is too large for a float64; expected another model")
        return outputs[:, 0] if self._flat else outputs

    def _fit_scalers(
        self,
        sequences: Steps,
        answers: NDArray[Any],
        training: NDArray[np.int64],
        weights: NDArray[np.float64] | None,
    ) -> None:
        super()._fit_scalers(sequences, answers, training, weights)
        each = None if weights is None else shares(weights[training])
        self.target_scaler_ = Standardizer.fit(answers[training], each) if self.standardize else None

    def _scaled_answers(self, answers: NDArray[Any], dtype: torch.dtype) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            scaled = answers if self.target_scaler_ is None else self.target_scaler_.transform(answers)
        large = ~(np.abs(scaled) <= torch.finfo(dtype).max)
        if large.any():
            sequence, output = np.argwhere(large)[0]
            raise InputError(f"y is {answers[sequence, output]} at sequence {sequence}, which is too large for {dtype}")
        large = np.abs(answers) > LARGEST
        if large.any():
            sequence, output = np.argwhere(large)[0]
            raise InputError(
                f"y is {answers[sequence, output]} at sequence {sequence}; expected at most {LARGEST:g} in size"
            )
        return scaled

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        document, arrays = super()._pack()
        return {**document, "flat": self._flat}, {**arrays, **scaler_arrays("target", self.target_scaler_)}

    def _unpack(self, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        check_fitted(document, "flat")
        input_size, outputs = super()._unpack(document, arrays)
        self._flat, self.n_outputs_ = document["flat"], outputs
        true_or_false("flat", self._flat)
        if self._flat and outputs != 1:
            raise InputError(f"flat is True for {outputs} outputs; expected it for one alone")
        self.target_scaler_ = scaler_of("target", arrays, outputs) if "target_mean" in arrays else None
        scalers = scaler_arrays("input", self.input_scaler_) | scaler_arrays("target", self.target_scaler_)
        check_keys("the arrays", arrays, set(scalers))
        return input_size, outputs
