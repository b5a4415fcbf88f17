"""Splits: of a series in time order, so that what comes later is never learned from; of sequences at random."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longlag.checks import MOST, is_whole, shown, whole_number
from longlag.errors import InputError

__all__ = ["Split", "chronological_split", "random_split"]


class Split(NamedTuple):
    """Three adjoining slices of a series, in time order; ``validation`` may be empty."""

    train: slice
    validation: slice
    test: slice


def chronological_split(n: int, test: float | int, *, validation: float | int = 0) -> Split:
    """The last steps for testing, those before for validation, the rest for training; nothing is shuffled.

    Parameters
    ----------
    n : steps of the series.
    test, validation : an int is a number of steps; a float strictly between 0 and 1 is a share of ``n``,
        rounded to the nearest step. ``validation=0`` asks for none.

    Raises
    ------
    InputError
        If a part with an amount above 0, or the training part, would be empty.
    """
    n = whole_number("n", n, 0)
    test_steps = _steps("test", test, n)
    validation_steps = 0 if is_whole(validation) and validation == 0 else _steps("validation", validation, n)
    train_steps = n - test_steps - validation_steps
    if train_steps < 1:
        raise InputError(
            f"{test_steps} steps for testing and {validation_steps} for validation leave none of {n} "
            "for training; expected at least one"
        )
    return Split(slice(0, train_steps), slice(train_steps, n - test_steps), slice(n - test_steps, n))


def random_split(
    n: int, held_out: int, *, seed: int, classes: ArrayLike | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the sequences to learn from, and of those that are held out at random; both ascending.

    Parameters
    ----------
    n : sequences.
    held_out : how many of them are held out, fewer than ``n``; 0 is none.
    seed : decides which; the same seed gives the same parts.
    classes : (n,) the class of each sequence, numbers or text. Each class then gives its share, and at least one
        sequence of each is left to learn from, so that fewer than ``held_out`` may be held out; none only where
        every class has one.

    Raises
    ------
    InputError
        If nothing would be left to learn from, or there are not ``n`` classes.
    """
    n = whole_number("n", n, 1, MOST)
    held_out, seed = whole_number("held_out", held_out, 0), whole_number("seed", seed, 0)
    if held_out >= n:
        raise InputError(
            f"held_out is {held_out} of {n} sequences; expected fewer, so that some are left to learn from"
        )
    everything = np.arange(n)
    if not held_out:
        return everything, everything[:0]
    order = np.random.default_rng(seed).permutation(n)
    if classes is None:
        chosen = order[:held_out]
    else:
        try:
            values = np.asarray(classes)
            labels, kinds = np.unique(values, return_inverse=True)
        except (TypeError, ValueError) as error:  # what has no order, rows of different length
            raise InputError(f"classes cannot be compared ({error}); expected numbers or text") from error
        if values.shape != (n,):
            raise InputError(f"classes has shape {values.shape}; expected ({n},), one for each sequence")
        order = order[np.argsort(kinds[order], kind="stable")]
        chosen = order[((np.arange(held_out) + 0.5) * n / held_out).astype(np.int64)]  # evenly through all classes
        present, first = np.unique(kinds[chosen], return_index=True)
        count = len(labels)
        exhausted = (np.bincount(kinds, minlength=count) == np.bincount(kinds[chosen], minlength=count))[present]
        chosen = np.delete(chosen, first[exhausted])
        if not len(chosen):  # they were of classes of one, which have none to give
            sizes = np.bincount(kinds)
            chosen = order[kinds[order] == np.argmax(sizes)][: int(sizes.max() > 1)]
    return np.setdiff1d(everything, chosen), np.sort(chosen)


def _steps(part: str, amount: Any, n: int) -> int:
    if is_whole(amount):
        steps = int(amount)
    elif isinstance(amount, float) and 0.0 < amount < 1.0:
        steps = round(n * amount)
    else:
        raise InputError(
            f"{part}={shown(amount)}; expected a whole number of steps or a share strictly between 0 and 1"
        )
    if steps < 1:
        raise InputError(f"{part}={amount} of {n} steps leaves the {part} part empty; expected at least one step")
    return steps
