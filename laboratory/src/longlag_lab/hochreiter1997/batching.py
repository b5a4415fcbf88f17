"""Trials side by side in the lanes of a vector. More trials than lanes take turns, so that few lanes are ever idle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.online.streams import Answers, Engine, ReadOptions, Stream
from longlag.tasks import RecentRun
from longlag_lab.hochreiter1997 import engines
from longlag_lab.hochreiter1997.trial import Trial

__all__ = ["run_trials"]

_LANES = 16
_STEPS = 60_000  # of each lane in a round, where the rule needs no look at a test set more often
_ROUNDS = 10  # before other trials may have the lanes


def run_trials(
    trials: Iterable[Trial], finished: Callable[[Trial], None], round_ended: Callable[[], None] = lambda: None
) -> None:
    """Run trials to their ends. All must agree in updates and target steps; networks of one topology share vectors.

    ``finished`` gets each trial as it ends. A trial's weights are its own between two batches, so the trials beside it
    change no bit of it.
    """
    waiting = [trial for trial in trials if not trial.finished]
    while waiting:
        batch = _next_batch(waiting)
        _run_rounds(batch, round_ended)
        for trial in batch:
            if trial.finished:
                finished(trial)
        waiting = [trial for trial in waiting if not trial.finished]


def _next_batch(waiting: list[Trial]) -> list[Trial]:
    """Return the trials with most steps left, because the last trial has the lanes to itself."""
    longest = max(waiting, key=_steps_left)
    alike = [trial for trial in waiting if trial.topology == longest.topology]
    return sorted(alike, key=_steps_left, reverse=True)[:_LANES]


def _steps_left(trial: Trial) -> int:
    return (trial.cap - trial.sequences) * _length(trial)


def _run_rounds(batch: list[Trial], round_ended: Callable[[], None]) -> None:
    """Run some rounds, fewer if a trial has finished or grown out of its topology."""
    topology = batch[0].topology
    engine = _engine_of(batch)
    for _ in range(_ROUNDS):
        _run_round(engine, batch)
        round_ended()
        if any(trial.finished or trial.topology != topology for trial in batch):
            break
    for network, trial in enumerate(batch):
        if not trial.finished and trial.topology == topology:
            trial.weights = engine.dump(network, list(topology.weight_shapes))


def _engine_of(batch: list[Trial]) -> Engine:
    engine = engines.engine(batch[0].config, batch[0].topology, len(batch))
    for network, trial in enumerate(batch):
        engine.load(network, trial.weights)
    return engine


def _run_round(engine: Engine, batch: list[Trial]) -> None:
    """Let every trial learn from its next sequences, and look at it."""
    config = batch[0].config
    training = [trial.draw(_sequences_in_round(trial)) for trial in batch]
    streams = [Stream(inputs=flat.inputs, lengths=flat.lengths, targets=flat.targets) for flat in training]
    recent = isinstance(config.rule, RecentRun)
    if recent:
        engine.snapshot()
    answers = engine.read(
        streams,
        ReadOptions(
            learning_rate=np.array([trial.config.learning_rate for trial in batch]),
            update=config.update,
            every_step=config.every_step,
        ),
    )
    names = list(batch[0].topology.weight_shapes)
    may_pass = [] if recent or batch[0].training_errors_tell else _first_look(engine, batch)
    for network, (trial, flat, answer) in enumerate(zip(batch, training, answers, strict=True)):
        largest, mean = _errors_by_sequence(answer, flat, ends_only=config.task.end_only)
        stop = trial.stops_within(largest, mean)
        if stop is not None:  # the weights of that moment: the sequences up to it are read once more
            trial.weights = engine.dump(network, names, from_snapshot=True)
            trial.weights = _replay(trial, streams[network], stop)
            trial.record(stop, mean[:stop])
            trial.solve()
            continue
        trial.record(len(largest), mean)
        hopeful = may_pass[network] if may_pass else trial.hopeful(largest)
        if trial.finished or hopeful or trial.waits_for_cells:
            trial.weights = engine.dump(network, names)
        if not trial.grow(mean) and hopeful:
            trial.look()


def _first_look(engine: Engine, batch: list[Trial]) -> list[bool]:
    """Return whether each trial is right on its first few test sequences; most are not, and need no second look."""
    tests = [trial.first_test_sequences() for trial in batch]
    streams = [Stream(inputs=flat.inputs, lengths=flat.lengths) for flat in tests]
    answers = engine.read(streams, ReadOptions(learn=False, every_step=tests[0].every_step, outputs=True))
    return [trial.may_pass(flat, answer) for trial, flat, answer in zip(batch, tests, answers, strict=True)]


def _sequences_in_round(trial: Trial) -> int:
    if not isinstance(trial.config.rule, RecentRun):
        return trial.config.check_every
    return max(1, _STEPS // _length(trial))


def _length(trial: Trial) -> int:
    return int(getattr(trial.config.task, "T", 100))


def _errors_by_sequence(answer: Answers, flat: FlatSequences, *, ends_only: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the largest error of each sequence over the steps that count, and its mean error over all steps."""
    if not flat.every_step:
        return answer.largest, answer.mean
    largest = answer.largest[flat.ends] if ends_only else np.maximum.reduceat(answer.largest, flat.starts)
    return largest, np.add.reduceat(answer.mean, flat.starts) / flat.lengths


def _replay(trial: Trial, stream: Stream, sequences: int) -> dict[str, NDArray[Any]]:
    """Return the weights after the first ``sequences`` of a stream: the bits that they had beside other trials."""
    assert stream.lengths is not None
    assert stream.targets is not None
    lengths = stream.lengths[:sequences]
    steps = int(lengths.sum())
    targets = stream.targets[: steps if trial.config.every_step else sequences]
    engine = engines.engine(trial.config, trial.topology, 1)
    engine.load(0, trial.weights)
    engine.read(
        [Stream(inputs=stream.inputs[:steps], lengths=lengths, targets=targets)],
        ReadOptions(
            learning_rate=trial.config.learning_rate, update=trial.config.update, every_step=trial.config.every_step
        ),
    )
    return engine.dump(0, list(trial.topology.weight_shapes))
