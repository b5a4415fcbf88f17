"""Launches that are recorded and replayed: without a device by computing again, with ``-m gpu`` on one."""

from __future__ import annotations

import functools

import pytest
import torch

from equivalence.compare import EXACT, answers_and_gradients, distance
from longlag import CellSpec
from longlag.ops import reference
from longlag.ops.engine import LayerCall
from longlag.ops.paths import FULL
from ops.examples import CELLS

pytest.importorskip("triton", minversion="3.4")
import ops.fast_interpreter  # noqa: F401
from longlag.ops.triton import graphs
from longlag.ops.triton.launch import INTERPRETED
from longlag.ops.triton.layer import layer
from ops.gpu_calls import a_call, assert_equal_to_the_reference

pytestmark = pytest.mark.interpreter


class GraphOnTheCpu:
    """A graph without a device: to replay it is to compute again, from the tensors it was recorded with."""

    def __init__(self, compute: graphs.Pass, tensors: graphs.Tensors) -> None:
        self.compute = compute
        self.inputs = tuple(None if tensor is None else tensor.clone() for tensor in tensors)
        self.outputs = compute(*(None if tensor is None else tensor.clone() for tensor in self.inputs))

    def replay(self) -> None:
        # what a pass writes over, such as net inputs, it writes over here too
        for place, found in zip(self.outputs, self.compute(*self.inputs), strict=True):
            if place is not None and found is not None:
                place.copy_(found)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> list[GraphOnTheCpu]:
    made: list[GraphOnTheCpu] = []

    def record(compute: graphs.Pass, tensors: graphs.Tensors) -> graphs.Recording:
        made.append(GraphOnTheCpu(compute, tensors))
        return graphs.Recording(made[-1], made[-1].inputs, made[-1].outputs)

    monkeypatch.setattr(graphs, "RECORDED", type(graphs.RECORDED)())
    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(graphs, "can_record", lambda tensor: True)
    return made


@pytest.mark.skipif(not INTERPRETED, reason="for the interpreter")
@pytest.mark.parametrize("lengths", [None, [3, 0, 2]], ids=["full", "ragged"])
def test_replayed_passes_answer_for_the_tensors_of_each_call(lengths, recording: list[GraphOnTheCpu]) -> None:
    spec = CELLS["2013"]
    calls = [a_call(spec, samples=3, hidden=6, lengths=lengths, size=size) for size in (0.2, 0.3, 0.4, 0.5)]
    engine = functools.partial(layer, resident=False)
    kept = [answers_and_gradients(engine, call, FULL) for call in calls]
    assert len(recording) == 2  # forward and backward, at the second call
    for found, call in zip(kept, calls, strict=True):  # all afterwards: no call writes over another's answers
        expected = answers_and_gradients(reference.layer, call, FULL)
        assert max(distance(ours, theirs) for ours, theirs in zip(found, expected, strict=True)) <= EXACT
    answers_and_gradients(engine, a_call(spec, steps=2, samples=3, hidden=6, lengths=None), FULL)
    assert len(recording) == 2  # another shape is not the same pass


@pytest.mark.skipif(not INTERPRETED, reason="for the interpreter")
def test_no_more_passes_are_kept_than_the_limit(recording: list[GraphOnTheCpu]) -> None:
    engine = functools.partial(layer, resident=False)
    for steps in range(1, graphs.MOST_GRAPHS + 3):
        call = a_call(CellSpec(), steps=steps, samples=1, hidden=1)
        with torch.no_grad():
            engine(LayerCall(call.spec, call.weights, call.inputs, call.state, None, FULL))
    assert len(graphs.RECORDED) == graphs.MOST_GRAPHS


@pytest.mark.gpu
@pytest.mark.parametrize("spec", CELLS.values(), ids=CELLS)
def test_graphs_of_a_device_answer_for_the_tensors_of_each_call(spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "ENABLED", True)
    for size in (0.2, 0.3, 0.4, 0.5):
        for lengths in (None, [3, 0, 2]):
            call = a_call(spec, samples=3, hidden=6, lengths=lengths, size=size)
            assert_equal_to_the_reference(call, FULL, "cuda", resident=False)
