"""LSTMClassifier: one class per sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from longlag.errors import CheckpointError, InputError
from longlag.estimators.base import learning
from longlag.estimators.saving import check_keys, scaler_arrays
from longlag.estimators.sequence_to_one import FITTED, SequenceEstimator, require_answers
from longlag.estimators.sequences import read_sequences
from longlag.nn import CrossEntropy
from longlag.optimizers import naming_optimizers

__all__ = ["LSTMClassifier"]

_LABELS = re.compile(r"[<>|=]([biuf][1248]|U[0-9]{1,9})|\|O")
"""NumPy's names of the types a saved model's classes may have: bool, int, float, text, and Python's own of these."""

_LABEL_BYTES = 64 * 2**20
"""What the array of the classes may take: its type alone could ask for any amount."""


@naming_optimizers
class LSTMClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """Tell which class a sequence belongs to. An LSTM reads it; a softmax reads the cells after its last step.

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
        A second LSTM reads backwards. The softmax then sees each direction after it has read the whole sequence.
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
        Share of the sequences, of every class alike, that is set aside; the epoch that does best on it is kept.
        0 trains on everything and keeps the last epoch. None: a tenth of 500 sequences or more, of fewer nothing.
        ``n_validation_`` tells how many it were.
    standardize : bool
        Bring each feature to mean 0 and deviation 1, as measured over all steps of the training part.
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
    classes_ : (K,) the labels, sorted
    n_features_in_ : columns of a table, else features per step
    n_steps_in_ : columns of a table, else None
    feature_names_in_ : column names, if fitted on a data frame that has them as text
    network_ : longlag.Network, in eval mode, of torch's default precision at the time of ``fit``
    history_ : one dict per epoch; ``n_epochs_`` trained; ``best_epoch_`` whose weights were kept
    n_validation_ : sequences that were set aside
    input_scaler_ : Standardizer or None
    seed_ : int

    Raises
    ------
    ValueError, TypeError
        For unusable tables and labels, scikit-learn's own.
    InputError (a ValueError)
        For other unusable sequences, naming sequence and step; for impossible parameters.
    DivergenceError
        If training stops being finite.

    Examples
    --------
    >>> X, y = [[[0.0], [1.0]], [[1.0], [0.0], [0.0]]], ["up", "down"]
    >>> LSTMClassifier(random_state=0).fit(X, y).predict(X).tolist()
    ['up', 'down']
    """

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Learn from n sequences and their labels ``y`` (n,): numbers, text or booleans. Former fits are forgotten."""
        with learning():
            self._forget()
            sequences = read_sequences(self, X, reset=True)
            require_answers(self, y)
            labels = column_or_1d(y, warn=True)
            assert_all_finite(labels, input_name="y")
            check_consistent_length(sequences.lengths, labels)
            check_classification_targets(labels)
            self.classes_, found = np.unique(labels, return_inverse=True)
            classes = found.astype(np.int64)
            self._draw_seed()
            self._learn(sequences, classes, len(self.classes_), CrossEntropy(), classes)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the most probable label of each sequence."""
        probabilities = self.predict_proba(X)
        chosen: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return chosen

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, K) probabilities of the labels, in the order of ``classes_``."""
        outputs = self._respond(X)
        weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        document, arrays = super()._pack()
        kind, labels = self.classes_.dtype.str, self.classes_.tolist()
        if not _LABELS.fullmatch(kind) or not all(isinstance(label, (str, int, float)) for label in labels):
            raise InputError(
                f"classes_ holds {labels[0]!r}; a model is saved whose classes are text, numbers or booleans"
            )
        if self.classes_.nbytes > _LABEL_BYTES:
            raise InputError(
                f"classes_ takes {self.classes_.nbytes} bytes; expected at most {_LABEL_BYTES} to be saved"
            )
        return {**document, "classes": {"dtype": kind, "values": labels}}, arrays

    def _unpack(self, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        check_keys("fitted", document, {*FITTED, "classes"})
        sizes = super()._unpack(document, arrays)
        check_keys("the arrays", arrays, set(scaler_arrays("input", self.input_scaler_)))
        self.classes_ = _classes(document["classes"], sizes[1])
        return sizes


def _classes(document: Mapping[str, Any], outputs: int) -> NDArray[Any]:
    """The labels of a saved model, one for each output."""
    check_keys("classes", document, {"dtype", "values"})
    kind, labels = document["dtype"], document["values"]
    if not isinstance(kind, str) or not _LABELS.fullmatch(kind):
        raise CheckpointError(f"the classes are of type {kind!r}; expected text, numbers or booleans")
    if not isinstance(labels, list) or not all(isinstance(label, (str, int, float)) for label in labels):
        raise CheckpointError(f"the classes are {labels!r}; expected a list of text, numbers or booleans")
    if len(labels) != outputs:
        raise CheckpointError(f"{len(labels)} classes for {outputs} outputs; expected one for each")
    if np.dtype(kind).itemsize * outputs > _LABEL_BYTES:
        raise CheckpointError(f"{outputs} classes of type {kind} take more than {_LABEL_BYTES} bytes; expected less")
    classes = np.array(labels, dtype=np.dtype(kind))
    if classes.tolist() != labels or len(set(labels)) != outputs:
        raise CheckpointError(f"the classes {labels!r} do not fit into {kind}, or repeat; expected distinct ones")
    return classes
