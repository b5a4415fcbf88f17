"""Feeding a network its own answers: teacher forcing, free running, and scheduled sampling between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from longlag.checks import is_number, is_whole
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError
from longlag.gradients.engine import Gradient, forward_only, trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.renamed import renamed_arguments

__all__ = ["ScheduledSampling", "free_run"]

Feedback = Callable[[Tensor], Tensor]


def _same(outputs: Tensor) -> Tensor:  # its name stands in the records of runs
    return outputs


@renamed_arguments(own="sampling_probability", emit="feedback")
class ScheduledSampling:
    """Backpropagation where some inputs are the network's own previous answers (Bengio et al. 2015).

    The batch's inputs hold the true previous value in the first ``columns`` features (teacher forcing). At each step
    and for each sequence, with probability ``sampling_probability``, the network's answer to the step before stands
    there instead. 0 is teacher forcing, 1 free running. Fed-back answers are constants: no error flows through them.

    Parameters
    ----------
    columns : int
        Leading input features that hold the previous value.
    sampling_probability : float
        Probability of the network's own answer; may be changed between calls (a schedule does).
    feedback : callable, optional
        (B, O) outputs -> (B, columns) values that are fed back; default: the outputs themselves.

    Raises
    ------
    InputError
        If the probability is outside 0..1, sizes do not fit, or the network is bidirectional.
    """

    def __init__(self, columns: int, sampling_probability: float = 0.0, feedback: Feedback | None = None) -> None:
        if not is_whole(columns) or columns < 1:
            raise InputError(f"columns is {columns!r}; expected at least 1 fed-back feature")
        if feedback is not None and not callable(feedback):
            raise InputError(f"feedback is {feedback!r}; expected a function of the outputs, or None")
        self.columns, self.feedback = columns, feedback or _same
        self.sampling_probability = sampling_probability

    @property
    def sampling_probability(self) -> float:
        """Probability that an input is the network's own previous answer."""
        return self._sampling_probability

    @sampling_probability.setter
    def sampling_probability(self, value: float) -> None:
        if not is_number(value) or not 0.0 <= value <= 1.0:
            raise InputError(f"sampling_probability is {value!r}; expected a probability between 0 and 1")
        self._sampling_probability = value

    def value_and_gradient(self, network: Network, loss: Loss, batch: SequenceBatch) -> tuple[Tensor, Gradient]:
        parameters = trainable(network)
        with torch.enable_grad():
            value = loss(self.respond(network, batch), batch)
            gradient = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        return value.detach(), gradient

    def respond(self, network: Network, batch: SequenceBatch) -> Tensor:
        """Return outputs (T, B, O), each step fed as the probability decides. Draws from torch's global generator."""
        forward_only(network, "scheduled sampling")
        if self.columns > batch.inputs.shape[-1]:
            raise InputError(
                f"columns is {self.columns}, but inputs have {batch.inputs.shape[-1]} features; expected no more"
            )
        if self.sampling_probability == 0.0 or not batch.inputs.shape[0]:
            return network.respond(batch)[0]
        state = network.lstm.initial_state(len(batch))
        outputs: list[Tensor] = []
        for t in range(batch.inputs.shape[0]):
            now = batch.window(t, t + 1)
            if outputs:
                fed = _fed(self.feedback(outputs[-1].detach()), (len(batch), self.columns))
                chosen = torch.rand(len(batch), 1, device=fed.device) < self.sampling_probability
                first = torch.where(chosen, fed, now.inputs[0, :, : self.columns])
                inputs = torch.cat([first, now.inputs[0, :, self.columns :]], dim=-1)[None]
                now = dataclasses.replace(now, inputs=inputs)
            answer, state = network.respond(now, state)
            outputs.append(answer[0])
        return torch.stack(outputs)


@renamed_arguments(emit="feedback")
@torch.no_grad()
def free_run(
    network: Network,
    first: Tensor,
    state: tuple[Tensor, ...],
    steps: int,
    *,
    feedback: Feedback | None = None,
    others: Tensor | None = None,
) -> Tensor:
    """Let the network go on by itself: each answer becomes the next input.

    Parameters
    ----------
    first : (B, K)
        The value fed at the first step.
    state : the network's state before it, as ``Network.forward`` returns it.
    steps : int
        How many answers.
    feedback : callable, optional
        (B, O) outputs -> (B, K) fed-back values, drawn at random if wanted; default: the outputs themselves.
    others : (steps, B, E), optional
        Known inputs beside the fed-back value.

    Returns
    -------
    (steps, B, K) fed-back values: the forecast.

    Raises
    ------
    InputError
        If sizes do not fit, or the network is bidirectional.
    """
    forward_only(network, "free running")
    if steps < 0:
        raise InputError(f"steps is {steps}; expected at least 0")
    if first.dim() != 2:
        raise InputError(f"first has shape {tuple(first.shape)}; expected (batch, fed-back values)")
    if others is not None and (others.dim() != 3 or others.shape[:2] != (steps, len(first))):
        raise InputError(
            f"others has shape {tuple(others.shape)}; expected (steps, batch, features) = ({steps}, {len(first)}, ...)"
        )
    feedback = feedback or _same
    value, values = first, []
    for t in range(steps):
        inputs = value if others is None else torch.cat([value, others[t]], dim=-1)
        shaped = inputs[:, None] if network.lstm.batch_first else inputs[None]
        outputs, state = network(shaped, state)
        value = _fed(feedback(outputs[:, 0] if network.lstm.batch_first else outputs[0]), first.shape)
        values.append(value)
    return torch.stack(values) if values else first.new_zeros((0, *first.shape))


def _fed(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    if values.shape != shape:
        raise InputError(f"the values to feed back have shape {tuple(values.shape)}; expected {tuple(shape)}")
    return values
