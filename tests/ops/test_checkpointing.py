"""Layers that keep a state at every so many steps: the same answers and gradients, in little memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from equivalence.engines import BACKENDS, NATIVE, needs_kernels
from longlag import LSTM, CellSpec
from longlag.errors import InputError

PLAIN = CellSpec()
RICH = CellSpec(cells_per_block=2, peepholes=True, gate_recurrence=True, sharpness=1.5, conventional_units=1)
STEPS, SAMPLES = 7, 4


def everything(backend: str, every: int | None, **options) -> list[Tensor]:
    """Outputs, states and the gradients of a fixed random scalar of them."""
    ragged = options.pop("ragged", False)
    torch.manual_seed(8)
    lstm = LSTM(3, 4, dtype=torch.float64, backend=backend, checkpoint_every=every, **options)
    values = torch.randn(STEPS, SAMPLES, 3, dtype=torch.float64, requires_grad=True)
    hx = tuple(torch.rand_like(part).requires_grad_() for part in lstm.initial_state(SAMPLES))
    output, state = lstm(values, hx, lengths=[3, 0, 7, 5] if ragged else None)
    total = sum((part * torch.randn_like(part)).sum() for part in (output, *state))
    wanted = [values, *hx, *lstm.parameters()]
    return [output, *state, *torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize(
    "options",
    [
        {}, {"ragged": True}, {"num_layers": 2, "bidirectional": True, "ragged": True}, {"proj_size": 2},
        {"cell": RICH, "num_layers": 2, "ragged": True}, {"cell": RICH, "gradient": "truncated", "bidirectional": True},
    ],
    ids=lambda options: " ".join(name if name != "cell" else "rich" for name in options) or "plain",
)  # fmt: skip
@pytest.mark.parametrize("backend", BACKENDS)
def test_checkpoints_change_no_answer_and_no_gradient(backend: str, options: dict[str, object]) -> None:
    if backend == "torch" and "cell" in options:
        pytest.skip("PyTorch's kernels run the plain cell")
    expected = everything(backend, None, **options)
    for every in (1, 2, 3, STEPS, STEPS + 1):
        found = everything(backend, every, **options)
        for one, other in zip(found, expected, strict=True):
            if backend in NATIVE:
                assert torch.equal(one, other)
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_batch_and_a_sequence_of_nothing_are_answered_as_without(backend: str) -> None:
    plain, spaced = LSTM(3, 4, backend=backend), LSTM(3, 4, backend=backend, checkpoint_every=2)
    for shape in ((0, 2, 3), (5, 0, 3), (0, 0, 3)):
        values = torch.randn(shape)
        expected, found = plain(values), spaced(values)
        for one, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
            assert one.shape == other.shape
        assert all(part.count_nonzero() == 0 for part in found[1])


@pytest.mark.parametrize(
    "backend", ["reference", "bptt", *(pytest.param(name, marks=needs_kernels) for name in NATIVE)]
)
def test_a_gradient_of_a_gradient_is_the_one_without_checkpoints(backend: str) -> None:
    answers = []
    for every in (None, 2):
        torch.manual_seed(8)
        lstm = LSTM(3, 4, dtype=torch.float64, backend=backend, checkpoint_every=every, cell=RICH)
        values = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
        wanted = [values, *lstm.parameters()]
        first = torch.autograd.grad(lstm(values)[0].square().sum(), wanted, create_graph=True)
        answers.append(torch.autograd.grad(sum(part.square().sum() for part in first), wanted))
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, InputError, "checkpoint_every is 0; expected a whole number of at least 1"),
        (-3, InputError, "checkpoint_every is -3; expected a whole number of at least 1"),
        (2.0, TypeError, "checkpoint_every is 2.0; expected a whole number of at least 1"),
        ("7", TypeError, "checkpoint_every is '7'; expected a whole number of at least 1"),
        (True, TypeError, "checkpoint_every is True; expected a whole number of at least 1"),
    ],
)
def test_a_spacing_that_is_none_is_refused(value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        LSTM(2, 3, checkpoint_every=value)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_its_text_names_the_spacing() -> None:
    assert repr(LSTM(2, 3, checkpoint_every=5)) == "LSTM(2, 3, checkpoint_every=5)"


@pytest.mark.costly
@pytest.mark.parametrize("backend", ["reference", pytest.param("native", marks=needs_kernels)])
def test_a_compiled_layer_with_checkpoints_is_one_graph(backend: str) -> None:
    torch._dynamo.reset()
    lstm, values = LSTM(2, 3, backend=backend, checkpoint_every=2), torch.randn(5, 2, 2)
    compiled = torch.compile(lstm, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(values)[0], lstm(values)[0])


# -- memory --------------------------------------------------------------------------------------------------------

MEGABYTE = 2**20
PROGRAM = """
import resource, sys
import torch
from longlag import LSTM

steps, backend, every = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
lstm = LSTM(64, 64, backend=backend, checkpoint_every=every or None)

def tensors(steps):
    return torch.randn(steps, 8, 64, requires_grad=True), torch.randn(steps, 8, 64)

def gradients(values, errors):
    return torch.autograd.grad(lstm(values)[0], [values, *lstm.parameters()], errors)

gradients(*tensors(50))  # what is loaded when it is first needed
values, errors = tensors(steps)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
found = gradients(values, errors)
added = peak() - before
assert all(part.isfinite().all() and part.count_nonzero() for part in found)
print(added)
"""


def growth(steps: int, backend: str, every: int) -> float:
    """Megabytes that full BPTT over 8 sequences of 64 features, by 64 cells in float32, adds to what holds its input
    and the error of its output: output and gradient of the input among them."""
    pytest.importorskip("resource", reason="this system does not tell a process's peak of memory")
    given = [sys.executable, "-c", PROGRAM, str(steps), backend, str(every)]
    child = subprocess.run(given, capture_output=True, text=True, check=True)
    found = int(child.stdout) / MEGABYTE
    print(f"{backend}, {steps} steps, checkpoint_every={every}: {found:.0f} MB")  # noqa: T201
    return found


@needs_kernels
@pytest.mark.processes
def test_twenty_thousand_steps_need_little_more_than_input_and_output() -> None:
    output = 20_000 * 8 * 64 * 4 / MEGABYTE  # 39
    assert growth(20_000, "native-units", 142) <= 2 * output + 20  # the tape of all steps takes 200


@pytest.mark.slow
@pytest.mark.parametrize("backend", [pytest.param(name, marks=needs_kernels) for name in NATIVE])
def test_a_hundred_thousand_steps_need_100_megabytes_beyond_input_and_output(backend: str) -> None:
    output = 100_000 * 8 * 64 * 4 / MEGABYTE  # 195
    assert growth(100_000, backend, 316) - 2 * output <= 100
