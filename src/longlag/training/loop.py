"""The one training loop: batches, updates, validation, early stopping, checkpoints, the run record."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor, MapReduceObjective
from longlag.errors import InputError
from longlag.gradients import NetworkObjective, ScheduledSampling
from longlag.gradients.engine import trainable
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.training.batches import epoch_seed, plan
from longlag.training.config import TrainingConfig
from longlag.training.run import Run, identity
from longlag.training.schedules import value_at
from longlag.training.threads import fitting_threads
from longlag.training.torch_optimizers import diverged
from longlag.training.train_step import TrainStep, make_train_step

__all__ = ["LoopState", "Observer", "TrainingResult", "evaluate", "train"]


class Observer(Protocol):
    """Somebody who watches: a progress bar, a test."""

    def batch_done(self, epoch: int, batch: int, batches: int, sequences: int, steps: int) -> None:
        """After every update: its number, how many make an epoch, and what it held."""
        ...

    def epoch_done(self, entry: dict[str, Any]) -> None:
        """After every epoch: its line of the history."""
        ...


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    reason : "max_epochs" or "patience"; on all the data a batch method may also end because it has "converged" (no
    derivative is larger than 1e-5) or "stalled" (no lower point, or the loss fell by less than 1e-9), see
    ``longlag.optim.Tolerances``; epochs : epochs trained; best_epoch : the epoch whose parameters the network now has
    (counted from 1; 0 is the start, where no epoch was better); history : one entry per epoch.
    """

    reason: str
    epochs: int
    best_epoch: int
    history: list[dict[str, Any]]


@dataclass
class LoopState:
    """The loop's memory besides parameters and optimiser: where it is, and the best seen so far."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    norm: float = 0.0
    best_value: float | None = None
    best_epoch: int = 0
    best_sharpness: float = 1.0
    ended: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def train(
    network: Network,
    loss: Loss,
    data: SequenceBatch,
    config: TrainingConfig,
    *,
    validation: SequenceBatch | None = None,
    sampling: ScheduledSampling | None = None,
    run: Run | None = None,
    observer: Observer | None = None,
    executor: Executor | None = None,
) -> TrainingResult:
    """Train the network in place; the same seed, data and configuration give the same bits.

    What else the caller has stays as it was, whatever happens: random numbers, threads, ``.grad``, training mode.

    Parameters
    ----------
    network, loss, data
        What is trained, on what.
    validation : SequenceBatch, optional
        Decides early stopping and which epoch's parameters are kept; without it the last ones are.
    sampling : ScheduledSampling, optional
        How answers are fed back; needed when ``config.sampling_probability`` is ever above 0.
    run : Run, optional
        Where checkpoints and history go; a run that holds a checkpoint is continued from it, bit for bit.
    observer : Observer, optional
    executor : Executor, optional
        Whose workers compute losses and gradients (``longlag.distributed``). All executors and numbers of workers give
        the same bits; against none at all, the last bits differ.

    Raises
    ------
    InputError
        If data is empty, not finite or does not fit the network, or the run on disk is another one; if an executor is
        given with what goes from step to step of a batch, windows or the network's own answers.
    DivergenceError
        If a loss, gradient or parameter stops being finite; the parameters are those before that step.
    ClusterError
        If the executor's workers cannot answer; the parameters are those before that step.
    """
    _check(network, loss, data, "training")
    if validation is not None:
        _check(network, loss, validation, "validation")
    if config.feeds_answers_back and sampling is None:
        raise InputError(
            "sampling_probability needs to know which inputs to replace; expected a ScheduledSampling in `sampling`"
        )
    if sampling is not None and sampling.sampling_probability and not config.feeds_answers_back:
        raise InputError(
            f"the ScheduledSampling has sampling_probability={sampling.sampling_probability}; expected this "
            "probability in the configuration's sampling_probability"
        )
    feeding = sampling if config.feeds_answers_back else None
    if executor is not None:
        _check_shared_out(config)
    if not trainable(network):
        raise InputError("the network has no trainable parameter; expected requires_grad=True on at least one")
    config = config.resolved(len(data), network.lstm.gradient)
    assert config.batch_size is not None
    optimizer = make_train_step(config, network, loss, data, feeding, executor)
    watch = LoopState()
    with (
        torch.random.fork_rng(devices=[]),
        fitting_threads(network, config.batch_size),
        _as_it_was(network, feeding),
    ):
        best = _copy(network)
        if run is not None:
            same = identity(network, loss, data, validation, feeding, config, shared_out=executor is not None)
            best = _continue(run, network, optimizer, watch, best, same)
        measure = _measuring(network, loss, config.batch_size, executor)
        if validation is not None and watch.epoch == watch.batch == 0:
            network.eval()  # the start is a candidate like every epoch's end
            _compare(watch, measure(validation), network, 0.0)
        for epoch in range(watch.epoch, config.max_epochs):
            if _over(config, watch):
                break
            progress = epoch / max(config.max_epochs - 1, 1)
            _set_sharpness(config, network, progress)
            optimizer.begin_epoch(progress)
            network.train()
            if watch.batch == 0:
                torch.manual_seed(epoch_seed(config.seed, epoch))
            batches = plan(data.lengths, config.batch_size, bucket=config.bucket, seed=config.seed, epoch=epoch)
            began, first = time.perf_counter(), watch.batch
            for number in range(watch.batch, len(batches)):
                batch = data.select(batches[number])
                for value, norm in optimizer.on(batch, f"epoch {epoch + 1}, batch {number + 1}"):
                    watch.loss += value * (1.0 if loss.reduction == "sum" else len(batch) / len(data))
                    watch.norm = max(watch.norm, norm)
                watch.batch = number + 1
                if observer is not None:
                    observer.batch_done(epoch, number, len(batches), len(batch), int(batch.lengths.sum()))
                if run is not None and watch.batch < len(batches) and run.is_due():
                    _checkpoint(run, network, optimizer, watch, best, epoch * len(batches) + watch.batch)
            seconds = time.perf_counter() - began
            network.eval()
            entry: dict[str, Any] = {
                "epoch": epoch + 1,
                "loss": watch.loss,
                "validation": None if validation is None else measure(validation),
                "gradient_norm": watch.norm,
                "learning_rate": optimizer.learning_rate,
                "sharpness": network.lstm.cell.sharpness,
                "seconds": round(seconds, 6),
                "sequences_per_second": round(sum(len(b) for b in batches[first:]) / max(seconds, 1e-9), 1),
            }
            score = entry["loss"] if validation is None else entry["validation"]
            if not math.isfinite(score):
                what = "loss" if validation is None else "validation loss"
                raise diverged(what, f"epoch {epoch + 1}", optimizer.advice)
            watch.history.append(entry)
            watch.epoch, watch.batch, watch.loss, watch.norm = epoch + 1, 0, 0.0, 0.0
            watch.ended = optimizer.ended
            if _compare(watch, score, network, config.min_delta):
                best = _copy(network)
            if run is not None:
                run.history.append(entry)
                if run.is_due() or watch.epoch == config.max_epochs or _over(config, watch):
                    _checkpoint(run, network, optimizer, watch, best, watch.epoch * len(batches))
            if observer is not None:
                observer.epoch_done(entry)
    reason = _over(config, watch) or "max_epochs"
    kept = watch.epoch
    if validation is not None:
        network.load_state_dict(best)
        network.lstm.cell = dataclasses.replace(network.lstm.cell, sharpness=watch.best_sharpness)
        kept = watch.best_epoch
    return TrainingResult(reason, watch.epoch, kept, watch.history)


@torch.no_grad()
def evaluate(network: Network, loss: Loss, data: SequenceBatch, batch_size: int = 256) -> float:
    """The loss over all of ``data``, as the network is (set ``eval()`` before), ``batch_size`` sequences at a time."""
    total = 0.0
    for samples in torch.arange(len(data), device="cpu").split(batch_size):
        batch = data.select(samples)
        value = float(loss(network.respond(batch)[0], batch))
        total += value * (1.0 if loss.reduction == "sum" else len(batch) / max(len(data), 1))
    return total


def _measuring(
    network: Network, loss: Loss, batch_size: int, executor: Executor | None
) -> Callable[[SequenceBatch], float]:
    """The loss over a data set, here or by the executor's workers."""
    if executor is None:
        return lambda data: evaluate(network, loss, data, batch_size)
    objective = NetworkObjective(network, loss)
    shared_out = MapReduceObjective(objective, executor)
    return lambda data: shared_out.value(objective.theta, data)


@contextmanager
def _as_it_was(network: Network, feeding: ScheduledSampling | None) -> Iterator[None]:
    """What training sets for its own purposes is the caller's again afterwards."""
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


def _set_sharpness(config: TrainingConfig, network: Network, progress: float) -> None:
    if config.sharpness is not None:
        network.lstm.cell = dataclasses.replace(network.lstm.cell, sharpness=value_at(config.sharpness, progress))


def _compare(watch: LoopState, score: float, network: Network, min_delta: float) -> bool:
    """Note the score if it is the best so far, and say so."""
    if not math.isfinite(score) or (watch.best_value is not None and score >= watch.best_value - min_delta):
        return False
    watch.best_value, watch.best_epoch = score, watch.epoch
    watch.best_sharpness = network.lstm.cell.sharpness
    return True


def _over(config: TrainingConfig, watch: LoopState) -> str | None:
    """Why training ends before its last epoch."""
    if watch.ended is not None:
        return watch.ended
    if config.patience is not None and watch.batch == 0 and watch.epoch - watch.best_epoch >= config.patience:
        return "patience"
    return None


def _check_shared_out(config: TrainingConfig) -> None:
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


def _check(network: Network, loss: Loss, data: SequenceBatch, what: str) -> None:
    if not len(data):
        raise InputError(f"the {what} data has no sequences; expected at least one")
    if not bool(data.target_mask.any()):
        raise InputError(f"the {what} data asks for no answer; expected a target somewhere")
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
                f"the {what} {name} at step {step} of sequence {sequence} is NaN or infinite; expected finite numbers"
            )
    if data.targets.is_floating_point():
        wanted = loss.outputs_for(data.targets.shape[-1])
        if wanted != network.output_size:  # PyTorch would stretch the one to the other's size
            raise InputError(
                f"the {what} targets have {data.targets.shape[-1]} values each, for which {type(loss).__name__} reads "
                f"{wanted} outputs; the network has {network.output_size}"
            )
    else:
        classes = data.targets[data.target_mask]
        if int(classes.min()) < 0 or int(classes.max()) >= network.output_size:
            raise InputError(
                f"the {what} targets are classes {int(classes.min())} to {int(classes.max())}; "
                f"expected 0 to {network.output_size - 1}, one for each output of the network"
            )


# -- checkpoints -------------------------------------------------------------------------------------------------------


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _checkpoint(
    run: Run,
    network: Network,
    optimizer: TrainStep,
    watch: LoopState,
    best: dict[str, Tensor],
    step: int,
) -> None:
    run.save(
        step,
        {
            "parameters": _copy(network),
            "best": best,
            "optimizer": optimizer.pack(),
            "random": {"torch": torch.get_rng_state()},
        },
        {"watch": dataclasses.asdict(watch), "sharpness": network.lstm.cell.sharpness},
    )


def _continue(
    run: Run,
    network: Network,
    optimizer: TrainStep,
    watch: LoopState,
    best: dict[str, Tensor],
    identity: dict[str, Any],
) -> dict[str, Tensor]:
    """Put everything back as the newest usable checkpoint has it, or begin the record of a new run."""
    saved = run.begin(identity)
    if saved is None:
        return best
    network.load_state_dict(saved.files["parameters.safetensors"])
    network.lstm.cell = dataclasses.replace(network.lstm.cell, sharpness=saved.document["sharpness"])
    optimizer.unpack(saved.files["optimizer.safetensors"])
    torch.set_rng_state(saved.files["random.safetensors"]["torch"])
    for name, value in copy.deepcopy(saved.document["watch"]).items():
        setattr(watch, name, value)
    return dict(saved.files["best.safetensors"])
