"""Configurations as text, from which names of trial files follow: it stays the same when names in the code change."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

__all__ = ["config_text"]

_NAMES_IN_FILES = {
    "TrialConfig": "Setting",
    "TrialConfig.delayed_biases": "late_biases",
    "AdamReference": "Modern",
    "DelayedBias": "LateBias",
    "CGMethod.learning_rate": "lr",
    "LBFGSMethod.history_size": "history",
    "LBFGSMethod.learning_rate": "lr",
    "StrongWolfe.max_trials": "max_evaluations",
}
"""Classes and fields that had another name when files were first written."""

_FIRST_FIELDS = {
    "CellSpec": "cells_per_block input_gate forget_gate output_gate coupled_gates peepholes gate_recurrence "
    "input_squash output_squash sharpness recurrence biases conventional_units unit_squash",
    "Topology": "input_size output_size hidden_size cell symbols reads output_activation bias output_bias loss",
    "RecurrentTopology": "input_size output_size hidden_size flat reads_inputs symbols bias feedback",
    "ChunkerTopology": "input_size hidden_size threshold",
    "TrialConfig": "task topology learning_rate interval input_gate_bias output_gate_bias delayed_biases update stop "
    "also check_every test_size cells_when_stalled new_test_sets wide method",
    "AdamReference": "why task stop hidden_size cell learning_rate batch classes longest gradient clip",
    "Problem": "task training validation test blocks sharpness input_gate_bias interval chrono output_activation "
    "dtype gradient starts judged below",
    "SecondOrder": "method batch growth inner evaluations",
    "FirstOrder": "kind learning_rate momentum batch passes every clip",
    "CGMethod": "update learning_rate orthogonality line_search",
    "LBFGSMethod": "history_size learning_rate curvature_test damped line_search",
    "HessianFreeMethod": "damping min_damping max_damping decay solver preconditioner curvature structural "
    "backtracking factor",
    "LevenbergMarquardtMethod": "damping scaling update max_trials",
    "StrongWolfe": "sufficient curvature max_trials growth",
    "LinearCG": "max_iterations tolerance residual growth",
}
"""The fields that these classes had when files were first written, by today's names."""


def config_text(config: Any) -> str:
    """Return the ``repr`` of a configuration as it was when its trials were first stored.

    Classes and fields that were renamed have their old name. A field that came later is left out while it has its
    default, so that trials from before it are still found.
    """
    if isinstance(config, list | tuple):
        parts = ", ".join(config_text(part) for part in config)
        if isinstance(config, list):
            return f"[{parts}]"
        return f"({parts},)" if len(config) == 1 else f"({parts})"
    if not is_dataclass(config) or isinstance(config, type):
        return repr(config)
    name = type(config).__qualname__
    values = [(field, getattr(config, field.name)) for field in fields(config) if field.repr]
    parts = ", ".join(
        f"{_NAMES_IN_FILES.get(f'{name}.{field.name}', field.name)}={config_text(value)}"
        for field, value in values
        if not _is_left_out(name, field, value)
    )
    return f"{_NAMES_IN_FILES.get(name, name)}({parts})"


def _is_left_out(name: str, field: Field[Any], value: Any) -> bool:
    """Return whether a field came later and has its default."""
    if name not in _FIRST_FIELDS or field.name in _FIRST_FIELDS[name].split():
        return False
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return bool(value == default)
