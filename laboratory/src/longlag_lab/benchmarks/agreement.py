"""Whether an implementation computes what the definition says; nothing is timed that does not."""

from __future__ import annotations

import math

from torch import Tensor

from longlag_lab.benchmarks.problem import Answers

__all__ = ["compare", "largest_error"]


def largest_error(answers: Answers, definition: Answers) -> tuple[float, str]:
    """Return the largest difference, in units of the tensor's largest entry, and in which tensor.

    It is infinite where a tensor is missing, has another shape, or is not finite.
    """
    return max((_difference(answers.get(name), expected), name) for name, expected in definition.items())


def compare(answers: Answers, definition: Answers, tolerance: float) -> tuple[float | None, str]:
    """Return the largest error, None if it is infinite; and what is wrong, "" if nothing is."""
    error, where = largest_error(answers, definition)
    wrong = f"wrong {where}: {error:.1e} from the definition, at most {tolerance:.0e} allowed"
    return error if math.isfinite(error) else None, "" if error <= tolerance else wrong


def _difference(answer: Tensor | None, expected: Tensor) -> float:
    if answer is None or answer.shape != expected.shape:
        return math.inf
    scale = float(expected.abs().max()) or 1.0
    difference = float((answer.double() - expected).abs().max()) / scale
    return difference if math.isfinite(difference) else math.inf
