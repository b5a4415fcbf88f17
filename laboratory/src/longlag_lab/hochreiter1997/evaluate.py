"""Errors of frozen weights on sequences that the network does not learn from, spread over the lanes of a vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.online.streams import ReadOptions, Stream
from longlag.tasks import AllStrings, FreshRun, NoiseFreeLag, NoRegularityLag, RecentRun, Rule
from longlag_lab.hochreiter1997 import engines
from longlag_lab.hochreiter1997.config import AnyTopology, TrialConfig

__all__ = ["evaluate", "passes"]

_LANES = 16


def evaluate(
    config: TrialConfig, topology: AnyTopology, weights: Mapping[str, NDArray[Any]], flat: FlatSequences
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return largest, mean absolute and mean squared error of each sequence; the last against the targets as drawn."""
    count = min(_LANES, len(flat))
    engine = engines.engine(config, topology, count)
    engine.load(None, weights)
    bounds = np.linspace(0, len(flat), count + 1).astype(np.int64)
    steps = np.append(flat.starts, len(flat.inputs))[bounds]
    streams = [
        Stream(inputs=flat.inputs[steps[n] : steps[n + 1]], lengths=flat.lengths[bounds[n] : bounds[n + 1]])
        for n in range(count)
    ]
    if isinstance(config.task, NoRegularityLag) and flat.every_step:  # its errors count at the ends alone
        flat = replace(flat, targets=flat.targets[flat.ends], every_step=False)
    answers = engine.read(streams, ReadOptions(learn=False, every_step=flat.every_step, outputs=True))
    outputs = np.concatenate([answer.outputs for answer in answers if answer.outputs is not None])
    ends = outputs if not flat.every_step else outputs[flat.ends]
    targets = flat.targets if not flat.every_step else flat.targets[flat.ends]
    if targets.ndim == 1:
        targets = np.eye(flat.output_size, dtype=outputs.dtype)[targets]
    squared = np.square(ends - targets, dtype=np.float64).mean(axis=1)
    return config.task.errors(outputs, flat), config.task.mean_errors(outputs, flat), squared


def passes(
    config: TrialConfig,
    topology: AnyTopology,
    weights: Mapping[str, NDArray[Any]],
    rule: Rule,
    strings: FlatSequences | None,
    training: FlatSequences | None,
    rng: np.random.Generator,
) -> bool:
    """Return whether the rule holds for these weights.

    Most fail on the first few sequences, so those are looked at first.
    """
    tolerance = config.task.tolerance

    def errors(flat: FlatSequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        largest, mean, _ = evaluate(config, topology, weights, flat)
        return largest, mean

    if isinstance(config.task, NoiseFreeLag):
        return bool((errors(config.task.both())[0] < tolerance).all())
    if isinstance(rule, FreshRun):
        done = 0
        while done < rule.size:
            size = min(max(_LANES, 9 * done), 100 * _LANES, rule.size - done)
            if not (errors(config.task.draw(size, rng))[0] < tolerance).all():
                return False
            done += size
        return True
    assert strings is not None
    assert not isinstance(rule, RecentRun)
    allowed = 1 if isinstance(rule, AllStrings) else rule.wrong_below
    parts = [errors(strings.select(np.arange(_LANES)))]
    if (~(parts[0][0] < tolerance)).sum() >= allowed:
        return False
    parts.append(errors(strings.select(np.arange(_LANES, len(strings)))))
    if training is not None:
        parts.append(errors(training))
    largest, mean = (np.concatenate(values) for values in zip(*parts, strict=True))
    return rule.satisfied(largest, mean, tolerance)
