"""Random weight guessing: it solves what is easy, gives up at the cap, and is the same whatever runs side by side."""

from __future__ import annotations

import numpy as np

from longlag import CellSpec
from longlag.online.topology import Topology
from longlag.tasks import Parity, TwoSequence
from longlag_lab.competitors.guessing import Guessing
from longlag_lab.competitors.topology import RecurrentTopology


def fully_connected(hidden: int) -> RecurrentTopology:
    """A1 of the 1996 paper."""
    return RecurrentTopology(
        input_size=1, output_size=1, hidden_size=hidden, reads_inputs=True, feedback=True, bias=True, symbols=False
    )


def test_parity_of_short_sequences_is_guessed():
    found = Guessing(topology=fully_connected(1), task=Parity(T=20), test_size=200).run(seed=3, cap=40_000)
    assert found.solved
    assert found.test_wrong == 0
    assert found.weights is not None
    assert all(np.abs(value).max() <= 100.0 for value in found.weights.values())


def test_the_class_of_the_first_element_is_guessed_for_lstm():
    cell = CellSpec.hochreiter1997(output_squash="logistic_pm1")
    topology = Topology(input_size=1, output_size=1, hidden_size=1, cell=cell)
    search = Guessing(topology=topology, task=TwoSequence(T=3, N=3), interval=10.0, training_size=20, test_size=50)
    found = search.run(seed=0, cap=20_000)
    assert found.solved


def test_the_search_ends_at_the_cap():
    found = Guessing(topology=fully_connected(1), task=TwoSequence(variant="c")).run(seed=0, cap=70)
    assert not found.solved
    assert found.guesses == 70
    assert found.weights is None


def test_how_many_guesses_run_side_by_side_changes_nothing():
    results = [
        Guessing(topology=fully_connected(1), task=Parity(T=8), test_size=50, side_by_side=count).run(
            seed=1, cap=20_000
        )
        for count in (7, 64)
    ]
    assert results[0].guesses == results[1].guesses
    assert results[0].solved
