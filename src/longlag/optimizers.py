"""The optimisers that training knows by name, with their options and defaults."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from longlag.errors import InputError

__all__ = [
    "OPTIMIZERS",
    "OptimizerEntry",
    "OptimizerName",
    "build",
    "is_method",
    "listed",
    "names",
    "naming_optimizers",
    "normalised",
    "option_values",
]

OptimizerName: TypeAlias = str
"""A key of ``OPTIMIZERS``."""

T = TypeVar("T")

CURVATURE_BATCH = 1000  # sequences that a Gauss-Newton matrix is taken on at most


def small_batches(sequences: int) -> int:
    """Return 32 sequences a batch, however many there are."""
    return 32


def one_batch(sequences: int) -> int:
    """Return all sequences: there is one batch."""
    return sequences


def equal_batches(sequences: int) -> int:
    """Return the size of equal batches, the fewest of at most ``CURVATURE_BATCH`` each: no small one is left over."""
    return math.ceil(sequences / math.ceil(sequences / CURVATURE_BATCH))


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry:
    """What training has to know of an optimiser before it makes one.

    Parameters
    ----------
    options : str
        "module:Class" of a frozen dataclass whose fields, all with defaults, are the optimiser's options. It is read
        when the optimiser is first asked for, so that this table needs no PyTorch. Of a method it is the method, a
        ``longlag.optim.Method``; of a first-order optimiser a ``longlag.optim.first_order.FirstOrder``.
    is_method : bool
        Whether it is a method: it minimises the loss of a batch, and finds the length of a step itself.
    default_batch : callable
        From the number of sequences to those of a batch.
    minibatch_iterations : int
        A method's iterations on each of several batches.
    max_weights : int or None
        Of a network that the method can train: a dense matrix has a row for each weight.
    """

    options: str
    is_method: bool
    default_batch: Callable[[int], int]
    minibatch_iterations: int = 1
    max_weights: int | None = None

    def load(self) -> type[Any]:
        """Return the class of the options."""
        module, _, name = self.options.partition(":")
        kind: type[Any] = getattr(importlib.import_module(module), name)
        return kind


def _first_order(options: str) -> OptimizerEntry:
    return OptimizerEntry(options=f"longlag.optim.first_order:{options}", is_method=False, default_batch=small_batches)


def _method(options: str, default_batch: Callable[[int], int], **more: int) -> OptimizerEntry:
    return OptimizerEntry(options=f"longlag.optim.{options}", is_method=True, default_batch=default_batch, **more)


OPTIMIZERS: dict[OptimizerName, OptimizerEntry] = {
    "sgd": _first_order("SGDOptions"),
    "momentum": _first_order("MomentumOptions"),
    "adam": _first_order("AdamOptions"),
    "adamw": _first_order("AdamWOptions"),
    # 20 iterations on a mini-batch: batch paper, section 4
    "lbfgs": _method("lbfgs:LBFGSMethod", one_batch, minibatch_iterations=20),
    "cg": _method("cg:CGMethod", one_batch, minibatch_iterations=20),
    "hessian_free": _method("hessian_free:HessianFreeMethod", equal_batches),
    # 4,000 weights make a matrix of 128 MB in float64, which is needed a few times over
    "levenberg_marquardt": _method("levenberg_marquardt:LevenbergMarquardtMethod", equal_batches, max_weights=4000),
}
"""Every optimiser by its name; a new one is a line here."""


# -- names -------------------------------------------------------------------------------------------------------------


def names(*, methods: bool | None = None) -> list[OptimizerName]:
    """Return all names, or those of the methods (True) or the first-order optimisers (False) alone."""
    return [name for name, entry in OPTIMIZERS.items() if methods is None or entry.is_method == methods]


def listed(words: list[str]) -> str:
    """Return words as they stand in a sentence: "sgd, momentum or adam"."""
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def naming_optimizers(thing: T) -> T:
    """Write the names into a docstring, where it says ``{optimizers}``, ``{first_order}`` or ``{methods}``."""
    text = thing.__doc__
    for place, which in (("{optimizers}", None), ("{first_order}", False), ("{methods}", True)):
        text = text and text.replace(place, ", ".join(f'"{name}"' for name in names(methods=which)))
    thing.__doc__ = text
    return thing


def is_method(optimizer: object) -> bool:
    """Return whether this is a method: by its name, or by its options."""
    if not isinstance(optimizer, str):
        optimizer = _name_of(optimizer)
    return optimizer in OPTIMIZERS and OPTIMIZERS[optimizer].is_method


# -- options -----------------------------------------------------------------------------------------------------------


def normalised(optimizer: object, options: Mapping[str, Any] | None) -> tuple[OptimizerName, dict[str, Any]]:
    """Return an optimiser's name and those of its options that differ from the defaults, as plain JSON data.

    Parameters
    ----------
    optimizer : str or a dataclass of options
        A name with ``options``, or the options themselves, such as ``LBFGSMethod(history_size=5)``.
    options : mapping, optional
        Options by name; those of a part by a mapping of their own, or with a dot: ``{"line_search.curvature": 0.5}``.

    Raises
    ------
    InputError
        For an unknown optimiser, an unknown option, or a value that the optimiser refuses.
    """
    if isinstance(optimizer, str):
        name, chosen = optimizer, build(optimizer, options)
    elif (known := _name_of(optimizer)) is None:
        raise InputError(f"optimizer is {optimizer!r}; expected one of {', '.join(names())}")
    elif options:
        raise InputError(f"optimizer is {optimizer!r}, which says its options; expected no optimizer_options beside it")
    else:
        name, chosen = known, optimizer
    usual = option_values(OPTIMIZERS[name].load()())
    return name, {key: value for key, value in option_values(chosen).items() if value != usual[key]}


def build(name: OptimizerName, options: Mapping[str, Any] | None = None) -> Any:
    """Return the options of the optimiser of that name, as its own dataclass; those not given have their defaults.

    Raises
    ------
    InputError
        For an unknown optimiser, an unknown option, or a value that the optimiser refuses.
    """
    if name not in OPTIMIZERS:
        raise InputError(f"optimizer is {name!r}; expected one of {', '.join(names())}")
    if options is not None and not isinstance(options, Mapping):
        raise InputError(f"optimizer_options is {options!r}; expected a mapping from the names of options to values")
    usual = OPTIMIZERS[name].load()()
    known = option_values(usual)
    values: dict[str, Any] = {}
    for key, value in (options or {}).items():
        for place, part in _parts(key, value):
            if place not in known:
                expected = f"expected one of {', '.join(known)}" if known else "expected none, for it has no options"
                raise InputError(f"optimizer={name!r} has no option {place!r}; {expected}")
            if place in values:
                raise InputError(f"optimizer_options gives {place} twice; expected it once")
            values[place] = part
    return _replaced(usual, values)


def option_values(options: Any, prefix: str = "") -> dict[str, Any]:
    """Return all options of a dataclass and their values by name, those of its parts with a dot; as plain JSON data."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            values |= option_values(value, f"{prefix}{field.name}.")
        else:
            values[prefix + field.name] = _plain(value)
    return values


def _name_of(options: object) -> OptimizerName | None:
    home = f"{type(options).__module__}:{type(options).__qualname__}"
    return next((name for name, entry in OPTIMIZERS.items() if entry.options == home), None)


def _parts(key: Any, value: Any) -> list[tuple[str, Any]]:
    """Return one option, or one for each entry of a part: a mapping or a dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return list(option_values(value, f"{key}.").items())
    if isinstance(value, Mapping):
        return [part for inner, one in value.items() for part in _parts(f"{key}.{inner}", one)]
    return [(str(key), _plain(value))]


def _replaced(options: Any, values: Mapping[str, Any]) -> Any:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        part = getattr(options, field.name)
        if field.name in values:
            changes[field.name] = values[field.name]
        elif dataclasses.is_dataclass(part):
            beginning = f"{field.name}."
            inner = {key.removeprefix(beginning): v for key, v in values.items() if key.startswith(beginning)}
            changes[field.name] = _replaced(part, inner)
    return dataclasses.replace(options, **changes)


def _plain(value: Any) -> Any:
    """Return NumPy's numbers, which grids of parameters are made of, as Python's; everything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value
