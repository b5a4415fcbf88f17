"""What each sequence counts in a fit: ``sample_weight`` and ``class_weight``, as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight

from longlag.checks import is_number
from longlag.errors import InputError

__all__ = ["ClassWeight", "read_weights", "shares", "with_class_weights"]

Array = NDArray[np.float64]

ClassWeight = Mapping[Any, float] | Literal["balanced"] | None


def read_weights(sample_weight: Any, count: int) -> Array | None:
    """Weights of ``count`` sequences, (count,); None where nobody gave any. A number is the weight of each.

    Raises
    ------
    InputError
        If there are not as many, one is negative, or all are zero. ValueError in scikit-learn's words if one is no
        finite number.
    """
    if sample_weight is None:
        return None
    if is_number(sample_weight):
        sample_weight = np.full(count, float(sample_weight))
    weights: Array = check_array(sample_weight, ensure_2d=False, input_name="sample_weight", dtype=np.float64)
    if weights.shape != (count,):
        raise InputError(f"sample_weight has shape {weights.shape}; expected ({count},), one for each sequence")
    if (weights < 0).any():
        sequence = int(np.argmax(weights < 0))
        raise InputError(f"sample_weight is {weights[sequence]:g} at sequence {sequence}; expected at least 0")
    if not weights.any():
        raise InputError("sample_weight is zero throughout; expected a weight above 0")
    return weights


def with_class_weights(
    weights: Array | None, class_weight: ClassWeight, classes: NDArray[Any], kinds: NDArray[np.int64]
) -> Array | None:
    """The weights of sequences, each multiplied by that of its class.

    Parameters
    ----------
    class_weight : "balanced" lets every class count as much as any other; a mapping has weights by label, 1 for others
    classes : (K,) the labels
    kinds : (n,) the number of each sequence's label among them

    Raises
    ------
    InputError
        If nothing is left that counts. ValueError in scikit-learn's words if a label is unknown.
    """
    if class_weight is None:
        return weights
    each = np.ones(len(kinds)) if weights is None else weights
    if isinstance(class_weight, str):  # "balanced"
        sums = np.bincount(kinds, each, len(classes))
        factors = np.divide(each.sum(), sums * (sums > 0).sum(), out=np.zeros(len(classes)), where=sums > 0)
    else:
        factors = compute_class_weight(dict(class_weight), classes=classes, y=classes[kinds])
    product: Array = each * factors[kinds]
    if not product.any():
        raise InputError("class_weight is zero for every class that has a sequence; expected one above 0")
    return product


def shares(weights: Array) -> Array:
    """Weights of mean 1, so that a mean over sequences is their weighted mean. Equal ones are 1 exactly."""
    parts: Array = weights / weights.max()
    mean: Array = parts / parts.mean()
    return mean
