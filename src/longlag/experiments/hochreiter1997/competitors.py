"""The other learners of Tables 1 and 2, with the paper's architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from longlag.baselines.cascade import CascadeCorrelation
from longlag.baselines.self_recurrent import Strings
from longlag.data.flat import FlatSequences
from longlag.tasks import EmbeddedReber

if TYPE_CHECKING:
    from longlag.experiments.hochreiter1997.work import Outcome, Work

__all__ = ["perform"]


def perform(
    work: Work, numbers: Sequence[int], finished: Callable[[Outcome], None], progress: Callable[[int], None]
) -> None:
    """Runs trials of whichever learner the row has."""
    from longlag.experiments.hochreiter1997 import work as module

    if work.row.learner == "RCC":
        for number in numbers:
            finished(_cascade(module, work, number))
            progress(0)
        return
    raise NotImplementedError(work.row.learner)


def _cascade(module: ModuleType, work: Work, number: int) -> Outcome:
    data = np.random.default_rng(module.seed_of(work, number // 10, "data"))
    training, test = EmbeddedReber().training_and_test(data)
    seed = int(module.seed_of(work, number).generate_state(1)[0])
    found = CascadeCorrelation().fit(_strings(training), _strings(test), seed=seed, cap=work.cap)
    read = found.presentations
    outcome: Outcome = module.Outcome(number, read if found.solved else None, read, found.weights)
    return outcome


def _strings(flat: FlatSequences) -> Strings:
    inputs, targets = flat.inputs.astype(np.int32), flat.targets.astype(np.int32)
    return Strings(inputs, flat.lengths, targets, EmbeddedReber().legal(flat))
