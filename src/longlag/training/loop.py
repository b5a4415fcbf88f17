"""The one training loop: batches, updates, validation, early stopping, checkpoints, the run record."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from longlag.data.sequences import SequenceBatch
from longlag.distributed import Executor
from longlag.gradients import ScheduledSampling
from longlag.nn.losses import Loss
from longlag.nn.network import Network
from longlag.nn.seeding import seed_generators
from longlag.training.batches import epoch_seed, plan
from longlag.training.callbacks import BatchEnd, Callback, Callbacks, Stage, TrainingInfo, check_callbacks
from longlag.training.config import TrainingConfig
from longlag.training.devices import drawing_devices, training_device
from longlag.training.evaluation import evaluator
from longlag.training.loop_state import LoopState, copied, restore, save
from longlag.training.observers import callback_of
from longlag.training.requirements import check_data, check_feeding, check_kind, check_network, check_shared_out
from longlag.training.result import TrainingResult
from longlag.training.run import Run, identity
from longlag.training.schedules import value_at
from longlag.training.surroundings import as_it_was, on_its_device
from longlag.training.threads import fitting_threads
from longlag.training.torch_optimizers import diverged
from longlag.training.train_step import make_train_step

__all__ = ["train"]


def train(
    network: Network,
    loss: Loss,
    data: SequenceBatch,
    config: TrainingConfig,
    *,
    validation: SequenceBatch | None = None,
    sampling: ScheduledSampling | None = None,
    run: Run | None = None,
    callbacks: Sequence[Callback] | None = None,
    stage: Stage | None = None,
    device: str | torch.device | None = None,
    executor: Executor | None = None,
    observer: Any = None,
) -> TrainingResult:
    """Train the network in place; on one kind of device the same seed, data and configuration give the same bits.

    What else the caller has stays as it was, whatever happens: random numbers, threads, ``.grad``, training mode.

    Parameters
    ----------
    network : Network
        What is trained.
    loss : Loss
        What is made small.
    data : SequenceBatch
        What it is trained on; a copy goes to the network's device if it is elsewhere.
    config : TrainingConfig
        How it is trained.
    validation : SequenceBatch, optional
        Decides early stopping and which epoch's parameters are kept; without it the last ones are.
    sampling : ScheduledSampling, optional
        How answers are fed back; needed when ``config.sampling_probability`` is ever above 0.
    run : Run, optional
        Where checkpoints and history go; a run that holds a checkpoint is continued from it, bit for bit.
    callbacks : sequence of Callback, optional
        Are told of the start, of every batch and epoch, and of the end. None of them changes a bit of the result, but
        an epoch may be the last one because a callback asks for it.
    stage : Stage, optional
        Which part of a larger training this is, for callbacks.
    device : "cpu", "cuda", "cuda:1", "auto" or torch.device, optional
        Where the network goes first, and stays; "auto" is a GPU where there is one. Default: where it is.
    executor : Executor, optional
        Whose workers compute losses and gradients (``longlag.distributed``). All executors and numbers of workers give
        the same bits; against none at all, the last bits differ.
    observer : deprecated
        See ``callbacks``.

    Raises
    ------
    InputError
        If data is empty, not finite or does not fit the network, or the run on disk is another one; if an executor is
        given with what goes from step to step of a batch, windows or the network's own answers; if there is no such
        device, or it is another than that of the executor's workers, which is the CPU.
    DivergenceError
        If a loss, gradient or parameter stops being finite; the parameters are those before that step.
    ClusterError
        If the executor's workers cannot answer; the parameters are those before that step.
    """
    check_network(network)
    check_kind("loss", loss, Loss)
    check_kind("config", config, TrainingConfig)
    if run is not None:
        check_kind("run", run, Run)
    check_data(network, loss, data, "training")
    if validation is not None:
        check_data(network, loss, validation, "validation")
    check_feeding(config, sampling)
    home = next(network.parameters()).device if device is None else training_device(device)
    if executor is not None:
        check_shared_out(config, home)
    watching = check_callbacks(callbacks)
    if observer is not None:
        watching = (*watching, callback_of(observer))
    part = Stage() if stage is None else stage
    check_kind("stage", part, Stage)
    feeding = sampling if config.feeds_answers_back else None
    config = config.resolved(len(data), network.lstm.gradient)
    assert config.batch_size is not None
    network.to(home)
    data, validation = data.to(home), None if validation is None else validation.to(home)
    with (
        on_its_device(network),
        torch.random.fork_rng(devices=drawing_devices(home)),
        fitting_threads(network, config.batch_size),
        as_it_was(network, feeding),
    ):
        loop = _Loop(network, loss, data, config, validation, feeding, run, watching, part, executor)
        return loop.callbacks.around(loop.run_all_epochs)


class _Loop:
    """One call of ``train``: the network and all that moves it, from the state of a checkpoint or from the start."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        data: SequenceBatch,
        config: TrainingConfig,
        validation: SequenceBatch | None,
        feeding: ScheduledSampling | None,
        run: Run | None,
        callbacks: Sequence[Callback],
        stage: Stage,
        executor: Executor | None,
    ) -> None:
        assert config.batch_size is not None
        self.network, self.loss, self.data, self.config = network, loss, data, config
        self.validation, self.run = validation, run
        self.batch_size = config.batch_size
        self.optimizer = make_train_step(config, network, loss, data, feeding, executor)
        self.evaluate = evaluator(network, loss, config.batch_size, executor)
        self.state, self.best = LoopState(), copied(network)
        self.scheduled_epochs = config.max_epochs
        if run is not None:
            same = identity(network, loss, data, validation, feeding, config, shared_out=executor is not None)
            saved = run.begin(same)
            if saved is not None:
                self.best = restore(saved, network, self.optimizer, self.state)
                if config.is_scheduled and run.planned_epochs is not None:
                    self.scheduled_epochs = run.planned_epochs
        batches = -(-len(data) // self.batch_size)
        info = TrainingInfo(network, config, stage, batches, self.state.epoch, validation is not None)
        self.callbacks = Callbacks(callbacks, info)

    def run_all_epochs(self) -> TrainingResult:
        """Train until the last epoch, or until there is a reason to stop; leave the parameters that are kept."""
        state, network = self.state, self.network
        if self.validation is not None and state.epoch == state.batch == 0:
            network.eval()  # the start is a candidate like every epoch's end
            state.is_best(self.evaluate(self.validation), network.lstm.cell.sharpness, 0.0)
        for epoch in range(state.epoch, self.config.max_epochs):
            if self.reason_to_stop():
                break
            self.run_epoch(epoch)
        kept_epoch = state.epoch
        if self.validation is not None:
            network.load_state_dict(self.best)
            self.set_sharpness(state.best_sharpness)
            kept_epoch = state.best_epoch
        return TrainingResult(self.reason_to_stop() or "max_epochs", state.epoch, kept_epoch, state.history)

    def run_epoch(self, epoch: int) -> None:
        """Train one epoch, or what a checkpoint has left of it."""
        state, config, network = self.state, self.config, self.network
        progress = min(epoch / max(self.scheduled_epochs - 1, 1), 1.0)
        if config.sharpness is not None:
            self.set_sharpness(value_at(config.sharpness, progress))
        self.optimizer.begin_epoch(progress)
        network.train()
        if state.batch == 0:
            seed_generators(epoch_seed(config.seed, epoch), self.data.inputs.device)
        batches = plan(self.data.lengths, self.batch_size, bucket=config.bucket, seed=config.seed, epoch=epoch)
        began, rest = time.perf_counter(), batches[state.batch :]
        for samples in rest:
            self.run_batch(epoch, self.data.select(samples), len(batches))
        seconds = time.perf_counter() - began
        network.eval()
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": state.loss,
            "validation": None if self.validation is None else self.evaluate(self.validation),
            "gradient_norm": state.norm,
            "learning_rate": self.optimizer.learning_rate,
            "sharpness": network.lstm.cell.sharpness,
            "seconds": round(seconds, 6),
            "sequences_per_second": round(sum(map(len, rest)) / max(seconds, 1e-9), 1),
        }
        self.end_epoch(entry, epoch_updates=len(batches))

    def run_batch(self, epoch: int, batch: SequenceBatch, batches: int) -> None:
        """Make the updates of one batch, and a checkpoint where it is time for one."""
        state = self.state
        share = 1.0 if self.loss.reduction == "sum" else len(batch) / len(self.data)
        updates = []
        for value, norm in self.optimizer.on(batch, f"epoch {epoch + 1}, batch {state.batch + 1}"):
            state.loss += value * share
            state.norm = max(state.norm, norm)
            updates.append((value, norm))
        state.batch += 1
        if self.callbacks:
            self.callbacks.batch_end(
                BatchEnd(
                    epoch=epoch + 1,
                    batch=state.batch,
                    step=epoch * batches + state.batch,
                    loss=math.fsum(value for value, _ in updates) if updates else None,
                    gradient_norm=max((norm for _, norm in updates), default=0.0),
                    learning_rate=self.optimizer.learning_rate,
                    sequences=len(batch),
                    time_steps=int(batch.lengths.sum()),
                )
            )
        if self.run is not None and state.batch < batches and self.run.is_due():
            self.save(epoch * batches + state.batch)

    def end_epoch(self, entry: dict[str, Any], epoch_updates: int) -> None:
        """Tell callbacks of the epoch, and go on to the next one unless there is a reason to stop."""
        score = entry["loss"] if self.validation is None else entry["validation"]
        if not math.isfinite(score):
            what = "loss" if self.validation is None else "validation loss"
            raise diverged(what, f"epoch {entry['epoch']}", self.optimizer.advice)
        stop = False
        try:
            stop = self.callbacks.epoch_end(entry)
        finally:  # what a callback raises does not undo the epoch
            self.commit_epoch(entry, score, epoch_updates, "callback" if stop else None)

    def commit_epoch(self, entry: dict[str, Any], score: float, epoch_updates: int, stop: str | None) -> None:
        """Note the epoch's entry, keep the parameters if they are the best, and write history and checkpoint."""
        state = self.state
        state.end_epoch(entry, self.optimizer.ended or stop)
        if state.is_best(score, self.network.lstm.cell.sharpness, self.config.min_delta):
            self.best = copied(self.network)
        if self.run is not None:
            self.run.history.append(entry)
            if self.run.is_due() or state.epoch == self.config.max_epochs or self.reason_to_stop():
                self.save(state.epoch * epoch_updates)

    def save(self, step: int) -> None:
        """Write the checkpoint of ``step``, the number of updates so far."""
        assert self.run is not None
        planned = self.scheduled_epochs if self.scheduled_epochs < self.config.max_epochs else None
        save(self.run, self.network, self.optimizer, self.state, self.best, step, planned)

    def reason_to_stop(self) -> str | None:
        """Why training ends before its last epoch; None where it does not."""
        return self.state.reason_to_stop(self.config.patience)

    def set_sharpness(self, sharpness: float) -> None:
        """Set the slope of the gates."""
        lstm = self.network.lstm
        lstm.cell = dataclasses.replace(lstm.cell, sharpness=sharpness)
