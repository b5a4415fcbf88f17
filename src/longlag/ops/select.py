"""Which engine runs a layer. It says so when asked, and it never falls back in silence."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops import aten, bptt, reference
from longlag.ops.checkpointing import checkpointed
from longlag.ops.layer import Layer, State, Weights
from longlag.ops.paths import ErrorPaths
from longlag.ops.triton import crossover

__all__ = [
    "ENGINES",
    "backend_for",
    "check_backend",
    "engine_for",
    "is_native",
    "native",
    "native_or_reference",
    "native_status",
]


def _load(name: str) -> ModuleType | None:
    """A module that needs the compiled extension; None where there is none, which ``native_status`` explains."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


native = _load("longlag.ops.native")
"""The module of the CPU kernels, or None where they are not built."""

ENGINES: dict[str, Layer] = {"reference": reference.layer, "bptt": bptt.layer, "torch": aten.layer}
"""By name: the definition under autograd; the hand-derived backward pass; PyTorch's fused kernels (plain cell only);
where they are built, the CPU kernels with samples or with units in the lanes of their vectors; and, where Triton is
installed, the GPU kernels."""
_NATIVE: dict[str, Literal["samples", "units"]] = {"native-samples": "samples", "native-units": "units"}
if native is not None:
    for _name, _filling in _NATIVE.items():
        ENGINES[_name] = functools.partial(native.layer, lanes=_filling)


def _triton(
    spec: CellSpec,
    weights: Weights,
    inputs: Tensor,
    state: State,
    lengths: Tensor | None,
    paths: ErrorPaths,
) -> tuple[Tensor, State]:
    """The GPU kernels, loaded when they are first needed: Triton takes a while, and most never use it."""
    engine: Layer = importlib.import_module("longlag.ops.triton.layer").layer
    return engine(spec, weights, inputs, state, lengths, paths)


def _without_triton() -> str:
    """Why the GPU kernels cannot be compiled here, or "". Reads versions and loads nothing."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    for name in ("triton", "pytorch-triton"):  # the second is what PyTorch's nightly builds bring
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        major, minor = map(int, version.split(".")[:2])
        return "" if (major, minor) >= TRITON else f"Triton {version} is older than {'.'.join(map(str, TRITON))}"
    return "Triton has no version"


TRITON = (3, 4)
"""The oldest that compiles the kernels: what PyTorch 2.8 brought. Before, a kernel could not be given a geometry."""
if not _without_triton():
    ENGINES["triton"] = _triton

DEFAULT = os.environ.get("LONGLAG_BACKEND", "auto")
"""What "auto" stands for in this process: the environment variable LONGLAG_BACKEND, to run all on one engine."""


def check_backend(backend: str, spec: CellSpec, paths: ErrorPaths) -> None:
    """Refuse a backend that does not exist, or cannot do what is asked of it."""
    if backend == DEFAULT == "auto":
        return
    said, known = f"backend is {backend!r}", ("auto", "native", *ENGINES)
    if backend == "auto":
        backend, said = DEFAULT, f"the environment variable LONGLAG_BACKEND is {DEFAULT!r}"
    if native is None and backend in ("native", *_NATIVE):
        raise InputError(f"{said}, but the compiled extension is {native_status()}")
    if backend == "triton" and backend not in ENGINES:
        raise InputError(f"{said}, but {_without_triton()}; expected another, or `pip install --upgrade triton`")
    if backend not in known:
        raise InputError(f"{said}; expected one of {', '.join(known)}")
    if backend == "torch" and not aten.can_run(spec, paths):
        raise InputError(
            f"{said}, which runs the default cell with the full gradient only; "
            "expected 'auto', 'native', 'bptt' or 'reference' for this one"
        )


def backend_for(
    backend: str, spec: CellSpec, paths: ErrorPaths, inputs: Tensor, hidden: int, tensors: Iterable[Tensor] = ()
) -> str:
    """The engine that will run on ``inputs`` (T, B, I): ``backend`` itself, or the fastest that can do what is asked.

    "native" stands for one of the two ways to fill vectors, whichever was measured faster for such sizes. "auto" takes
    it for float32 and float64 on the CPU; elsewhere "torch" for the plain cell, and for every other "triton" on a CUDA
    device, else "bptt". Inside torch.func transforms and for forward-mode derivatives, which follow each operation,
    "auto" takes "reference".
    """
    check_backend(backend, spec, paths)
    backend = DEFAULT if backend == "auto" else backend
    if backend == "auto":
        return _automatic(spec, paths, inputs, hidden, tensors)
    if (backend == "native" or backend in _NATIVE) and not (native is not None and native.can_run(inputs)):
        raise InputError(
            f"backend {backend!r} runs float32 and float64 on the CPU; the input is {inputs.dtype} on {inputs.device}"
        )
    if backend == "triton":
        importlib.import_module("longlag.ops.triton.layer").check_device(inputs)
    return _lanes(spec, inputs, hidden) if backend == "native" else backend


def _automatic(spec: CellSpec, paths: ErrorPaths, inputs: Tensor, hidden: int, tensors: Iterable[Tensor]) -> str:
    if torch._C._are_functorch_transforms_active():
        return "reference"
    # A level is open only inside forward_ad.dual_level(): asking each tensor costs more than a small layer.
    if forward_ad._current_level >= 0 and any(
        forward_ad.unpack_dual(tensor).tangent is not None for tensor in (inputs, *tensors)
    ):
        return "reference"
    if native is None:
        if not torch.compiler.is_compiling():
            _warn_once()
    elif native.can_run(inputs):
        return _lanes(spec, inputs, hidden)
    if torch.compiler.is_compiling():
        return "reference"
    plain = aten.can_run(spec, paths)
    if "triton" in ENGINES and (not plain or crossover.beats_cudnn(inputs, hidden)) and crossover.suits(inputs):
        return "triton"
    return "torch" if plain else "bptt"


def _lanes(spec: CellSpec, inputs: Tensor, hidden: int) -> str:
    assert native is not None
    samples = inputs.shape[1]
    if type(samples) is not int:  # a tracer's symbol: units in lanes suit any number of samples
        return "native-units"
    # torch.compile traces what a cache remembers, and says so
    choose = native.choose_lanes.__wrapped__ if torch.compiler.is_compiling() else native.choose_lanes
    lanes = choose(spec, inputs.shape[2], hidden, samples, inputs.dtype == torch.float64)
    return f"native-{lanes}"


def engine_for(name: str, every: int) -> Layer:
    """The engine of that name; with ``every``, one whose memory holds so many steps and a state for each so many."""
    engine = ENGINES[name]
    if not every:
        return engine
    if native is not None and name in _NATIVE:
        return functools.partial(native.layer, lanes=_NATIVE[name], every=every)
    return checkpointed(engine, every)


def native_or_reference(inputs: Tensor) -> str:
    """The engine whose directional derivatives are fastest: the kernels where they run, else the definition."""
    return "native" if native is not None and native.can_run(inputs) else "reference"


def is_native(backend: str) -> bool:
    """Whether this backend means the CPU kernels wherever they can run."""
    backend = DEFAULT if backend == "auto" else backend
    return native is not None and backend in ("auto", "native", *_NATIVE)


@functools.cache
def _warn_once() -> None:
    warnings.warn(f"longlag's CPU kernels are {native_status()}", stacklevel=1)


def native_status() -> str:
    """What the compiled extension offers on this machine, or how to get it. One sentence for people."""
    try:
        extension = importlib.import_module("longlag._native")
    except ModuleNotFoundError:
        return "not built, so all runs in PyTorch; to build it, install a C++17 compiler and reinstall longlag"
    except ImportError as error:
        return f"built, but it does not load ({error}); every computation runs in PyTorch; reinstall longlag"
    return "built; instruction sets: " + ", ".join(extension.instruction_sets())
