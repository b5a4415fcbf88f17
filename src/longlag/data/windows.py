"""Windows over a series for forecasting: one long series becomes a batch of short sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from longlag.checks import shown, whole_number
from longlag.data.sequences import SequenceBatch
from longlag.errors import InputError, InputTypeError

__all__ = ["forecast_windows", "horizon_windows"]


def forecast_windows(
    series: Any,
    length: int,
    *,
    exogenous: Any = None,
    stride: int = 1,
    warm_up: int = 0,
    dtype: torch.dtype | None = None,
) -> SequenceBatch:
    """Overlapping windows in which every step answers with the next value of the series.

    Window w begins at time s = w * stride. At its step j, time t = s + j, the input is [y_t, x_{t+1}] and the
    target y_{t+1}: values known beside the series (a calendar, a price list) stand beside the time that is
    forecast. The last window ends where a whole one still fits; with a stride above 1 the last few times may
    go unused.

    Parameters
    ----------
    series : (T, K) or (T,) array or tensor, the values y to forecast.
    length : steps of a window; T must be at least length + 1.
    exogenous : (T, E) or (T,) array or tensor, values x that are known one step ahead; row t belongs to time
        t.
    stride : steps between the beginnings of neighbouring windows.
    warm_up : first steps of each window, fewer than ``length``, that are read and whose answers are not wanted.
    dtype : of inputs and targets; the default is the series' own if it is floating point, else torch's
        default.

    Returns
    -------
    SequenceBatch
        inputs (length, windows, K + E) and targets (length, windows, K): views over one copy of the series,
        so memory does not grow with ``length``; read them, do not write to them.

    Raises
    ------
    InputError
        If the series is too short, a value is NaN or infinite (named by step and feature), or a number is
        impossible.
    """
    values, inputs = _checked(series, exogenous, dtype)
    whole_number("length", length, 1)
    whole_number("stride", stride, 1)
    whole_number("warm_up", warm_up, 0)
    if warm_up >= length:
        raise InputError(
            f"warm_up={warm_up} leaves no answers in windows of {length} steps; expected 0 to {length - 1}"
        )
    if len(values) < length + 1:
        raise InputError(
            f"the series has {len(values)} steps; expected at least {length + 1} for windows of {length} "
            "steps and the value after the last"
        )
    inputs = _unfold(inputs, length, stride)
    targets = _unfold(values[1:], length, stride)
    return _batch(inputs, targets, _steps(inputs) >= warm_up)


def horizon_windows(
    series: Any,
    length: int,
    horizon: int,
    *,
    exogenous: Any = None,
    stride: int = 1,
    dtype: torch.dtype | None = None,
) -> SequenceBatch:
    """Overlapping windows that answer once, at their last step, with the next ``horizon`` values together.

    A window with last time t has the target [y_{t+1}, ..., y_{t+horizon}], time after time (K values each).
    Inputs, stride and the other parameters are those of ``forecast_windows``; T must be at least length +
    horizon.

    Returns
    -------
    SequenceBatch
        inputs (length, windows, K + E); targets (length, windows, horizon * K), wanted at the last step only.

    Raises
    ------
    InputError
        If the series is too short, a value is NaN or infinite, or a number is impossible.
    """
    values, inputs = _checked(series, exogenous, dtype)
    whole_number("length", length, 1)
    whole_number("horizon", horizon, 1)
    whole_number("stride", stride, 1)
    steps = len(values)
    if horizon > steps:
        raise InputError(
            f"a horizon of {horizon} steps is longer than the series; expected at most its {steps} steps "
            f"less the {length} of a window"
        )
    if length + horizon > steps:
        raise InputError(
            f"the series has {steps} steps; expected at least {length + horizon} for windows of {length} "
            f"steps and a horizon of {horizon}"
        )
    inputs = _unfold(inputs[: steps - horizon], length, stride)
    answers = values[length:].unfold(0, horizon, min(stride, steps)).transpose(1, 2).flatten(1)
    return _batch(inputs, answers.expand(length, *answers.shape), _steps(inputs) == length - 1)


def _batch(inputs: Tensor, targets: Tensor, answering: Tensor) -> SequenceBatch:
    """A batch of whole windows, which answer at the steps where ``answering`` (length,) is true."""
    length, windows = inputs.shape[:2]
    lengths = torch.full((windows,), length, device=inputs.device)
    return SequenceBatch(inputs, lengths, targets, answering[:, None].expand(length, windows))


def _steps(inputs: Tensor) -> Tensor:
    return torch.arange(len(inputs), device=inputs.device)


def _unfold(values: Tensor, length: int, stride: int) -> Tensor:
    stride = min(stride, len(values))  # a longer one, of whatever size, leaves the first window alone too
    return values.unfold(0, length, stride).permute(2, 0, 1)  # (windows, F, length) -> (length, windows, F)


def _checked(series: Any, exogenous: Any, dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
    """The values y (T, K), and the inputs [y_t, x_{t+1}] (T - 1, K + E); new tensors that share nothing."""
    values = _matrix("series", series, dtype)
    if exogenous is None:
        return values, values[:-1]
    known = _matrix("exogenous", exogenous, values.dtype)
    if len(known) != len(values):
        raise InputError(f"exogenous has {len(known)} steps; expected {len(values)}, as many as the series")
    return values, torch.cat([values[:-1], known[1:]], dim=1)


def _matrix(name: str, values: Any, dtype: torch.dtype | None) -> Tensor:
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InputTypeError(f"dtype is {shown(dtype)}; expected None or a floating-point type of torch")
    matrix = values if isinstance(values, Tensor) else _from_numpy(name, values)
    if matrix.is_complex() or matrix.is_meta or matrix.layout != torch.strided:
        raise InputError(
            f"{name} is {matrix.dtype} of layout {matrix.layout} on {matrix.device}; expected dense real numbers"
        )
    if not matrix.is_floating_point():
        dtype = dtype or torch.get_default_dtype()
    matrix = matrix.to(dtype or matrix.dtype, copy=True)
    if matrix.dim() == 1:
        matrix = matrix[:, None]
    if matrix.dim() != 2 or not matrix.shape[1]:
        raise InputError(f"{name} has shape {tuple(matrix.shape)}; expected (steps, features)")
    unusable = torch.nonzero(~torch.isfinite(matrix))
    if len(unusable):
        step, feature = unusable[0].tolist()
        raise InputError(
            f"{name} is {float(matrix[step, feature])} at step {step}, feature {feature}; expected finite numbers"
        )
    return matrix


def _from_numpy(name: str, values: Any) -> Tensor:
    array = np.array(values, order="C")  # a copy: torch warns of read-only arrays, which pandas hands out
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {array.dtype}; expected numbers")
    return torch.from_numpy(array)
