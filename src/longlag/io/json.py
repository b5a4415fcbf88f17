"""Strict JSON: what is read equals what was written, and a file holds the old document or the new one."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from longlag.errors import InputError
from longlag.io.files import path_of, replace_file, writing

__all__ = ["JSON", "decode_json", "encode_json", "write_json"]

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | float | int | bool | None"
"""Plain data. What is read equals what was written, so tuples and keys that are not text are refused."""

_DEEPEST = 100  # far below every interpreter's recursion limit, so what can be written can also be read


def _check_plain(value: object, where: str, depth: int = 0) -> None:
    """Raise InputError, naming the place, unless ``value`` is :data:`JSON` with finite numbers."""
    if depth > _DEEPEST:
        raise InputError(f"{where[:60]}... is nested deeper than {_DEEPEST} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{where} has the key {key!r}; expected every key to be text")
            _check_plain(item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where} is {value}; expected a finite number")
    elif value is not None and not isinstance(value, str | int):
        raise InputError(f"{where} is a {type(value).__name__}; expected dict, list, text, number, bool or None")


def encode_json(document: object, where: str, *, indent: int | None = 2) -> bytes:
    """Return the one encoding: sorted keys, ASCII, a final newline. InputError names what is not JSON."""
    _check_plain(document, where)
    try:
        text = json.dumps(document, sort_keys=True, indent=indent, allow_nan=False)
    except ValueError as error:  # an integer with more digits than Python converts
        raise InputError(f"{where} cannot be written as JSON: {error}") from error
    return text.encode("ascii") + b"\n"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999 is valid JSON, and infinity in Python
        raise ValueError(f"{text} is not a finite number")
    return number


def decode_json(data: bytes) -> Any:
    """Parse strict JSON; ValueError for anything else, NaN, Infinity and overflow included."""
    try:
        return json.loads(data.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_json(path: str | os.PathLike[str], document: Mapping[str, JSON]) -> None:
    """Write ``document`` to ``path`` (say, metrics.json): the old file or the new one, at every moment.

    Raises
    ------
    InputError
        If the document is not plain JSON or holds NaN or infinity (the place is named), or if ``path`` cannot
        be written; then the file that was there is untouched, unless only the last flush failed.
    """
    target = path_of("path", path)
    data = encode_json(dict(document), f"{target}: document")
    with writing(target):
        replace_file(target, data)
