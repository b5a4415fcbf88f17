"""Exact real-time recurrent learning: derivatives of the state are carried forward with the state."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.func import functional_call, jvp, vmap

from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.gradients.engine import Gradient, forward_only, paths_for, trainable
from longlag.nn.flat import flattened
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.ops.engine import CallOptions
from longlag.ops.paths import GradientPaths

__all__ = ["RTRL"]


class RTRL:
    """Forward mode: ``ds_t/dw = (ds_t/ds_{t-1}) ds_{t-1}/dw + partial ds_t/dw`` for every weight w at once.

    Memory does not grow with T, but holds one copy of the state per weight; time per step is that of W forward steps.
    With the full paths it is exact, and the oracle for full BPTT (1997 paper, section 5: offline RTRL and untruncated
    BPTT compute the same gradient). With the truncated paths it is the forward form of the 1997 rule. ``paths`` None:
    those of the layer, ``LSTM(gradient=...)``.

    Raises
    ------
    InputError
        If the network is bidirectional or drops units at random, or if its layer cuts one of the paths.
    """

    def __init__(self, paths: GradientPaths | None = None) -> None:
        self.paths = paths

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        forward_only(network, "RTRL")
        if network.training and network.lstm.dropout:
            raise InputError("RTRL differentiates one function of the weights; expected dropout=0, or network.eval()")
        paths = paths_for(network, self.paths)
        options = CallOptions(engine="reference")  # the one that forward-mode differentiation can see through
        stepper = copy.deepcopy(network)
        stepper.lstm.batch_first = False
        wanted = {name: weight.detach() for name, weight in network.named_parameters() if weight.requires_grad}
        shapes = [weight.shape for weight in wanted.values()]
        sizes = [weight.numel() for weight in wanted.values()]
        theta = flattened(list(wanted.values()))
        state = stepper.lstm.initial_state(len(batch))
        directions = torch.eye(len(theta), dtype=theta.dtype, device=theta.device)  # one per weight
        carried = tuple(part.new_zeros((len(theta), *part.shape)) for part in state)  # d state / d theta
        weights = loss.weights(batch)
        total, gradient = theta.new_zeros(()), torch.zeros_like(theta)

        for t in range(batch.inputs.shape[0]):
            now = batch.window(t, t + 1)

            def step(
                values: Tensor, before: tuple[Tensor, ...], now: SequenceBatch = now
            ) -> tuple[Tensor, tuple[Tensor, ...]]:
                parts = values.split(sizes)
                named = {name: part.view(shape) for name, part, shape in zip(wanted, parts, shapes, strict=True)}
                keywords = {"lengths": now.lengths, "paths": paths, "options": options}
                answer: tuple[Tensor, tuple[Tensor, ...]] = functional_call(
                    stepper, named, (now.inputs, before), keywords
                )
                return answer

            def along(
                direction: Tensor, d_before: tuple[Tensor, ...], before: tuple[Tensor, ...] = state
            ) -> tuple[Tensor, tuple[Tensor, ...]]:
                tangents: tuple[Tensor, tuple[Tensor, ...]] = jvp(step, (theta, before), (direction, d_before))[1]
                return tangents

            with torch.no_grad():
                d_outputs, carried = vmap(along)(directions, carried)
                outputs, state = step(theta, state)
            with torch.enable_grad():
                outputs.requires_grad_()
                value = loss(outputs, now, weights[t : t + 1])
                (at_outputs,) = torch.autograd.grad(value, outputs)
            total = total + value.detach()
            gradient = gradient + (d_outputs * at_outputs).flatten(1).sum(1)
        pieces = gradient.split(sizes)
        parts = tuple(piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True))
        assert len(parts) == len(trainable(network))
        return total, parts
