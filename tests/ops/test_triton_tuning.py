"""The choice of a tile by measuring: what is timed, what is kept, and that no choice changes the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from equivalence.compare import EXACT, answers_and_gradients, distance
from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.engine import LayerCall
from longlag.ops.paths import FULL
from ops.examples import CELLS, example

pytest.importorskip("triton", minversion="3.4")
from triton.runtime.errors import OutOfResources

import ops.fast_interpreter  # noqa: F401
from longlag.ops.triton import dummy_inputs, tuning
from longlag.ops.triton.geometry import geometry
from longlag.ops.triton.launch import INTERPRETED
from longlag.ops.triton.launch_config import LaunchConfig, candidate_configs, default_config
from longlag.ops.triton.layer import layer

pytestmark = [
    pytest.mark.interpreter,
    pytest.mark.skipif(not INTERPRETED, reason="for the interpreter, which takes the CPU's tensors"),
]

A, B, C = (
    LaunchConfig(1, False, 4),
    LaunchConfig(2, False, 4),
    LaunchConfig(2, False, 8),
)


class Clock:
    """In place of the device's: runs what is timed, and says how long each tile is to have taken."""

    def __init__(self, takes: dict[LaunchConfig, float]) -> None:
        self.takes, self.timed = takes, []

    def prepare(self, tile: LaunchConfig) -> Callable[[], object]:
        def run() -> LaunchConfig:
            if tile not in self.takes:
                raise OutOfResources(300_000, 232_448, "shared memory")
            return tile

        return run

    def milliseconds(self, run: Callable[[], object]) -> float:
        self.timed.append(run())
        return self.takes[self.timed[-1]]


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tuning, "FASTEST", {})
    return tmp_path / "longlag" / "gpu_tiles.json"


def clock(monkeypatch: pytest.MonkeyPatch, takes: dict[LaunchConfig, float]) -> Clock:
    made = Clock(takes)
    monkeypatch.setattr(tuning, "milliseconds", made.milliseconds)
    return made


def test_the_fastest_tile_is_taken_and_never_measured_again(monkeypatch, place: Path) -> None:
    ours = clock(monkeypatch, {A: 3.0, B: 1.0, C: 2.0})
    assert tuning.fastest("a layer", [A, B, C], ours.prepare) == B
    assert set(ours.timed) == {A, B, C}
    assert json.loads(place.read_text()) == {"a layer": list(B)}
    ours.timed.clear()
    assert tuning.fastest("a layer", [A, B, C], ours.prepare) == B
    monkeypatch.setattr(tuning, "FASTEST", {})  # another process
    assert tuning.fastest("a layer", [A, B, C], ours.prepare) == B
    assert not ours.timed
    assert tuning.fastest("another", [A, C], ours.prepare) == C
    assert json.loads(place.read_text()) == {"a layer": list(B), "another": list(C)}
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a layer": [9, false, 9]}', '{"a layer": "B"}'])
def test_what_the_file_cannot_mean_is_measured_again(content: str, monkeypatch, place: Path) -> None:
    place.parent.mkdir()
    place.write_text(content)
    ours = clock(monkeypatch, {A: 3.0, B: 1.0})
    assert tuning.fastest("a layer", [A, B], ours.prepare) == B
    assert json.loads(place.read_text()) == {"a layer": list(B)}


def test_a_tile_that_an_sm_has_no_room_for_is_passed_over(monkeypatch) -> None:
    ours = clock(monkeypatch, {B: 1.0})
    assert tuning.fastest("a layer", [A, B, C], ours.prepare) == B
    with pytest.raises(OutOfResources):
        tuning.fastest("too large", [A, C], ours.prepare)
    assert "too large" not in tuning.FASTEST


def test_a_folder_that_cannot_be_written_costs_a_warning_and_nothing_else(monkeypatch, place: Path) -> None:
    place.parent.write_text("a file where the folder should be")
    ours = clock(monkeypatch, {A: 3.0, B: 1.0})
    with pytest.warns(UserWarning, match=r"measured launch configurations cannot be kept in .*gpu_tiles\.json"):
        assert tuning.fastest("a layer", [A, B], ours.prepare) == B


def test_a_file_that_cannot_be_replaced_stays_as_it_was_and_nothing_lies_beside_it(monkeypatch, place: Path) -> None:
    place.parent.mkdir()
    place.write_text('{"another": [1, false, 4]}')

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    ours = clock(monkeypatch, {A: 3.0, B: 1.0})
    with pytest.warns(UserWarning, match=r"will be measured again: no space left on device"):
        assert tuning.fastest("a layer", [A, B], ours.prepare) == B
    assert json.loads(place.read_text()) == {"another": [1, False, 4]}
    assert list(place.parent.iterdir()) == [place]


def test_without_being_asked_for_nothing_is_measured() -> None:
    assert not tuning.is_wanted(torch.zeros(1))


@pytest.mark.parametrize(
    ("dtype", "rounding"),
    [(torch.float32, "ieee"), (torch.float32, "tf32"), (torch.bfloat16, "ieee"), (torch.float64, "ieee")],
)
@pytest.mark.parametrize("hidden", [1, 32, 64, 128])
def test_the_usual_tile_is_the_first_of_those_worth_timing(dtype: torch.dtype, rounding: str, hidden: int) -> None:
    geo = geometry(CellSpec(), hidden, 0)
    worth = candidate_configs(geo, dtype, rounding)
    assert worth[0] == default_config(geo, dtype, rounding, True)
    assert len(set(worth)) == len(worth) <= 10
    for tile in worth:
        assert tile.samples >= (16 if tile.dot else 1)
        assert tile.warps in (1, 2, 4, 8, 16)


@pytest.mark.parametrize("spec", CELLS.values(), ids=CELLS)
def test_with_every_tile_worth_timing_the_answers_are_the_references(spec: CellSpec, monkeypatch) -> None:
    call, asked = example(spec), []
    expected = answers_and_gradients(reference.layer, call, FULL)
    monkeypatch.setattr(tuning, "is_wanted", lambda like: True)
    monkeypatch.setattr(dummy_inputs, "STEPS", 1)
    monkeypatch.setattr(dummy_inputs, "SAMPLES", 1)
    for turn in range(2):

        def choose(name: str, worth, prepare, turn: int = turn) -> LaunchConfig:
            tile = worth[turn % len(worth)]
            prepare(tile)()  # what would be timed runs
            asked.append((name, tile))
            return tile

        monkeypatch.setattr(tuning, "fastest", choose)
        before = torch.get_rng_state()
        found = answers_and_gradients(layer, call, FULL)
        assert torch.equal(torch.get_rng_state(), before)
        for ours, theirs in zip(found, expected, strict=True):
            assert distance(ours, theirs) <= EXACT
    assert len(asked) == 4  # forward and backward
    assert len({name for name, _ in asked}) == 2


def test_one_measurement_holds_for_every_batch(monkeypatch) -> None:
    names = []
    monkeypatch.setattr(tuning, "is_wanted", lambda like: True)
    monkeypatch.setattr(tuning, "fastest", lambda name, worth, prepare: names.append(name) or worth[0])
    call = example(CELLS["2013"])
    with torch.no_grad():
        layer(LayerCall(call.spec, call.weights, call.inputs, call.state, None, FULL))
        layer(LayerCall(call.spec, call.weights, call.inputs[:1], call.state, torch.tensor([1, 0]), FULL))
        state = type(call.state)(*(part[:1] for part in call.state))
        layer(LayerCall(call.spec, call.weights, call.inputs[:, :1], state, None, FULL))
    assert len(names) == 3
    assert len(set(names)) == 1
