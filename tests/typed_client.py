"""What a program that uses longlag writes. `make lint` checks its types; test_typed_client.py runs it."""

from __future__ import annotations

from typing import assert_type

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from longlag import LSTM, Network


def padded(module: LSTM | Network, input: Tensor) -> Tensor:
    """A tensor comes back for a tensor."""
    output, state = module(input, lengths=[3, 1])
    assert_type(output, Tensor)
    assert_type(state, tuple[Tensor, ...])
    return output.sum()


def packed(module: LSTM | Network, input: PackedSequence) -> Tensor:
    """A PackedSequence comes back for a PackedSequence."""
    output, _ = module(input)
    assert_type(output, PackedSequence)
    return output.data.sum()


def forwarded(module: LSTM | Network, input: Tensor, packed_input: PackedSequence) -> Tensor:
    """``forward`` by its own name promises what the call does."""
    output, _ = module.forward(input)
    assert_type(output, Tensor)
    packed_output, _ = module.forward(packed_input, lengths=None)
    assert_type(packed_output, PackedSequence)
    return output.sum() + packed_output.data.sum()


def either(module: LSTM | Network, input: Tensor | PackedSequence) -> Tensor | PackedSequence:
    """What is not known beforehand stays so."""
    output, _ = module(input)
    return output


def streamed(lstm: LSTM, inputs: Tensor) -> Tensor:
    """One step at a time, each state handed to the next."""
    state = lstm.initial_state(inputs.shape[1])
    for x_t in inputs:
        output, state = lstm.step(x_t, state)
    return output


def main() -> list[Tensor]:
    """Each of the above, for a layer and a network."""
    lstm = LSTM(2, 4)
    network = Network(lstm, 1)
    assert_type(lstm.weight_count() + network.weight_count(), int)
    sequences = [torch.ones(3, 2), torch.ones(1, 2)]
    batch = torch.nn.utils.rnn.pad_sequence(sequences)
    results = [streamed(lstm, batch)]
    for module in (lstm, network):
        output = either(module, batch)
        assert isinstance(output, Tensor)
        pack = pack_sequence(sequences)
        results += [padded(module, batch), packed(module, pack), forwarded(module, batch, pack), output]
    return results
