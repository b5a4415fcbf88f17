"""LSTMClassifier: one class per sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from longlag.errors import CheckpointError, InputError
from longlag.estimators.base import learning
from longlag.estimators.documentation import documented
from longlag.estimators.saving import check_keys, scaler_arrays
from longlag.estimators.sequence_to_one import SequenceEstimator, check_fitted, require_answers
from longlag.estimators.sequences import read_sequences
from longlag.estimators.weighting import ClassWeight, read_weights, with_class_weights
from longlag.nn import CrossEntropy
from longlag.panels.rows import Duplicates, Gaps

__all__ = ["LSTMClassifier"]

_LABELS = re.compile(r"[<>|=]([biuf][1248]|U[0-9]{1,9})|\|O")
"""NumPy's names of the types a saved model's classes may have: bool, int, float, text, and Python's own of these."""

_LABEL_BYTES = 64 * 2**20
"""What the array of the classes may take: its type alone could ask for any amount."""


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LSTMClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """Tell which class a sequence belongs to. An LSTM reads it; a softmax reads the cells after its last step.

    A few networks of different seeds learn alike, and their probabilities are averaged.

    {sequences}

    Parameters
    ----------
    {sequence_network}
    {training}
    {sequence_training}
    standardize : bool
        Bring each feature to mean 0 and deviation 1, as measured over all steps of the training part.
    class_weight : "balanced", mapping from labels to numbers, or None
        What the sequences of each class count. "balanced" lets every class count as much as any other, however many
        sequences it has; in a mapping, labels that are left out count 1.
    {warm_start}
    {run}

    Attributes
    ----------
    classes_ : (K,) the labels, sorted
    {sequence_attributes}
    {fitted}

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

    class_weight: ClassWeight = None

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
        """Learn from n sequences and their labels.

        Former fits are forgotten, unless ``warm_start`` goes on from the last one.

        Parameters
        ----------
        X : sequences, or with ``id`` a long table: a data frame, a dict of columns or a ``Table`` with a row a step
        y : (n,) the labels: numbers, text or booleans
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
            if columns is not None:
                y = _whole(y)
            sequences = read_sequences(self, X, reset=not goes_on)
            require_answers(self, y)
            labels = column_or_1d(y, warn=True)
            assert_all_finite(labels, input_name="y")
            check_consistent_length(sequences.lengths, labels)
            check_classification_targets(labels)
            classes, numbers = np.unique(labels, return_inverse=True)
            kinds = numbers.astype(np.int64)
            if goes_on:
                self._require_former(classes)
            weights = read_weights(sample_weight, len(labels))
            weights = with_class_weights(weights, self.class_weight, classes, kinds)
            self.classes_, self.columns_ = classes, columns
            self._learn(sequences, kinds, len(classes), CrossEntropy(), kinds=kinds, weights=weights, goes_on=goes_on)
        return self

    def _require_former(self, classes: NDArray[Any]) -> None:
        """Refuse classes that the networks of the former fit do not have."""
        if not np.array_equal(classes, self.classes_):
            raise InputError(
                f"y has the classes {classes.tolist()}, but the former fit had {self.classes_.tolist()}; expected the "
                "same with warm_start"
            )

    def predict(self, X: Any) -> Any:
        """(n,) the most probable label of each sequence.

        Of a long table, where the model was fitted on one, a frame of the same kind (or a dict): a row for each
        sequence, sorted by their names, with the column that is answered.
        """
        table = self._long_table(X)
        probabilities = self._probabilities(X if table is None else table.sequences.arrays)
        chosen: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        if table is None or self.columns_ is None:
            return chosen
        return table.answers(self.columns_.id, {self.columns_.target: chosen})

    def predict_proba(self, X: Any) -> Any:
        """(n, K) probabilities of the labels, in the order of ``classes_``; of a long table a column for each."""
        table = self._long_table(X)
        probabilities = self._probabilities(X if table is None else table.sequences.arrays)
        if table is None or self.columns_ is None:
            return probabilities
        shares = {str(label): probabilities[:, number] for number, label in enumerate(self.classes_.tolist())}
        return table.answers(self.columns_.id, shares)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of the sequences whose label is recognised. Without ``y``, X is a long table that has them."""
        return float(super().score(*self._labelled(X, y), sample_weight))

    def _probabilities(self, X: Any) -> NDArray[np.float64]:
        outputs = self._respond(X)
        weights = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        probabilities: NDArray[np.float64] = (weights / weights.sum(axis=-1, keepdims=True)).mean(axis=0)
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
        check_fitted(document, "classes")
        sizes = super()._unpack(document, arrays)
        check_keys("the arrays", arrays, set(scaler_arrays("input", self.input_scaler_)))
        self.classes_ = _classes(document["classes"], sizes[1])
        return sizes


def _whole(labels: Any) -> Any:
    """Labels of a table; numbers without a fraction are whole."""
    whole = labels.dtype.kind == "f" and not (labels % 1).any()
    return labels.astype(np.int64) if whole else labels


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
