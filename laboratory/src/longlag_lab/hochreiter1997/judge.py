"""What a network knows: frozen weights on sequences it has not learned from, spread over the lanes of a vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longlag.data.flat import FlatSequences
from longlag.online.streams import Stream
from longlag.tasks import AllStrings, FreshRun, NoiseFreeLag, NoRegularityLag, RecentRun, Rule
from longlag_lab.hochreiter1997 import engines
from longlag_lab.hochreiter1997.setting import AnyTopology, Setting

__all__ = ["judge", "passes"]

_LANES = 16


def judge(
    setting: Setting, topology: AnyTopology, weights: Mapping[str, NDArray[Any]], flat: FlatSequences
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Largest, mean absolute and mean squared error of each sequence (the last against the targets as given)."""
    count = min(_LANES, len(flat))
    engine = engines.engine(setting, topology, count)
    engine.put(None, weights)
    bounds = np.linspace(0, len(flat), count + 1).astype(np.int64)
    steps = np.append(flat.starts, len(flat.inputs))[bounds]
    streams = [
        Stream(inputs=flat.inputs[steps[n] : steps[n + 1]], lengths=flat.lengths[bounds[n] : bounds[n + 1]])
        for n in range(count)
    ]
    if isinstance(setting.task, NoRegularityLag) and flat.every_step:  # judged at its sequences' ends alone
        flat = replace(flat, targets=flat.targets[flat.ends], every_step=False)
    answers = engine.read(streams, learn=False, every_step=flat.every_step, outputs=True)
    outputs = np.concatenate([answer.outputs for answer in answers if answer.outputs is not None])
    ends = outputs if not flat.every_step else outputs[flat.ends]
    wanted = flat.targets if not flat.every_step else flat.targets[flat.ends]
    if wanted.ndim == 1:
        wanted = np.eye(flat.output_size, dtype=outputs.dtype)[wanted]
    squared = np.square(ends - wanted, dtype=np.float64).mean(axis=1)
    return setting.task.errors(outputs, flat), setting.task.mean_errors(outputs, flat), squared


def passes(
    setting: Setting,
    topology: AnyTopology,
    weights: Mapping[str, NDArray[Any]],
    rule: Rule,
    strings: FlatSequences | None,
    training: FlatSequences | None,
    rng: np.random.Generator,
) -> bool:
    """Whether the rule holds now. Most networks fail on the first few sequences: those are looked at first."""
    tolerance = setting.task.tolerance

    def errors(flat: FlatSequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        largest, mean, _ = judge(setting, topology, weights, flat)
        return largest, mean

    if isinstance(setting.task, NoiseFreeLag):
        return bool((errors(setting.task.both())[0] < tolerance).all())
    if isinstance(rule, FreshRun):
        done = 0
        while done < rule.size:
            size = min(max(_LANES, 9 * done), 100 * _LANES, rule.size - done)
            if not (errors(setting.task.draw(size, rng))[0] < tolerance).all():
                return False
            done += size
        return True
    assert strings is not None
    assert not isinstance(rule, RecentRun)
    allowed = 1 if isinstance(rule, AllStrings) else rule.wrong_below
    found = [errors(strings.select(np.arange(_LANES)))]
    if (~(found[0][0] < tolerance)).sum() >= allowed:
        return False
    found.append(errors(strings.select(np.arange(_LANES, len(strings)))))
    if training is not None:
        found.append(errors(training))
    largest, mean = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rule.satisfied(largest, mean, tolerance)
