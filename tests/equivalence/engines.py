"""Which engines the tests of this run can ask for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor

from longlag.ops import select
from longlag.ops.engine import LayerCall
from longlag.ops.layer import State

NATIVE = ("native-samples", "native-units")
"""The CPU kernels, by what fills the lanes of a vector."""
BUILT = NATIVE if select.native is not None else ()

needs_kernels = pytest.mark.skipif(not BUILT, reason=f"the compiled module is {select.native_status()}")
automatic = pytest.mark.skipif(
    select.DEFAULT != "auto", reason=f"LONGLAG_BACKEND={os.environ.get('LONGLAG_BACKEND')} stands for 'auto'"
)
"""For tests of the name that "auto" chooses."""

BACKENDS = ["auto", "bptt", "reference", "torch", *(pytest.param(name, marks=needs_kernels) for name in NATIVE)]
"""Every backend a layer can be given."""


def on_every_backend(cells: dict[str, object], plain: object) -> list[object]:
    """Parameters (cell, backend): every cell on every backend, the plain one alone on PyTorch's."""
    return [
        pytest.param(cell, name, id=f"{label}-{name}", marks=needs_kernels if name in NATIVE else ())
        for label, cell in cells.items()
        for name in ("auto", "bptt", "reference", "torch", *NATIVE)
        if name != "torch" or cell == plain
    ]


def kernels(lanes: str, every: int = 0) -> Callable[[LayerCall], tuple[Tensor, State]]:
    """The CPU kernels with those lanes, and checkpoints every so many steps."""
    from longlag.ops import native_layer

    def layer(call: LayerCall) -> tuple[Tensor, State]:
        return native_layer.layer(call._replace(options=call.options._replace(checkpoint_every=every)), lanes)

    return layer


@contextmanager
def instructions(name: str, module: str = "longlag._native") -> Iterator[None]:
    """A compiled module's kernels of that instruction set run inside."""
    compiled = importlib.import_module(module)
    before = compiled.instruction_set()
    compiled.use(name)
    try:
        yield
    finally:
        compiled.use(before)
