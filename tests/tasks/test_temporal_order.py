"""Tasks 6a and 6b: the places and orders of X and Y, from the text."""

from __future__ import annotations

import numpy as np
import pytest

from longlag.tasks import TemporalOrder

SEQUENCES = 4000
LETTERS = "abcdEBXY"
CASES = [
    # relevant, places counted from 1, classes in the order of the output units, least lag (Table 10, column 3)
    (2, [(10, 20), (50, 60)], ["XX", "XY", "YX", "YY"], 40),
    (3, [(10, 20), (33, 43), (66, 76)], ["XXX", "XXY", "XYX", "XYY", "YXX", "YXY", "YYX", "YYY"], 24),
]


@pytest.mark.parametrize(("relevant", "places", "classes", "lag"), CASES)
def test_places_orders_and_everything_around_them(
    relevant: int, places: list[tuple[int, int]], classes: list[str], lag: int
) -> None:
    flat = TemporalOrder(relevant=relevant).draw(SEQUENCES, np.random.default_rng(0))  # type: ignore[arg-type]
    assert not flat.every_step
    seen = np.zeros((relevant, 101), dtype=int)
    others = ""
    for start, end, target in zip(flat.starts, flat.ends, flat.targets, strict=True):
        text = "".join(LETTERS[symbol] for symbol in flat.inputs[start : end + 1])
        assert (text[0], text[-1]) == ("E", "B")
        found = [place for place, letter in enumerate(text, start=1) if letter in "XY"]
        assert len(found) == relevant
        for number, place in enumerate(found):
            seen[number, place] += 1
        assert classes[target] == "".join(text[place - 1] for place in found)
        others += "".join(letter for letter in text[1:-1] if letter not in "XY")
    assert set(others) == set("abcd")
    for letter in "abcd":
        assert abs(others.count(letter) - len(others) / 4) < 5 * (len(others) / 4) ** 0.5
    for counts, (low, high) in zip(seen, places, strict=True):
        assert np.flatnonzero(counts).tolist() == list(range(low, high + 1))
        assert (np.abs(counts[low : high + 1] - SEQUENCES / 11) < 5 * (SEQUENCES / 11) ** 0.5).all()
    assert flat.lengths.min() - np.flatnonzero(seen[-1]).max() == lag
    share = SEQUENCES / len(classes)
    assert (np.abs(np.bincount(flat.targets, minlength=len(classes)) - share) < 5 * share**0.5).all()


def test_lengths_are_uniform_between_100_and_110() -> None:
    lengths = TemporalOrder().draw(SEQUENCES, np.random.default_rng(0)).lengths
    counts = np.bincount(lengths - 100, minlength=11)
    assert len(counts) == 11
    assert (np.abs(counts - SEQUENCES / 11) < 5 * (SEQUENCES / 11) ** 0.5).all()
