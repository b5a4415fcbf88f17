"""Trials side by side in the lanes of a vector. More trials than lanes take turns, so that few lanes are ever idle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.online.streams import Answers, Engine, Stream
from longlag.tasks import RecentRun
from longlag_lab.hochreiter1997 import engines
from longlag_lab.hochreiter1997.trial import Trial

__all__ = ["run_trials"]

_LANES = 16
_STEPS = 60_000  # of each lane between two looks, where the rule needs none more often
_SHIFT = 10  # rounds before others may have the lanes


def run_trials(
    trials: Iterable[Trial], finished: Callable[[Trial], None], progress: Callable[[], None] = lambda: None
) -> None:
    """Runs trials to their ends. All must agree in updates and target steps; networks of one topology share vectors.

    A trial's weights are its own between two shifts, so who runs beside it, and when, changes no bit of it.
    """
    waiting = [trial for trial in trials if not trial.finished]
    while waiting:
        crew = _crew(waiting)
        _shift(crew, progress)
        for trial in crew:
            if trial.finished:
                finished(trial)
        waiting = [trial for trial in waiting if not trial.finished]


def _crew(waiting: list[Trial]) -> list[Trial]:
    """Who gets the lanes: those with most before them, for a trial that is left over has them to itself."""
    longest = max(waiting, key=_steps_left)
    alike = [trial for trial in waiting if trial.topology == longest.topology]
    return sorted(alike, key=_steps_left, reverse=True)[:_LANES]


def _steps_left(trial: Trial) -> int:
    return (trial.cap - trial.sequences) * _length(trial)


def _shift(crew: list[Trial], progress: Callable[[], None]) -> None:
    """Some rounds, or until a trial has finished or grown out of its topology."""
    topology = crew[0].topology
    engine = _engine_of(crew)
    for _ in range(_SHIFT):
        _read(engine, crew)
        progress()
        if any(trial.finished or trial.topology != topology for trial in crew):
            break
    for network, trial in enumerate(crew):
        if not trial.finished and trial.topology == topology:
            trial.weights = engine.take(network, list(topology.weight_shapes))


def _engine_of(active: list[Trial]) -> Engine:
    engine = engines.engine(active[0].setting, active[0].topology, len(active))
    for network, trial in enumerate(active):
        engine.put(network, trial.weights)
    return engine


def _read(engine: Engine, active: list[Trial]) -> None:
    """One round: every trial learns from its next sequences, and is looked at."""
    setting = active[0].setting
    batches = [trial.draw(_round(trial)) for trial in active]
    streams = [Stream(inputs=b.inputs, lengths=b.lengths, targets=b.targets) for b in batches]
    recent = isinstance(setting.rule, RecentRun)
    if recent:
        engine.keep()
    answers = engine.read(
        streams,
        learning_rate=np.array([trial.setting.learning_rate for trial in active]),
        update=setting.update,
        every_step=setting.every_step,
    )
    names = list(active[0].topology.weight_shapes)
    looks = [] if recent or active[0].training_errors_tell else _first_look(engine, active)
    for network, (trial, batch, answer) in enumerate(zip(active, batches, answers, strict=True)):
        largest, mean = _by_sequence(answer, batch, ends_count=setting.task.end_only)
        stop = trial.stops_within(largest, mean)
        if stop is not None:  # the weights of that moment: what led to it is read once more
            trial.weights = engine.take(network, names, kept=True)
            trial.weights = _replay(trial, streams[network], stop)
            trial.note(stop, mean[:stop])
            trial.solve()
            continue
        trial.note(len(largest), mean)
        hopeful = looks[network] if looks else trial.hopeful(largest)
        if trial.finished or hopeful or trial.waits_for_cells:
            trial.weights = engine.take(network, names)
        if not trial.grow(mean) and hopeful:
            trial.look()


def _first_look(engine: Engine, active: list[Trial]) -> list[bool]:
    """Whether each trial is right on the first few of its test sequences; most are not, and need no second look."""
    few = [trial.few() for trial in active]
    streams = [Stream(inputs=flat.inputs, lengths=flat.lengths) for flat in few]
    answers = engine.read(streams, learn=False, every_step=few[0].every_step, outputs=True)
    return [trial.may_pass(flat, answer) for trial, flat, answer in zip(active, few, answers, strict=True)]


def _round(trial: Trial) -> int:
    if not isinstance(trial.setting.rule, RecentRun):
        return trial.setting.check_every
    return max(1, _STEPS // _length(trial))


def _length(trial: Trial) -> int:
    return int(getattr(trial.setting.task, "T", 100))


def _by_sequence(answer: Answers, batch: FlatSequences, *, ends_count: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of each sequence: its largest error, over the steps that the task looks at, and its mean error over all."""
    if not batch.every_step:
        return answer.largest, answer.mean
    largest = answer.largest[batch.ends] if ends_count else np.maximum.reduceat(answer.largest, batch.starts)
    return largest, np.add.reduceat(answer.mean, batch.starts) / batch.lengths


def _replay(trial: Trial, stream: Stream, sequences: int) -> dict[str, NDArray[Any]]:
    """The weights after the first ``sequences`` of a stream, from those before it: the same bits as in company."""
    assert stream.lengths is not None
    assert stream.targets is not None
    lengths = stream.lengths[:sequences]
    steps = int(lengths.sum())
    targets = stream.targets[: steps if trial.setting.every_step else sequences]
    engine = engines.engine(trial.setting, trial.topology, 1)
    engine.put(0, trial.weights)
    engine.read(
        [Stream(inputs=stream.inputs[:steps], lengths=lengths, targets=targets)],
        learning_rate=trial.setting.learning_rate,
        update=trial.setting.update,
        every_step=trial.setting.every_step,
    )
    return engine.take(0, list(trial.topology.weight_shapes))
