"""LSTMRegressor: one value, or one vector of values, per sequence."""

from __future__ import annotations

from collections.abc import Mapping
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
from longlag.estimators.saving import check_keys, scaler_arrays, scaler_of
from longlag.estimators.sequence_to_one import FITTED, SequenceEstimator, require_answers
from longlag.estimators.sequences import read_sequences
from longlag.nn import MeanSquaredError
from longlag.optimizers import naming_optimizers

__all__ = ["LSTMRegressor"]


@naming_optimizers
class LSTMRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Predict numbers from a sequence. An LSTM reads it; linear output units read the cells after its last step.

    X may be a table (n, d), whose rows are sequences of d steps of one feature; a 3-D array (n, T, F); or a list of
    (T_b, F) or (T_b,) arrays of unequal length. In predictions, lengths may differ from those in ``fit``, except that
    a model fitted on a table wants tables with as many columns.

    Forget gates start so that the cells' memories reach from two steps to the longest sequence
    (longlag.nn.init.chrono_); without forget gates, input gates start almost shut (longlag.nn.init.shut_).

    Parameters
    ----------
    hidden_size, num_layers : int
        Memory cells per layer and direction; layers.
    cell : CellSpec or None
        Gates, blocks, peepholes, squashings, sharpness; None is torch.nn.LSTM's cell, on torch's fused kernels.
    dropout : float
        Probability of dropping a cell's output between layers, while training; needs more than one layer.
    bidirectional : bool
        A second LSTM reads backwards. The output units then see each direction after it has read the whole sequence.
    optimizer : str
        One of {optimizers}. Batch methods (``longlag.optim``), {methods}, take no learning rate, dropout or truncated
        gradient; "levenberg_marquardt" is for up to 4,000 weights.
    optimizer_options : mapping or None
        Options of the optimiser by name, as in ``longlag.training.TrainingConfig``: {"history_size": 5} of "lbfgs".
    learning_rate : float, Schedule or None
        None: 0.01; none for the batch methods.
    weight_decay : float
        0 for the batch methods.
    max_epochs : int
        Passes over the training part; for a batch method that sees it as one batch, iterations.
    batch_size : int or None
        Sequences per update. None: 32; all for "lbfgs" and "cg"; all of up to 1,000 for "hessian_free" and
        "levenberg_marquardt", of more equal batches of no more than that.
    gradient : {"full", "truncated", "rtrl"}
        What of the error's flow is followed (see longlag.gradients). "rtrl" is exact, slow, and one-directional.
    clip_norm : float, "auto" or None
        Largest Euclidean norm of the gradient. "auto": 1; none for the batch methods.
    patience : int or None
        Stop after so many epochs without a better validation loss (training loss if there is no validation part).
        The loss of a task with long lags may stay flat for long: then choose a large one, or None for never.
    validation_fraction : float or None
        Share of the sequences that is set aside at random; the epoch that does best on it is kept.
        0 trains on everything and keeps the last epoch. None: a tenth of 500 sequences or more, of fewer nothing.
        ``n_validation_`` tells how many it were.
    standardize : bool
        Bring each feature and each target to mean 0 and deviation 1, as measured on the training part (features over
        all its steps). Predictions are in the unit of ``y`` either way.
    random_state : int, RandomState or None
        Decides initial weights, validation part, batches and dropout. The same number gives the same bits.
    executor : Executor or None
        Whose workers compute losses and gradients, as in ``longlag.distributed.ProcessExecutor(4)``: they change no
        bit, whoever and how many they are. It stays open. None: this process, whose last bits are others.
    run_dir : path or None
        A directory for checkpoints and history while training.
    resume : bool
        Continue the run in ``run_dir``, bit for bit; needs a number as ``random_state``.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    n_outputs_ : numbers per sequence
    n_features_in_ : columns of a table, else features per step
    n_steps_in_ : columns of a table, else None
    feature_names_in_ : column names, if fitted on a data frame that has them as text
    network_ : longlag.Network, in eval mode, of torch's default precision at the time of ``fit``
    history_ : one dict per epoch; ``n_epochs_`` trained; ``best_epoch_`` whose weights were kept
    n_validation_ : sequences that were set aside
    input_scaler_, target_scaler_ : Standardizer or None
    seed_ : int

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

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Learn from n sequences and their targets ``y``, (n,) or (n, K). Former fits are forgotten."""
        with learning():
            self._forget()
            sequences = read_sequences(self, X, reset=True)
            require_answers(self, y)
            targets = check_array(y, ensure_2d=False, input_name="y", estimator=self).astype(np.float64)
            check_consistent_length(sequences.lengths, targets)
            self._flat = targets.ndim == 1
            targets = targets.reshape(len(targets), -1)
            self.n_outputs_ = targets.shape[1]
            self._draw_seed()
            self._learn(sequences, targets, self.n_outputs_, MeanSquaredError())
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(n,) or (n, K), as ``y`` was: the predictions, in its unit."""
        outputs = self._respond(X)
        if self.target_scaler_ is not None:
            with np.errstate(over="ignore"):
                outputs = self.target_scaler_.inverse(outputs)
        if not np.isfinite(outputs).all():
            sequence = int(np.argwhere(~np.isfinite(outputs))[0, 0])
            raise InputError(f"the answer to sequence {sequence} is too large for a float64; expected another model")
        return outputs[:, 0] if self._flat else outputs

    def _scaled_answers(self, answers: NDArray[Any], training: NDArray[np.int64], dtype: torch.dtype) -> NDArray[Any]:
        self.target_scaler_ = Standardizer.fit(answers[training]) if self.standardize else None
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
        check_keys("fitted", document, {*FITTED, "flat"})
        input_size, outputs = super()._unpack(document, arrays)
        self._flat, self.n_outputs_ = document["flat"], outputs
        true_or_false("flat", self._flat)
        if self._flat and outputs != 1:
            raise InputError(f"flat is True for {outputs} outputs; expected it for one alone")
        self.target_scaler_ = scaler_of("target", arrays, outputs) if "target_mean" in arrays else None
        scalers = scaler_arrays("input", self.input_scaler_) | scaler_arrays("target", self.target_scaler_)
        check_keys("the arrays", arrays, set(scalers))
        return input_size, outputs
