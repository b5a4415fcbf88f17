"""A pretraining repeats: the same settings give the same bytes, whatever was killed, and on any number of threads."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from forked import Program
from longlag.errors import InputError
from longlag.pretrained.features import past_of, queries
from longlag.pretrained.network import LEVELS, ZeroShotNetwork
from longlag.synthetic.prior import FREQUENCIES
from longlag.training.checkpoints import Checkpoints
from longlag_lab.pretraining import validation
from longlag_lab.pretraining.batches import Batch, training_batch
from longlag_lab.pretraining.gradients import batch_gradient, batch_loss, pinball, sum_of
from longlag_lab.pretraining.run import Report, pretrain
from longlag_lab.pretraining.settings import PretrainingSettings
from longlag_lab.pretraining.training import Training

TINY = PretrainingSettings(
    seed=5, updates=4, hidden_size=4, num_layers=1, head_size=4, values=150, answers=100, warm_up=2
)


@pytest.fixture(autouse=True)
def few_held_out_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation that takes no time."""
    monkeypatch.setattr(validation, "BATCHES", 1)
    monkeypatch.setattr(validation, "VALUES", 100)
    monkeypatch.setattr(validation, "ANSWERS", 100)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a pretraining on one thread leaves that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("BATCHES", 1), ("VALUES", 100), ("ANSWERS", 100)):
            patch.setattr(validation, name, value)
        pretrain(TINY, folder)
    return folder


def lasting(folder: Path) -> tuple[bytes, dict[str, object], list[dict[str, object]]]:
    """What must be the same in every pretraining of the same settings: all but times and places."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    history = [json.loads(line) for line in (folder / "history.jsonl").read_bytes().splitlines()]
    times = ("hours", "environments", "environment", "commit", "machine", "wall", "cpu")
    without = [{name: value for name, value in entry.items() if name not in times} for entry in (manifest, *history)]
    return (folder / "weights.safetensors").read_bytes(), without[0], without[1:]


@pytest.mark.costly
@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bytes(threads: int, undisturbed: Path, tmp_path: Path) -> None:
    pretrain(TINY, tmp_path / "run", threads=threads)
    assert lasting(tmp_path / "run") == lasting(undisturbed)


def test_another_seed_gives_other_weights(undisturbed: Path, tmp_path: Path) -> None:
    import dataclasses

    pretrain(dataclasses.replace(TINY, seed=6), tmp_path / "run")
    assert lasting(tmp_path / "run")[0] != lasting(undisturbed)[0]


@pytest.mark.costly
def test_a_pretraining_killed_around_any_of_its_checkpoints_is_resumed_to_the_same_bytes(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Path] = []
    save = Checkpoints.save

    def copied(self: Checkpoints, *content: object) -> None:
        for moment in ("before", "after"):
            copies.append(tmp_path / f"{len(copies)}")
            if moment == "after":
                save(self, *content)  # type: ignore[arg-type]
            shutil.copytree(tmp_path / "run", copies[-1])

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", copied)
        pretrain(TINY, tmp_path / "run", every_seconds=0)
    assert len(copies) == 2 * TINY.updates
    for copy in copies:
        assert not (copy / "weights.safetensors").exists()
        pretrain(TINY, copy, resume=True)
        assert lasting(copy) == lasting(undisturbed)


KILLED = """
import sys
from pathlib import Path
from faults import Fault, kill
from longlag_lab.pretraining import validation
from longlag_lab.pretraining.run import pretrain
from longlag_lab.pretraining.settings import PretrainingSettings
validation.BATCHES, validation.VALUES, validation.ANSWERS = 1, 100, 100
settings = PretrainingSettings(**{settings!r})
with Fault({at}, {moment!r}, kill, place={place!r}):
    pretrain(settings, Path({folder!r}), threads=2, resume=True, every_seconds=0)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("place", "at", "moment"),
    [("run/checkpoints/", 60, "before"), ("history.jsonl", 6, "after"), (".weights.safetensors.new", 2, "before")],
)
def test_a_kill_at_an_operation_changes_no_byte(
    place: str, at: int, moment: str, undisturbed: Path, tmp_path: Path
) -> None:
    folder = str(tmp_path / "run")
    program = KILLED.replace("**{settings!r}", f"**{TINY.document()!r}")
    program = program.replace("{at}", str(at)).replace("{moment!r}", repr(moment))
    program = program.replace("{place!r}", repr(place)).replace("{folder!r}", repr(folder))
    program = program.replace("'without': []", "'without': ()")
    child = Program(program).ended()
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not (tmp_path / "run/manifest.json").exists()
    pretrain(TINY, tmp_path / "run", resume=True)
    assert lasting(tmp_path / "run") == lasting(undisturbed)


def test_resuming_what_has_ended_writes_the_same_files(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "run")
    before = (tmp_path / "run/manifest.json").read_bytes()
    pretrain(TINY, tmp_path / "run", resume=True)
    assert lasting(tmp_path / "run") == lasting(undisturbed)
    hours = [json.loads(text)["pretraining"] for text in (before, (tmp_path / "run/manifest.json").read_bytes())]
    assert hours[0] == hours[1]


def test_a_folder_that_holds_a_pretraining_is_taken_with_resume_and_the_same_settings_alone(
    undisturbed: Path, tmp_path: Path
) -> None:
    import dataclasses

    shutil.copytree(undisturbed, tmp_path / "run")
    with pytest.raises(InputError, match="already holds a pretraining; expected --resume"):
        pretrain(TINY, tmp_path / "run")
    with pytest.raises(InputError, match="with hidden_size = 4, not 5; expected the same settings"):
        pretrain(dataclasses.replace(TINY, hidden_size=5), tmp_path / "run", resume=True)


def test_the_manifest_describes_the_weights(undisturbed: Path) -> None:
    manifest = json.loads((undisturbed / "manifest.json").read_bytes())
    tensors = safetensors.torch.load((undisturbed / "weights.safetensors").read_bytes())
    network = ZeroShotNetwork(**{**manifest["settings"], "cell": None})
    network.load_state_dict(tensors)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert manifest["weights"] == sum(tensor.numel() for tensor in tensors.values())
    assert manifest["pretraining"]["seed"] == 5
    assert manifest["validation"]["frequencies"].keys() == FREQUENCIES.keys()
    assert manifest["hours"]["cpu"] >= 0
    assert manifest["commit"] == manifest["environments"][-1]["commit"]
    assert manifest["machine"]["cores"] >= 1


def test_what_is_shown_goes_from_the_first_update_to_the_last_and_has_validations(tmp_path: Path) -> None:
    reports: list[Report] = []
    pretrain(TINY, tmp_path / "run", show=reports.append)
    assert [report.updates for report in reports] == [1, 2, 3, 4]
    assert [report.scores is not None for report in reports] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"cell": "couple"}, "expected one of .*perhaps coupled"),
        ({"without": ("cycles",)}, "expected one of .*perhaps cycle"),
        ({"updates": 0}, "updates is 0; expected at least 1"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        PretrainingSettings(**wrong)  # type: ignore[arg-type]


# -- batches and gradients ---------------------------------------------------------------------------------------------


def tensors_of(batch: Batch) -> list[torch.Tensor]:
    return [getattr(batch, name) for name in batch.__dataclass_fields__]


def test_a_batch_is_the_same_whenever_it_is_drawn_and_no_two_are_alike() -> None:
    batches = {(update, group): training_batch(TINY, update, group) for update in range(4) for group in range(3)}
    for (update, group), batch in batches.items():
        again = training_batch(TINY, update, group)
        assert all(map(torch.equal, tensors_of(batch), tensors_of(again)))
    assert len({float(batch.targets.sum()) for batch in batches.values()}) == len(batches)


def test_no_seed_of_a_training_draws_what_validates() -> None:
    """Entropy of fewer than four words is filled up with zeros: [5, 0] is [5]. A spawn key stands behind all of it."""
    held_out = np.random.SeedSequence(validation.SEED, spawn_key=(0, 0)).generate_state(4)
    for entropy in (validation.SEED, [validation.SEED, 0], [validation.SEED, 0, 0], [validation.SEED, 0, 0, 0]):
        assert (np.random.SeedSequence(entropy).generate_state(4) != held_out).any()


def test_targets_are_what_follows_in_the_unit_of_the_step() -> None:
    """The quantiles of a network that knows the truth have no loss; the truth is read off the series once more."""
    values = np.random.default_rng(3).normal(size=(2, 30)).cumsum(axis=1)
    values[0, 20] = np.nan
    past = past_of(values, (4, 4))
    from longlag_lab.pretraining.batches import _targets

    rows, steps = np.array([0, 0, 1]), np.array([17, 10, 27])
    targets, weights = _targets(past, rows, steps, 5)
    for row, step, target, weight in zip(rows, steps, targets, weights, strict=True):
        for ahead in range(1, 6):
            at = step + ahead
            exists = at < 30 and bool(np.isfinite(values[row, at]))
            assert (weight[ahead - 1] > 0) == exists
            if exists:
                truth = (values[row, at] - past.level[row, step]) / past.scale[row, step]
                assert target[ahead - 1] == pytest.approx(truth, rel=1e-12)
    assert queries(past, rows, steps, 5)[0].shape[:2] == targets.shape


def test_the_loss_is_least_at_the_quantiles_of_the_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(4001, 1, dtype=torch.float64, generator=generator)
    quantiles = torch.quantile(targets[:, 0], torch.tensor(LEVELS, dtype=torch.float64)).expand(4001, 1, -1)
    least = pinball(quantiles, targets).mean()
    for shift in (-0.05, 0.05):
        assert pinball(quantiles + shift, targets).mean() > least


def test_the_gradients_of_the_groups_add_up_to_that_of_the_mean_loss() -> None:
    network = TINY.network()
    batches = [training_batch(TINY, 0, group) for group in range(3)]
    total = sum_of([batch_gradient(network, batch, 1 / 3) for batch in batches])
    from longlag_lab.pretraining.gradients import answers

    loss = torch.stack([batch_loss(answers(network, batch), batch) for batch in batches]).mean()
    assert total.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    for part, expected in zip(total.parts, torch.autograd.grad(loss, list(network.parameters())), strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-6)


def test_the_rate_rises_evenly_and_falls_to_its_last_share() -> None:
    import dataclasses

    settings = dataclasses.replace(TINY, updates=100, warm_up=10)
    rates = [settings.rate(update) for update in range(100)]
    assert rates[0] == pytest.approx(settings.learning_rate / 10, rel=1e-3)
    assert rates.index(max(rates)) == 9
    assert rates[99] == pytest.approx(settings.learning_rate * settings.last_share, rel=0.02)


def test_the_average_begins_near_the_weights_and_changes_slowly_later() -> None:
    training = Training(TINY)
    assert TINY.average_kept(0) == pytest.approx(0.1)
    assert TINY.average_kept(10**6) == TINY.averaging
    before = [parameter.clone() for parameter in training.network.parameters()]
    training.update(batch_gradient(training.network, training_batch(TINY, 0, 0), 1.0))
    for old, new, average in zip(before, training.network.parameters(), training.average.parameters(), strict=True):
        torch.testing.assert_close(average, old + 0.9 * (new.detach() - old))
