"""The other learners of Tables 1 and 2, with the paper's architectures, rates and numbers of weights."""

from __future__ import annotations

from typing import Literal

import numpy as np

from longlag.data.flat import FlatSequences
from longlag.tasks import EmbeddedReber, NoiseFreeLag, NoRegularityLag, Task, TwoSequence
from longlag_lab.competitors.cascade import CascadeCorrelation, CascadeResult
from longlag_lab.competitors.guessing import Guessing
from longlag_lab.competitors.self_recurrent import Strings
from longlag_lab.competitors.topology import ChunkerTopology, Method, RecurrentTopology
from longlag_lab.hochreiter1997.config import AnyTopology, TrialConfig
from longlag_lab.hochreiter1997.limits import guess_for, parity_guessing

__all__ = ["cascade", "competitor", "guessing"]

_RATES = (1.0, 4.0, 10.0)  # "1.0-10.0": trials take turns


def competitor(row: str, trial: int) -> TrialConfig:
    """Return the configuration of a trial in a row of RTRL, BPTT, Elman's procedure or the chunker.

    The paper takes Table 1's values from others, who do not say how weights start; here as LSTM's, in [-0.2, 0.2].
    """
    several = _RATES[trial % len(_RATES)]
    configs: dict[str, tuple[tuple[Task, AnyTopology], float, Method]] = {
        "1-rtrl-3": (_strings(10, flat=True), 0.05, "rtrl"),
        "1-rtrl-12": (_strings(19, flat=True), 0.1, "rtrl"),
        "1-elm": (_strings(15, flat=False), 0.2, "elman"),
        "2a-rtrl-4-1": (_lag(4), 1.0, "rtrl"),
        "2a-rtrl-4-4": (_lag(4), 4.0, "rtrl"),
        "2a-rtrl-4-10": (_lag(4), 10.0, "rtrl"),
        "2a-rtrl-10": (_lag(10), several, "rtrl"),
        "2a-rtrl-100": (_lag(100), several, "rtrl"),
        "2a-bptt-100": (_lag(100), several, "bptt"),
        "2a-ch": (_chunker(NoiseFreeLag()), 1.0, "rtrl"),
        "2b-ch": (_chunker(NoRegularityLag()), 1.0, "rtrl"),
    }
    (task, topology), rate, method = configs[row]
    return _config(task, topology, rate, method)


def _config(task: Task, topology: AnyTopology, rate: float, method: Method) -> TrialConfig:
    return TrialConfig(
        task=task,
        topology=topology,
        learning_rate=rate,
        interval=0.2,
        stop="all" if isinstance(task, EmbeddedReber) else "ABS",
        check_every=1000,
        test_size=0,
        method=method,
    )


def _strings(units: int, *, flat: bool) -> tuple[Task, AnyTopology]:
    """Smith and Zipser's fully recurrent net (units: hidden and output), or Elman's (units: hidden)."""
    return EmbeddedReber(), RecurrentTopology(input_size=7, output_size=7, hidden_size=units, flat=flat)


def _lag(p: int) -> tuple[Task, AnyTopology]:
    """Section 5.2.1: one self-recurrent hidden unit, outputs that read it and the inputs."""
    size = p + 1
    return NoiseFreeLag(p=p), RecurrentTopology(input_size=size, output_size=size, hidden_size=1, reads_inputs=True)


def _chunker(task: Task) -> tuple[Task, AnyTopology]:
    return task, ChunkerTopology(input_size=task.input_size)


def cascade(seed: np.random.SeedSequence, data: np.random.SeedSequence, cap: int) -> CascadeResult:
    """Return a trial of recurrent cascade-correlation on the embedded Reber grammar."""
    training, test = EmbeddedReber().training_and_test(np.random.default_rng(data))
    number = int(seed.generate_state(1)[0])
    return CascadeCorrelation().fit(_legal(training), _legal(test), seed=number, cap=cap)


def guessing(row: str) -> Guessing:
    """Random weight guessing on 3a, 3b and parity: a fully connected net of one hidden unit, weights in [-100, 100].

    Schmidhuber & Hochreiter 1996 guess for such nets; right is what is right for LSTM, on 256 sequences.
    """
    if row == "parity-guess":
        return parity_guessing()
    variant: Literal["a", "b"] = "a" if row.startswith("3a") else "b"
    return guess_for(TwoSequence(variant=variant, T=100, N=3))


def _legal(flat: FlatSequences) -> Strings:
    inputs, targets = flat.inputs.astype(np.int32), flat.targets.astype(np.int32)
    return Strings(inputs, flat.lengths, targets, EmbeddedReber().legal(flat))
