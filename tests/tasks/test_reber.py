"""The embedded Reber grammar against a regular expression and a random walk written out by hand."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
import torch

from longlag.data.flat import FlatSequences
from longlag.errors import InputError
from longlag.tasks import EmbeddedReber

LETTERS = "BTPSXVE"
# From state 3: T* V, then from state 5: V ends, or P to state 4; from 4: S ends, or X back to 3.
REBER = "B(?:TS*X(?:XT*V(?:PXT*V)*(?:V|PS)|S)|PT*V(?:PXT*V)*(?:V|PS))E"
EMBEDDED = re.compile(f"B(?:T{REBER}T|P{REBER}P)E")

GRAPH: dict[int, list[tuple[str, int]]] = {
    0: [("B", 1)],
    1: [("T", 2), ("P", 3)],
    2: [("S", 2), ("X", 4)],
    3: [("T", 3), ("V", 5)],
    4: [("X", 3), ("S", 6)],
    5: [("P", 4), ("V", 6)],
    6: [("E", 7)],
}


def strings(n: int) -> list[str]:
    return EmbeddedReber().strings(n, np.random.default_rng(3))


def successors(string: str) -> list[set[str]]:
    """What may follow each symbol but the last: the walk of Figure 3 inside, Figure 4 around it."""
    found = [{"T", "P"}, {"B"}]  # after the first B; after the letter that decides
    state = 0
    for symbol in string[2:-2]:
        state = dict(GRAPH[state])[symbol]
        found.append({s for s, _ in GRAPH[state]} if state != 7 else {string[1]})
    return [*found, {"E"}]


def flat_of(*given: str) -> FlatSequences:
    return FlatSequences(
        inputs=np.array([LETTERS.index(s) for string in given for s in string[:-1]], dtype=np.int32),
        lengths=np.array([len(string) - 1 for string in given]),
        targets=np.array([LETTERS.index(s) for string in given for s in string[1:]], dtype=np.int32),
        input_size=7,
        output_size=7,
        every_step=True,
    )


@pytest.mark.costly
def test_every_string_is_of_the_grammar_and_the_shortest_has_nine_symbols() -> None:
    drawn = strings(5000)
    assert all(EMBEDDED.fullmatch(string) for string in drawn)
    shortest = {string for string in drawn if len(string) == min(map(len, drawn))}
    assert shortest == {f"B{outer}{inner}{outer}E" for outer in "TP" for inner in ("BTXSE", "BPVVE")}
    assert len("BTBTXSETE") == 9
    assert max(map(len, drawn)) > 30


def test_edges_out_of_one_state_are_equally_likely() -> None:
    counts: Counter[tuple[int, str]] = Counter()
    drawn = strings(5000)
    for string in drawn:
        state = 0
        for symbol in string[2:-2]:
            counts[state, symbol] += 1
            state = dict(GRAPH[state])[symbol]
    for state, edges in GRAPH.items():
        total = sum(counts[state, symbol] for symbol, _ in edges)
        for symbol, _ in edges:
            spread = 5 * (total / len(edges) * (1 - 1 / len(edges))) ** 0.5
            assert abs(counts[state, symbol] - total / len(edges)) <= spread
    assert abs(sum(string[1] == "T" for string in drawn) - 2500) < 5 * 1250**0.5


def test_inputs_are_the_string_without_its_last_symbol_and_targets_without_its_first() -> None:
    flat = EmbeddedReber().draw(50, np.random.default_rng(3))
    expected = flat_of(*strings(50))
    assert flat.every_step
    for name in ("inputs", "lengths", "targets"):
        np.testing.assert_array_equal(getattr(flat, name), getattr(expected, name))


def test_legal_successors_are_those_of_the_graph() -> None:
    drawn = strings(300)
    flat = flat_of(*drawn)
    expected = [[letter in after for letter in LETTERS] for string in drawn for after in successors(string)]
    assert EmbeddedReber().legal(flat).tolist() == expected
    assert EmbeddedReber().legal(FlatSequences.from_batch(flat.to_batch())).tolist() == expected


@pytest.mark.parametrize(("string", "read"), [("BTBTXSEPE", "BTBTXSEP"), ("BTTTXSETE", "BTT"), ("TTBTXSETE", "T")])
def test_a_string_outside_the_grammar_is_named(string: str, read: str) -> None:
    with pytest.raises(InputError, match=f"string 1 begins {read}; expected a string of the embedded Reber grammar"):
        EmbeddedReber().legal(flat_of("BTBTXSETE", string))


def test_training_and_test_sets_have_256_strings_and_share_none() -> None:
    task = EmbeddedReber()
    training, test = task.training_and_test(np.random.default_rng(5))
    texts = []
    for flat in (training, test):
        assert len(flat) == 256
        spelled = []
        for start, end in zip(flat.starts, flat.ends, strict=True):
            spelled.append("".join(LETTERS[s] for s in [flat.inputs[start], *flat.targets[start : end + 1]]))
            assert spelled[-1][:-1] == "".join(LETTERS[s] for s in flat.inputs[start : end + 1])
        texts.append(spelled)
        assert all(EMBEDDED.fullmatch(string) for string in spelled)
        assert not task.legal(flat).all(axis=1).any()
    assert not set(texts[0]) & set(texts[1])
    assert texts[0] == task.strings(256, np.random.default_rng(5))
    again = task.training_and_test(np.random.default_rng(5))
    np.testing.assert_array_equal(again[1].inputs, test.inputs)


def test_a_string_is_right_when_all_possible_next_symbols_are_more_active_than_the_others() -> None:
    task = EmbeddedReber()
    drawn = strings(30)
    flat = flat_of(*drawn)
    batch = flat.to_batch()
    legal = np.array([[letter in after for letter in LETTERS] for string in drawn for after in successors(string)])
    outputs = np.where(legal, 0.51, 0.5)
    assert task.errors(outputs, flat) == pytest.approx(np.full(30, -0.01))
    padded = torch.full(batch.targets.shape, float("nan"), dtype=torch.float64)

    def right(rows: np.ndarray) -> list[bool]:
        padded.transpose(0, 1)[batch.target_mask.T] = torch.from_numpy(rows)
        assert (task.errors(rows, flat) < task.tolerance).tolist() == task.correct(padded, batch).tolist()
        return task.correct(padded, batch).tolist()

    assert right(outputs) == [True] * 30
    row = int(flat.starts[4]) + 1  # after the letter that decides only B may follow
    assert legal[row].tolist() == [True] + [False] * 6
    for rival in (0.51, 0.52, float("nan")):  # as active is not more active
        worse = outputs.copy()
        worse[row, 6] = rival
        assert right(worse) == [True] * 4 + [False] + [True] * 25
    first = int(flat.starts[9])  # after the first B: T or P, and both must lead
    worse = outputs.copy()
    worse[first, LETTERS.index("T")] = 0.4
    assert right(worse) == [True] * 9 + [False] + [True] * 20


def test_the_mean_error_is_the_distance_to_the_symbols_that_came() -> None:
    flat = flat_of("BTBTXSETE", "BPBPVVEPE")
    np.testing.assert_allclose(EmbeddedReber().mean_errors(np.full((16, 7), 0.25), flat), (6 * 0.25 + 0.75) / 7)
