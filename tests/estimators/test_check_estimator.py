"""scikit-learn's own examination of an estimator, all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency, estimator_checks_generator

from longlag.estimators import LSTMClassifier, LSTMRegressor

KINDS = (LSTMClassifier, LSTMRegressor)
ALL_AT_ONCE = "check_sample_weight_equivalence_on_dense_data"  # holds for an update of all sequences, in float64
LEARNS = "check_regressors_train"  # wants half of the variance explained
OWN_PROCESS = "check_array_api_input"  # skips itself unless SCIPY_ARRAY_API was set before scipy was imported


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


def quick(kind: type) -> Any:
    """Learns what is asked of a classifier there; the usual one takes fifty times as long."""
    return kind(n_networks=2, hidden_size=8, max_epochs=3, batch_size=32, learning_rate=0.03)


CHECKS = [(estimator, check) for kind in KINDS for estimator, check in estimator_checks_generator(quick(kind))]


@pytest.mark.costly
@pytest.mark.parametrize(
    ("estimator", "check"),
    [pair for pair in CHECKS if name_of(pair[1]) not in (OWN_PROCESS, ALL_AT_ONCE)],
    ids=lambda value: type(value).__name__ if isinstance(value, KINDS) else name_of(value),
)
def test_scikit_learn_finds_no_fault(estimator: Any, check: Callable[[Any], None]) -> None:
    if name_of(check) == LEARNS:
        estimator.set_params(max_epochs=20)
    check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_column_names_of_data_frames_are_remembered_and_compared(kind: type) -> None:
    check_dataframe_column_names_consistency(kind.__name__, quick(kind))


@pytest.mark.costly
@pytest.mark.parametrize("options", [{}, {"standardize": False}, {"optimizer": "lbfgs", "batch_size": None}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_sequences_are_repetitions(kind: type, options: dict[str, Any]) -> None:
    torch.set_default_dtype(torch.float64)
    settings = {"n_networks": 2, "batch_size": 1000, "max_epochs": 10, **options}
    checks = [pair for pair in estimator_checks_generator(kind(**settings)) if name_of(pair[1]) == ALL_AT_ONCE]
    assert checks
    for estimator, check in checks:
        check(estimator)


@pytest.mark.processes
def test_scikit_learn_finds_no_fault_when_it_dispatches_by_array_library() -> None:
    program = f"""
from sklearn.utils.estimator_checks import estimator_checks_generator
from longlag.estimators import LSTMClassifier, LSTMRegressor
ran = 0
for kind in (LSTMClassifier, LSTMRegressor):
    for estimator, check in estimator_checks_generator(kind(n_networks=2, hidden_size=8, max_epochs=12)):
        if getattr(check, "func", check).__name__ == {OWN_PROCESS!r}:
            check(estimator)
            ran += 1
assert ran >= 2, ran
"""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
