"""LSTM(learn_sharpness=True): alpha = cell.sharpness exp(log_sharpness), one for each kind of gate, as a module."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad
from torch.nn.utils import parametrize

from equivalence.engines import needs_kernels, on_every_backend
from longlag import LSTM, CellSpec, Network
from longlag.errors import InputError
from longlag.io.directory import read_directory, write_directory
from longlag.nn import init
from longlag.ops import select

PLAIN = CellSpec()
CELLS = {
    "plain": PLAIN,
    "1997": CellSpec.hochreiter1997(cells_per_block=2, conventional_units=1),
    "2013": CellSpec.batch2013(forget_gate=True),
    "peepholes": CellSpec.graves2005(),
    "coupled": CellSpec(coupled_gates=True, peepholes=True, sharpness=0.5),
    "biases of gates": CellSpec(biases="gates", recurrence=False),
}
EXACT = 1e-12
LENGTHS = [5, 0, 3]


def made(cell: CellSpec = PLAIN, *, learn_sharpness: bool = True, **options: object) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 4, dtype=torch.float64, cell=cell, learn_sharpness=learn_sharpness, **options)


def values(samples: int = 3) -> Tensor:
    return torch.randn(5, samples, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def sharpen(lstm: LSTM, *logs: float) -> LSTM:
    """Each layer's and direction's gates get these, one after the other, over and over."""
    with torch.no_grad():
        for name, weight in lstm.named_parameters():
            if "log_sharpness" in name:
                weight.copy_(weight.new_tensor([logs[gate % len(logs)] for gate in range(len(weight))]))
    return lstm


def answers(lstm: LSTM, **options: object) -> list[Tensor]:
    output, state = lstm(values(), **options)
    return [output, *state]


# -- parameters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "gates"), [(PLAIN, 3), (CELLS["coupled"], 2), (CellSpec.hochreiter1997(), 2)])
def test_each_layer_and_direction_has_one_for_each_kind_of_gate(cell: CellSpec, gates: int) -> None:
    lstm = made(cell, num_layers=2, bidirectional=True)
    found = {name: tuple(weight.shape) for name, weight in lstm.named_parameters() if "sharpness" in name}
    suffixes = ("l0", "l0_reverse", "l1", "l1_reverse")
    assert found == {f"log_sharpness_{suffix}": (gates,) for suffix in suffixes}


def test_nobody_who_does_not_ask_has_one() -> None:
    lstm, asked = made(learn_sharpness=False), made()
    assert list(lstm.state_dict()) == list(torch.nn.LSTM(3, 4).state_dict())
    assert "sharpness" not in repr(lstm)
    assert "learn_sharpness=True" in repr(asked)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_the_other_weights_are_drawn_as_they_are_without_it(cell: CellSpec) -> None:
    for drawn in (init.uniform_, init.hochreiter1997_, init.sparse_):
        found = []
        for lstm in (made(cell, learn_sharpness=False, num_layers=2), sharpen(made(cell, num_layers=2), 0.3)):
            torch.manual_seed(2)
            drawn(lstm)
            found.append(lstm.state_dict())
        fixed, learned = found
        assert all(torch.equal(learned[name], fixed[name]) for name in fixed)
        assert not any(bool(learned[name].any()) for name in learned.keys() - fixed.keys())


def test_slopes_are_told_by_layer_and_gate() -> None:
    cell = CellSpec(coupled_gates=True, sharpness=2.0)
    assert made(cell).gate_sharpness() == [{"i": 2.0, "o": 2.0}]
    assert made(cell, learn_sharpness=False, num_layers=2).gate_sharpness() == [{"i": 2.0, "o": 2.0}] * 2
    learned = sharpen(made(cell), math.log(3.0), math.log(0.5)).gate_sharpness()
    assert learned == [{"i": pytest.approx(6.0), "o": pytest.approx(1.0)}]


def test_memories_spread_by_chrono_take_the_learned_slope_into_account() -> None:
    lstm = sharpen(made(CellSpec(sharpness=2.0)), math.log(3.0), math.log(0.5), 0.0)
    init.chrono_(lstm, 100)
    biases = lstm.bias_ih_l0.detach()
    torch.testing.assert_close(torch.sigmoid(6.0 * biases[:4]), 1.0 - torch.sigmoid(1.0 * biases[4:8]))


def test_a_cell_without_gates_is_refused() -> None:
    gateless = CellSpec(input_gate=False, forget_gate=False, output_gate=False)
    with pytest.raises(InputError, match="learn_sharpness needs a gate"):
        LSTM(3, 4, cell=gateless, learn_sharpness=True)
    with pytest.raises(TypeError, match="learn_sharpness should be of type bool, got: float"):
        LSTM(3, 4, learn_sharpness=1.0)  # type: ignore[arg-type]


# -- results -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "backend"), on_every_backend(CELLS, PLAIN))
@pytest.mark.parametrize("options", [{}, {"gradient": "truncated"}, {"checkpoint_every": 2}], ids=str)
def test_until_it_moves_it_changes_no_bit(cell: CellSpec, backend: str, options: dict[str, object]) -> None:
    if backend == "torch" and "gradient" in options:
        pytest.skip("PyTorch's kernels know the full gradient alone")
    found = []
    for learn in (False, True):
        lstm = made(cell, learn_sharpness=learn, num_layers=2, backend=backend, **options)
        results = answers(lstm, lengths=LENGTHS)
        sum(part.sin().sum() for part in results).backward()
        named = [(name, weight) for name, weight in lstm.named_parameters() if weight.numel()]
        gradients = [weight.grad for name, weight in named if "sharpness" not in name]
        found.append([*results, *gradients])
        if learn:
            assert all(bool(lstm.get_parameter(f"log_sharpness_l{layer}").grad.any()) for layer in range(2))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(("cell", "backend"), on_every_backend({k: CELLS[k] for k in ("2013", "coupled")}, PLAIN))
def test_equal_slopes_are_those_of_a_sharper_cell(cell: CellSpec, backend: str) -> None:
    learned = sharpen(made(cell, backend=backend, bidirectional=True), math.log(1.7))
    sharper = dataclasses.replace(cell, sharpness=1.7 * cell.sharpness)
    fixed = made(sharper, backend=backend, bidirectional=True, learn_sharpness=False)
    fixed.load_state_dict(learned.state_dict(), strict=False)
    for one, other in zip(answers(learned, lengths=LENGTHS), answers(fixed, lengths=LENGTHS), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=EXACT)


def test_each_gate_has_its_own_slope() -> None:
    """One step of the plain cell, by hand."""
    lstm = sharpen(made(), 0.5, -0.7, 1.1)
    x, (y, s) = values()[0], torch.randn(2, 1, 3, 4, dtype=torch.float64)
    net = x @ lstm.weight_ih_l0.T + y[0] @ lstm.weight_hh_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
    i, f, g, o = net.chunk(4, dim=-1)
    i, f, o = (torch.sigmoid(math.exp(a) * part) for a, part in ((0.5, i), (-0.7, f), (1.1, o)))
    cells = f * s[0] + i * torch.tanh(g)
    output, (_, found) = lstm(x[None], (y, s))
    torch.testing.assert_close(found[0], cells, rtol=0, atol=EXACT)
    torch.testing.assert_close(output[0], o * torch.tanh(cells), rtol=0, atol=EXACT)


def test_a_schedule_of_the_cells_sharpness_multiplies_it() -> None:
    lstm = sharpen(made(), math.log(2.0))
    lstm.cell = dataclasses.replace(lstm.cell, sharpness=3.0)
    assert lstm.gate_sharpness()[0]["f"] == pytest.approx(6.0)
    sharper = made(CellSpec(sharpness=6.0), learn_sharpness=False)
    torch.testing.assert_close(lstm(values())[0], sharper(values())[0], rtol=0, atol=EXACT)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_stream_gives_what_the_whole_sequence_gives(cell: CellSpec) -> None:
    lstm = sharpen(made(cell, num_layers=2), 0.5, -0.7, 1.1)
    with torch.no_grad():
        for _ in range(2):
            state, outputs = lstm.initial_state(3), []
            for x_t in values():
                output, state = lstm.step(x_t, state, inplace=True)
                outputs.append(output.clone())
            torch.testing.assert_close(torch.stack(outputs), lstm(values())[0], rtol=0, atol=EXACT)
            sharpen(lstm, -0.2)  # and again with others


def test_functional_call_puts_another_in_its_place() -> None:
    lstm, other = made(), torch.tensor([0.4, -0.3, 0.2], dtype=torch.float64)

    def total(logs: Tensor) -> Tensor:
        return functional_call(lstm, {"log_sharpness_l0": logs}, (values(),))[0].sin().sum()

    found = grad(total)(other)
    sharpen(lstm, *other.tolist())
    expected = torch.autograd.grad(lstm(values())[0].sin().sum(), lstm.log_sharpness_l0)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_other_types_compute_with_it(kind: torch.dtype) -> None:
    lstm = sharpen(made(), 0.5)
    expected = lstm(values())[0]
    found = copy.deepcopy(lstm).to(kind)(values().to(kind))[0]
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6 if kind == torch.float32 else 0.05)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = copy.deepcopy(lstm).float()(values().float())[0]
    torch.testing.assert_close(mixed.double(), expected, rtol=0, atol=0.05)


def test_it_may_be_parametrised() -> None:
    class Shared(torch.nn.Module):
        def forward(self, logs: Tensor) -> Tensor:
            return logs.mean().expand_as(logs)

    lstm = sharpen(made(), 0.6, 0.0, 0.0)
    parametrize.register_parametrization(lstm, "log_sharpness_l0", Shared())
    expected = sharpen(made(), 0.2)(values())[0]
    torch.testing.assert_close(lstm(values())[0], expected, rtol=0, atol=EXACT)


@pytest.mark.costly
@needs_kernels
def test_it_compiles_into_one_graph_on_the_kernels() -> None:
    torch._dynamo.reset()
    lstm = sharpen(made(CELLS["2013"]), 0.5, -0.7, 1.1)
    results = []
    for run in (torch.compile(lstm, fullgraph=True, backend="aot_eager"), lstm):
        output = run(values(), lengths=torch.tensor(LENGTHS))[0]
        results.append([output, *torch.autograd.grad(output.sin().sum(), list(lstm.parameters()))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=EXACT)
    assert lstm.backend_for(values()).startswith("native") or select.DEFAULT != "auto"


# -- keeping -------------------------------------------------------------------------------------------------------


def test_it_is_in_the_state_dict_and_survives_files_copies_and_pickles(tmp_path: Path) -> None:
    network = Network(sharpen(made(CELLS["coupled"], num_layers=2), 0.5, -0.7), 2)
    expected = network(values())[0]
    write_directory(tmp_path / "model", kind="model", files={"network.safetensors": network.state_dict()}, document={})
    again = Network(made(CELLS["coupled"], num_layers=2), 2)
    again.load_state_dict(read_directory(tmp_path / "model", kind="model").files["network.safetensors"])
    for other in (again, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301
        assert torch.equal(other(values())[0], expected)


def test_a_checkpoint_without_it_lacks_it_and_gives_the_same_results_with_strict_off() -> None:
    fixed, learned = made(CellSpec(sharpness=2.0), learn_sharpness=False), made(CellSpec(sharpness=2.0))
    init.uniform_(fixed)
    with pytest.raises(RuntimeError, match="log_sharpness_l0"):
        learned.load_state_dict(fixed.state_dict())
    assert learned.load_state_dict(fixed.state_dict(), strict=False).missing_keys == ["log_sharpness_l0"]
    assert torch.equal(learned(values())[0], fixed(values())[0])
    with pytest.raises(RuntimeError, match="log_sharpness_l0"):
        fixed.load_state_dict(learned.state_dict())
