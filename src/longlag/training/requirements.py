"""What can be trained: data, networks and configurations that fit each other. The rest is refused in one sentence."""

from __future__ import annotations

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError, InputTypeError
from longlag.gradients import ScheduledSampling
from longlag.gradients.engine import trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.training.config import TrainingConfig

__all__ = ["check_data", "check_feeding", "check_kind", "check_network", "check_shared_out"]


def check_kind(name: str, value: object, kind: type) -> None:
    """Refuse a value of another class."""
    if not isinstance(value, kind):
        raise InputTypeError(f"{name} is a {type(value).__name__}; expected a {kind.__name__}")


def check_network(network: Network) -> None:
    """Refuse a network of which nothing can be trained."""
    check_kind("network", network, Network)
    if not trainable(network):
        raise InputError("the network has no trainable parameter; expected requires_grad=True on at least one")


def check_feeding(config: TrainingConfig, sampling: ScheduledSampling | None) -> None:
    """Refuse a configuration that feeds answers back without being told how, and one that contradicts ``sampling``."""
    if sampling is None:
        if config.feeds_answers_back:
            raise InputError(
                "sampling_probability needs to know which inputs to replace; expected a ScheduledSampling in `sampling`"
            )
        return
    check_kind("sampling", sampling, ScheduledSampling)
    if sampling.sampling_probability and not config.feeds_answers_back:
        raise InputError(
            f"the ScheduledSampling has sampling_probability={sampling.sampling_probability}; expected this "
            "probability in the configuration's sampling_probability"
        )


def check_shared_out(config: TrainingConfig, device: torch.device) -> None:
    """Refuse what workers cannot share: what goes from step to step of a batch, and a device that is not theirs."""
    if device.type != "cpu":
        raise InputError(
            f"the network is to be trained on {device}, but an executor's workers compute on the CPU; expected "
            "device='cpu', or no executor"
        )
    if config.gradient == "tbptt":
        raise InputError(
            "gradient='tbptt' makes an update after every window of a batch, which workers cannot share; expected "
            "another gradient, or no executor"
        )
    if config.feeds_answers_back:
        raise InputError(
            "answers are fed back at random from step to step, which workers cannot share; expected "
            "sampling_probability=0, or no executor"
        )


def check_data(network: Network, loss: Loss, data: SequenceBatch, part: str) -> None:
    """Refuse data that are empty, not finite, or not of the network's and the loss's sizes.

    ``part`` is the word for the data in a refusal: training or validation.
    """
    check_kind(f"the {part} data", data, SequenceBatch)
    if not len(data):
        raise InputError(f"the {part} data has no sequences; expected at least one")
    if not bool(data.target_mask.any()):
        raise InputError(f"the {part} data asks for no answer; expected a target somewhere")
    for name, values, mask in (
        ("input", data.inputs, data.step_mask),
        ("target", data.targets, data.target_mask),
    ):
        if not values.is_floating_point():
            continue
        finite = torch.isfinite(values)
        bad = ~(finite.flatten(2).all(-1) if values.dim() > 2 else finite) & mask
        if bool(bad.any()):
            step, sequence = torch.nonzero(bad)[0].tolist()
            raise InputError(
                f"the {part} {name} at step {step} of sequence {sequence} is NaN or infinite; expected finite numbers"
            )
    if data.sample_weight is not None:
        _check_weights(data.sample_weight, part)
    if data.targets.is_floating_point():
        wanted = loss.outputs_for(data.targets.shape[-1])
        if wanted != network.output_size:  # PyTorch would stretch the one to the other's size
            raise InputError(
                f"the {part} targets have {data.targets.shape[-1]} values each, for which {type(loss).__name__} reads "
                f"{wanted} outputs; the network has {network.output_size}"
            )
    else:
        classes = data.targets[data.target_mask]
        if int(classes.min()) < 0 or int(classes.max()) >= network.output_size:
            raise InputError(
                f"the {part} targets are classes {int(classes.min())} to {int(classes.max())}; "
                f"expected 0 to {network.output_size - 1}, one for each output of the network"
            )


def _check_weights(weights: Tensor, part: str) -> None:
    """Refuse weights of sequences that no sum can be made of, or that are all zero."""
    bad = ~(torch.isfinite(weights) & (weights >= 0))
    if bool(bad.any()):
        sequence = int(torch.nonzero(bad)[0])
        raise InputError(
            f"the {part} weight of sequence {sequence} is {float(weights[sequence])}; expected a finite number of at "
            "least 0"
        )
    if not bool((weights > 0).any()):
        raise InputError(f"the {part} weights are all zero; expected one above 0")
