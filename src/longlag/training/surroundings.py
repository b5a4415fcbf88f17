"""What training sets for its own purposes, and gives back: modes of modules, gradients, torch's default device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from longlag.gradients import ScheduledSampling
from longlag.nn.network import Network

__all__ = ["as_it_was", "on_its_device"]


@contextmanager
def as_it_was(network: Network, feeding: ScheduledSampling | None) -> Iterator[None]:
    """Give back the modes, the ``.grad`` and the probability of feeding that the caller had, when the block ends."""
    modes = [(module, module.training) for module in network.modules()]
    gradients = [(parameter, parameter.grad) for parameter in network.parameters()]
    probability = 0.0 if feeding is None else feeding.sampling_probability
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, gradient in gradients:
            parameter.grad = gradient
        if feeding is not None:
            feeding.sampling_probability = probability


@contextmanager
def on_its_device(network: Network) -> Iterator[None]:
    """While the block runs, torch's default device is that of the network, whatever the caller has set.

    torch.optim makes tensors without saying where. Where the device is the network's already nothing is done, because
    torch's context costs time in every call.
    """
    device = next(network.parameters()).device
    with nullcontext() if torch.get_default_device() == device else device:
        yield
