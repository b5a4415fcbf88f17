"""What a method remembers between iterations, as named tensors: the form in which checkpoints keep it."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from longlag.errors import CheckpointError

__all__ = ["PackedState"]

_NUMBERS: dict[type, torch.dtype] = {bool: torch.bool, int: torch.int64, float: torch.float64}


class PackedState:
    """Base of the states of methods, which are dataclasses: ``pack`` and ``unpack`` follow from the fields' types.

    A field is a Tensor, a float, an int or a bool, each of them perhaps ``| None``; a ``list[Tensor]`` or a
    ``dict[str, Tensor]``. A state with other fields has a ``pack`` and an ``unpack`` of its own.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def pack(self) -> dict[str, Tensor]:
        """Return the state as tensors.

        A tensor has the name of its field, and so has a number, as a tensor without dimensions. The entries of a list
        are ``name.0``, ``name.1`` and so on, those of a dict ``name.key``. None leaves no entry.
        """
        packed: dict[str, Tensor] = {}
        for name, kind, _ in _field_kinds(type(self)):
            value = getattr(self, name)
            if isinstance(value, list):
                packed |= {f"{name}.{number}": entry for number, entry in enumerate(value)}
            elif isinstance(value, dict):
                packed |= {f"{name}.{key}": entry for key, entry in value.items()}
            elif value is not None:
                packed[name] = value if kind is Tensor else torch.tensor(value, dtype=_NUMBERS[kind], device="cpu")
        return packed

    @classmethod
    def unpack(cls, packed: Mapping[str, Tensor]) -> Self:
        """Return the state that ``pack`` took, to the bit.

        Raises
        ------
        CheckpointError
            If the tensors are not those of such a state.
        """
        left, values = dict(packed), {}
        for name, kind, optional in _field_kinds(cls):
            if kind in _READERS:
                values[name] = _READERS[kind](name, left)
            elif name in left:
                values[name] = _value(cls, name, kind, left.pop(name))
            elif optional:
                values[name] = None
            else:
                raise CheckpointError(f"the optimiser's state has no {name!r}; expected that of a {cls.__name__}")
        if left:
            raise CheckpointError(
                f"the optimiser's state has an entry {min(left)!r}; expected those of a {cls.__name__} alone"
            )
        return cls(**values)


def _field_kinds(state: type[PackedState]) -> list[tuple[str, Any, bool]]:
    """Return each field's name, type, and whether it may be None. TypeError for types that ``pack`` does not know."""
    hints, kinds = typing.get_type_hints(state), []
    for field in fields(state):
        hint, optional = hints[field.name], False
        if typing.get_origin(hint) in (types.UnionType, typing.Union) and type(None) in typing.get_args(hint):
            others = [kind for kind in typing.get_args(hint) if kind is not type(None)]
            hint, optional = others[0] if len(others) == 1 else hint, True
        if hint is not Tensor and hint not in _NUMBERS and (hint not in _READERS or optional):
            raise TypeError(
                f"{state.__name__}.{field.name} is of type {hint}; expected a Tensor, float, int or bool, or None with "
                "one of them, a list[Tensor] or a dict[str, Tensor], or a pack and an unpack of the state's own"
            )
        kinds.append((field.name, hint, optional))
    return kinds


def _value(state: type[PackedState], name: str, kind: type, tensor: Tensor) -> Tensor | float:
    if kind is Tensor:
        return tensor
    if tensor.dim():
        raise CheckpointError(
            f"the optimiser's state has {name!r} of shape {tuple(tensor.shape)}; expected a number, as in a "
            f"{state.__name__}"
        )
    number: float = kind(tensor.item())
    return number


def _list(name: str, left: dict[str, Tensor]) -> list[Tensor]:
    entries: list[Tensor] = []
    while (entry := left.pop(f"{name}.{len(entries)}", None)) is not None:
        entries.append(entry)
    return entries


def _dict(name: str, left: dict[str, Tensor]) -> dict[str, Tensor]:
    keys = [key for key in left if key.startswith(f"{name}.")]
    return {key.removeprefix(f"{name}."): left.pop(key) for key in keys}


_READERS: dict[Any, Callable[[str, dict[str, Tensor]], Any]] = {list[Tensor]: _list, dict[str, Tensor]: _dict}
