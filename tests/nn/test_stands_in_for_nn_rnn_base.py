"""Libraries that look for ``nn.RNNBase``, trace with torch.fx, or want many gradients at once find what they expect."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from longlag import LSTM, Network
from nn.layers import ENGINES, LENGTHS, assert_same, flat, layer, sequences

# torch.func's first import uses it
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.\w+` is deprecated:DeprecationWarning")


def test_a_recipe_of_initialisation_for_every_nn_rnn_base_reaches_the_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 3), LSTM(3, 4, num_layers=2))
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            for name, weight in module.named_parameters():
                nn.init.constant_(weight, 0.5 if "weight_hh" in name else 0.25)
    assert model[1].weight_hh_l1.eq(0.5).all()
    assert model[1].bias_ih_l0.eq(0.25).all()


def test_the_attributes_that_callers_of_nn_lstm_read_are_those_of_nn_lstm() -> None:
    ours, theirs = LSTM(3, 4, num_layers=2, bidirectional=True), nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    assert ours.mode == theirs.mode
    assert [weight.shape for weight in ours._flat_weights] == [weight.shape for weight in theirs._flat_weights]
    assert [len(weights) for weights in ours.all_weights] == [len(weights) for weights in theirs.all_weights]
    batch = torch.randn(5, 2, 3)
    assert ours.get_expected_hidden_size(batch, None) == theirs.get_expected_hidden_size(batch, None)
    for each in (ours, theirs):
        each.flatten_parameters()


def test_a_weight_that_is_set_anew_is_the_one_that_is_used() -> None:
    lstm = layer()
    lstm.weight_hh_l0 = nn.Parameter(torch.zeros_like(lstm.weight_hh_l0))
    other = layer()
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    values = sequences()
    assert_same(flat(lstm(values)), flat(other(values)))
    assert lstm._flat_weights[1] is lstm.weight_hh_l0


class Model(nn.Module):
    """A layer between other modules, as people have them."""

    def __init__(self, lstm: LSTM) -> None:
        super().__init__()
        self.lstm, self.network = lstm, Network(LSTM(4, 5, dtype=torch.float64), 2)

    def forward(self, values, lengths):
        outputs, (last, _) = self.lstm(values, lengths=lengths)
        return self.network(outputs.tanh())[0] + last.sum()


def test_torch_fx_takes_layers_and_networks_for_leaves() -> None:
    model = Model(layer())
    traced = torch.fx.symbolic_trace(model)
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    assert calls == ["lstm", "network"]
    values = sequences()
    assert_same([traced(values, LENGTHS)], [model(values, LENGTHS)])


@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_many_gradients_at_once_are_those_of_a_loop(cell, backend) -> None:
    lstm, values = layer(cell, backend), sequences().requires_grad_()
    outputs = lstm(values, lengths=LENGTHS)[0]
    wanted = [values, *lstm.parameters()]
    errors = torch.randn(4, *outputs.shape, dtype=outputs.dtype)
    together = torch.autograd.grad(outputs, wanted, errors, is_grads_batched=True, retain_graph=True)
    one_by_one = [torch.autograd.grad(outputs, wanted, error, retain_graph=True) for error in errors]
    assert_same(together, [torch.stack(parts) for parts in zip(*one_by_one, strict=True)], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("cell", "backend"), ENGINES)
def test_a_vectorised_jacobian_is_that_of_a_loop(cell, backend) -> None:
    lstm, values = layer(cell, backend), sequences()[:2, :1]

    def answer(inputs):
        return lstm(inputs)[0][-1, 0]

    found = torch.autograd.functional.jacobian(answer, values, vectorize=True)
    assert_same([found], [torch.autograd.functional.jacobian(answer, values)], rtol=0, atol=1e-12)
