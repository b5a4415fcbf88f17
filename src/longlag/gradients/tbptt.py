"""Truncated BPTT (k1, k2): every k1 steps, back through the last k2 steps; the state is carried, the graph is cut."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.gradients.engine import Gradient, forward_only, trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network

__all__ = ["TruncatedBPTT"]


class TruncatedBPTT:
    """Gradients over windows of the sequence (the training-loop text; Williams & Peng 1990).

    After steps k1, 2 k1, ... and after a sequence's own last step the errors of the answers asked since the window
    before are sent back through at most the last k2 steps. Memory grows with k1 + k2, not with T. With k2 < k1,
    answers older than k2 steps count in the value but give no gradient. With k2 >= T this is the gradient along the
    layer's own paths, ``LSTM(gradient=...)``.

    Parameters
    ----------
    k1, k2 : int
        Steps from one window's end to the next, and steps back.

    Raises
    ------
    InputError
        If k1 or k2 is less than 1, or the network is bidirectional.
    """

    def __init__(self, k1: int, k2: int) -> None:
        for name, value in (("k1", k1), ("k2", k2)):
            if value < 1:
                raise InputError(f"{name} is {value}; expected at least 1 step")
        self.k1, self.k2 = k1, k2

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        """Return the whole loss, and the sum of the windows' gradients."""
        total = batch.inputs.new_zeros(())
        gradient: Gradient = tuple(torch.zeros_like(parameter) for parameter in trainable(network))
        for value, part in self.windows(network, loss, batch):
            total = total + value
            gradient = tuple(whole + new for whole, new in zip(gradient, part, strict=True))
        return total, gradient

    def windows(
        self, network: Network, loss: Loss, batch: SequenceBatch, *, each_its_own_mean: bool = False
    ) -> Iterator[tuple[Tensor, Gradient]]:
        """Yield each window's value and gradient, in order of time. Parameters may be changed between two windows.

        With ``each_its_own_mean`` the loss is reduced over each window's answers alone, as suits one update per
        window; otherwise values add up to the loss of the whole batch.
        """
        forward_only(network, "truncated BPTT")
        parameters, steps = trainable(network), batch.inputs.shape[0]
        weights = loss.weights(batch)
        known = {0: network.lstm.initial_state(len(batch))}
        answered = 0
        for end in [*range(self.k1, steps, self.k1), steps]:
            window = batch.window(answered, end)
            if not bool((window.lengths > 0).any()):  # every sequence has ended before
                yield weights.new_zeros(()), tuple(torch.zeros_like(parameter) for parameter in parameters)
                continue
            own = loss.weights(window) if each_its_own_mean else weights[answered:end]
            with torch.enable_grad():
                outputs, known = _respond(network, batch, known, self._begins(batch.lengths, answered, end), end)
                value = loss(outputs[answered - end :], window, own)
                gradient = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
            answered = end
            yield value.detach(), gradient

    def _begins(self, lengths: Tensor, answered: int, end: int) -> Tensor:
        """(B,) the step each sequence's graph begins at; ``end`` for a sequence that is over.

        It depends on no other sequence, so neither padding nor the choice of a batch changes a gradient.
        """
        own_end = lengths.clamp(max=end)
        return torch.where(lengths > answered, (own_end - self.k2).clamp(min=0), end)


States = dict[int, tuple[Tensor, ...]]
"""By step t: the state before it, without a graph."""


def _respond(network: Network, batch: SequenceBatch, known: States, begins: Tensor, end: int) -> tuple[Tensor, States]:
    """Return outputs up to step ``end`` (from the latest known state on), and the states known afterwards."""
    cuts = sorted({*begins.tolist(), end})
    start = max(step for step in known if step <= cuts[0])
    # Until its graph begins a sequence goes on from each state it is known to have had, as if it were alone.
    cuts = sorted({start, *cuts, *(step for step in known if start < step < cuts[-2])})
    state, before, known, outputs = known[start], known, {start: known[start]}, []
    for step, following in pairwise(cuts):
        later, after = (begins >= step)[:, None], (begins >= following)[:, None]
        earlier = before.get(step, tuple(part.detach() for part in state))
        state = tuple(torch.where(later, one, other) for one, other in zip(earlier, state, strict=True))
        with torch.set_grad_enabled(not bool(after.all())):
            piece, state = network.respond(batch.window(step, following), state)
        outputs.append(torch.where(after, piece.detach(), piece))
        known[following] = tuple(part.detach() for part in state)
    return torch.cat(outputs), known
