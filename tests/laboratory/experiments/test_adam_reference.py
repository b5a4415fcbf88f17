"""Today's methods on the 1997 tasks, and the problems of section 6.1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from longlag.tasks import Adding, EmbeddedReber, RecentRun
from longlag_lab.hochreiter1997.adam_reference import AdamReference, AdamTrial
from longlag_lab.hochreiter1997.config import TrialConfig
from longlag_lab.hochreiter1997.limits import LIMITS, parity_guessing
from longlag_lab.hochreiter1997.paper import LIMITS_TABLE, ROWS
from longlag_lab.hochreiter1997.variants import TODAY


class Near(Adding):
    """Adding with a rule that is met within seconds."""

    @property
    def tolerance(self):
        return 0.6

    @property
    def rules(self):
        return {"ST3": RecentRun(window=30, mean_error_below=0.4)}


def trial(config, number=0, cap=400):
    seeds = np.random.SeedSequence([1, number]), np.random.SeedSequence([2])
    found = AdamTrial(config, seeds[0], cap=cap, data=seeds[1])
    found.run(lambda _: None)
    return found


def test_a_trial_is_the_same_twice_and_leaves_torchs_generator_alone():
    config = AdamReference(why="test", task=Near(T=20), stop="ST3")
    before = torch.random.get_rng_state()
    one, two = trial(config), trial(config)
    assert torch.equal(before, torch.random.get_rng_state())
    assert one.solved_at is not None
    assert (one.solved_at, one.test) == (two.solved_at, two.test)
    assert all(torch.equal(a, b) for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True))


def test_a_trial_ends_at_its_cap():
    config = AdamReference(why="test", task=EmbeddedReber(), stop="all", classes=True, batch=7)
    found = trial(config, cap=130)
    assert (found.solved_at, found.sequences) == (None, 130)


@pytest.mark.parametrize("name", sorted(name for name, change in TODAY.items() if isinstance(change, AdamReference)))
def test_todays_method_of_every_row_runs(name):
    config = TODAY[name]
    assert isinstance(config, AdamReference)
    shorter = replace(config.task, T=20) if hasattr(config.task, "T") else config.task
    found = trial(replace(config, task=shorter), cap=2 * config.batch)
    assert found.sequences == 2 * config.batch
    assert config.weight_count() > 0


def test_the_problems_of_section_6_1_are_rows_with_the_weights_they_have():
    rows = {row.name: row for row in ROWS if row.table == LIMITS_TABLE}
    assert set(LIMITS) | {"parity-guess"} == set(rows)
    for name, limit in LIMITS.items():
        count = limit.topology.weight_count() if isinstance(limit, TrialConfig) else limit.weight_count()
        assert count == rows[name].weights
    assert parity_guessing().topology.weight_count() == rows["parity-guess"].weights


def test_delayed_xor_differs_in_the_gradient_alone():
    truncated, full = LIMITS["xor-truncated"], LIMITS["xor-full"]
    assert isinstance(truncated, AdamReference)
    assert isinstance(full, AdamReference)
    assert replace(truncated, gradient="full", why=full.why) == full
    torch.manual_seed(0)
    one = truncated.network()
    torch.manual_seed(0)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), full.network().parameters(), strict=True))
    assert one.lstm.gradient == "truncated"
