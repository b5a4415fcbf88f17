"""check_gradient: a right gradient passes, a wrong one is named, and the network is left as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from torch import Tensor

from equivalence.specs import Problem, problems
from longlag import LSTM, CellSpec, Network, SequenceBatch
from longlag.errors import InputError
from longlag.gradients import RTRL, Backpropagation, Gradient, TruncatedBPTT, check_gradient, finite_differences
from longlag.nn import CrossEntropy, Loss, MeanSquaredError, SquaredError
from longlag.ops.paths import TRUNCATED
from property_examples import examples

# torch's own, when forward-mode differentiation is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

SMOOTH = (SquaredError, MeanSquaredError, CrossEntropy)


def small(**options: object) -> tuple[Network, SequenceBatch]:
    """A network of two cells, and two sequences."""
    network = Network(LSTM(2, 2, **{"dtype": torch.float64, **options}), 1)
    sequences = [torch.randn(5, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)]
    return network, SequenceBatch.last_step(sequences, torch.randn(2, 1, dtype=torch.float64))


class WrongAt:
    """Full BPTT with one derivative off by ``error``."""

    def __init__(self, place: int, index: tuple[int, ...], error: float) -> None:
        self.place, self.index, self.error = place, index, error

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        value, right = Backpropagation().value_and_gradient(network, loss, batch)
        gradient = tuple(part.clone() for part in right)  # both biases' gradient is one and the same tensor
        gradient[self.place][self.index] += self.error
        return value, gradient


@pytest.mark.costly
@examples(15)
@given(problems(kinds=SMOOTH, bidirectional=True))
def test_a_right_gradient_is_found_right(problem: Problem) -> None:
    found = check_gradient(problem.network, problem.loss, problem.batch)
    assert found.error < 1e-7
    assert found.weights == problem.network.weight_count()


@pytest.mark.costly
@pytest.mark.parametrize("error", [1e-4, -1.0, float("nan")])
def test_a_wrong_derivative_is_named_wherever_it_is(error: float) -> None:
    network, batch = small(cell=CellSpec(peepholes=True))
    slopes = finite_differences(network, SquaredError(), batch)
    for place, (name, parameter) in enumerate(network.named_parameters()):
        index = tuple(int(torch.randint(size, ())) for size in parameter.shape)
        found = check_gradient(network, SquaredError(), batch, WrongAt(place, index, error))
        assert (found.parameter, found.index) == (name, index)
        assert not found.error < 1e-5
        slope = float(slopes[place][index])
        assert found.expected == slope
        assert found.found == pytest.approx(slope + error, abs=1e-8, nan_ok=True)
        assert f"{name}[{', '.join(map(str, index))}]" in str(found)


def test_every_exact_engine_passes_and_every_cut_one_does_not() -> None:
    network, batch = small()
    for engine in (Backpropagation(), RTRL(), TruncatedBPTT(2, 5)):
        assert check_gradient(network, SquaredError(), batch, engine).error < 1e-7
    for cut in (Backpropagation(TRUNCATED), RTRL(TRUNCATED), TruncatedBPTT(2, 2)):
        assert check_gradient(network, SquaredError(), batch, cut).error > 1e-5


def test_dropout_that_is_switched_on_is_refused() -> None:
    network, batch = small(num_layers=2, dropout=0.5)
    with pytest.raises(InputError, match=r"network\.eval\(\)"):
        check_gradient(network, SquaredError(), batch)
    assert check_gradient(network.eval(), SquaredError(), batch).error < 1e-7


def test_a_network_without_trainable_parameters_is_refused() -> None:
    network, batch = small()
    with pytest.raises(InputError, match="no trainable parameter"):
        check_gradient(network.requires_grad_(False), SquaredError(), batch)


def test_frozen_parameters_are_left_out() -> None:
    network, batch = small()
    network.lstm.requires_grad_(False)
    found = check_gradient(network, SquaredError(), batch)
    assert found.weights == 3
    assert found.parameter.startswith("readout.")
    assert found.error < 1e-7


def test_the_network_is_left_as_it_was() -> None:
    network, batch = small(num_layers=2, dropout=0.5, dtype=torch.float32)
    network.eval()
    before = copy.deepcopy(network.state_dict())
    check_gradient(network, SquaredError(), batch)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.training
    assert network.lstm.weight_ih_l0.dtype == torch.float32


def test_a_float32_network_is_checked_in_float64() -> None:
    network, batch = small(dtype=torch.float32)
    found = check_gradient(network, SquaredError(), batch.to(dtype=torch.float32))
    assert found.error < 1e-7


def test_a_bfloat16_network_is_checked_in_float64() -> None:
    network, batch = small(dtype=torch.bfloat16)
    assert check_gradient(network, SquaredError(), batch.to(dtype=torch.bfloat16)).error < 1e-7
