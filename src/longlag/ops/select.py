"""Which engine runs: a table of engines, and a loop over it. It says so when asked, and never falls back in silence."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longlag.cell import CellSpec
from longlag.errors import InputError
from longlag.ops.any_layer import AnyLayerEngine
from longlag.ops.bptt import BPTTEngine
from longlag.ops.checkpointing import Checkpointed
from longlag.ops.engine import COMMON_FIELDS, CallOptions, Engine, Request
from longlag.ops.paths import GradientPaths
from longlag.ops.plain_tensors import has_values, is_recorded
from longlag.ops.reference import ReferenceEngine
from longlag.ops.torch_lstm import TorchEngine
from longlag.ops.triton import crossover, verification
from longlag.ops.triton.engine import TritonEngine

__all__ = [
    "ENGINES",
    "EngineChooser",
    "backend_for",
    "check_backend",
    "engine_for",
    "is_native",
    "kernels_run",
    "native",
    "native_status",
    "with_checkpoints",
]


def _load(name: str) -> ModuleType | None:
    """Import a module that needs the compiled extension; None where there is none, which ``native_status`` explains."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


native = _load("longlag.ops.native")
"""The module of the CPU kernels, or None where they are not built."""
native_layer = _load("longlag.ops.native_layer")
"""The module of their engines, or None."""

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (ReferenceEngine(), BPTTEngine(), TorchEngine())}
"""By name: the definition under autograd; the hand-derived backward pass; PyTorch's fused kernels (plain cell only);
where they are built, the CPU kernels with samples or with units in the lanes of their vectors; and, where Triton is
installed, the GPU kernels."""
_NATIVE = ("native-samples", "native-units")
if native_layer is not None:
    ENGINES |= {engine.name: engine for engine in map(native_layer.NativeEngine, ("samples", "units"))}


def _without_triton() -> str:
    """Return why the GPU kernels cannot be compiled here, or "". Reads versions and loads nothing."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    version = verification.triton_version()
    if version is None:
        return "Triton has no version"
    major, minor = map(int, version.split(".")[:2])
    return "" if (major, minor) >= TRITON else f"Triton {version} is older than {'.'.join(map(str, TRITON))}"


TRITON = (3, 4)
"""The oldest that compiles the kernels: what PyTorch 2.8 brought. Before, a kernel could not be given a geometry."""
if not _without_triton():
    ENGINES["triton"] = TritonEngine()

DEFAULT = os.environ.get("LONGLAG_BACKEND", "auto")
"""What "auto" stands for in this process: the environment variable LONGLAG_BACKEND, to run all on one engine."""


# ---------------------------------------------------------------- by name


def check_backend(backend: str, spec: CellSpec, paths: GradientPaths) -> None:
    """Refuse a backend that does not exist, or cannot do what is asked of it. Raises InputError."""
    called = f"backend is {backend!r}"
    if backend == "auto" and DEFAULT != "auto":
        backend, called = DEFAULT, f"the environment variable LONGLAG_BACKEND is {DEFAULT!r}"
    if native is None and backend in ("native", *_NATIVE):
        raise InputError(f"{called}, but the compiled extension is {native_status()}")
    if backend == "triton" and backend not in ENGINES:
        raise InputError(f"{called}, but {_without_triton()}; expected another, or `pip install --upgrade triton`")
    known = ("auto", "native", *ENGINES)
    if backend not in known:
        raise InputError(f"{called}; expected one of {', '.join(known)}")
    reason = _cell_refusal(backend, spec, paths)
    if reason is not None:
        able = [repr(name) for name in known if _cell_refusal(name, spec, paths) is None]
        others = f"expected one of {', '.join(able)} for this one" if able else "no engine computes this cell"
        raise InputError(f"{called}, which {reason}; {others}")


def _cell_refusal(backend: str, spec: CellSpec, paths: GradientPaths) -> str | None:
    """Return why a backend cannot compute a cell; "auto" can what any engine can."""
    if backend == "auto":
        reasons = [engine.refuses_cell(spec, paths) for engine in ENGINES.values()]
        return None if None in reasons else reasons[0]
    if backend == "native":
        backend = _NATIVE[0]
    engine = ENGINES.get(backend)
    return "is not there" if engine is None else engine.refuses_cell(spec, paths)


def engine_for(backend: str, request: Request) -> Engine:
    """Return the engine that will run: the one that ``backend`` names, or the best that can do what is wanted.

    "native" stands for one of the two ways to fill vectors, whichever was measured faster for such sizes. "auto" takes
    the first of ``PREFERENCE`` that does not refuse. Raises InputError where the named one, or every one, does.
    """
    backend = request.options.engine or backend
    name = DEFAULT if backend == "auto" else backend
    if name == "auto":
        return _automatic(request)
    engine = _named(name, request)
    if engine is None:
        check_backend(backend, request.spec, request.paths)
        raise InputError(f"backend {name!r} is not there")
    reason = engine.refuses(request)
    if reason is not None:
        raise InputError(f"backend {name!r} {reason}")
    return engine


class EngineChooser:
    """Chooses the engine for the calls of one layer, and remembers it for calls of the same kind.

    Remembered are the CPU kernels, which alone are quick enough for a choice to be felt: while PyTorch need not see
    each operation, a choice of them rests on what a kind of call names, and on no other tensor.
    """

    def __init__(self, backend: str, spec: CellSpec, hidden_size: int) -> None:
        self._backend, self._spec, self._hidden_size = backend, spec, hidden_size
        self._engine: Engine | None = None
        self._kind: tuple[object, ...] = ()

    def remembered(self, inputs: Tensor, paths: GradientPaths, options: CallOptions) -> Engine | None:
        """Return the engine of the last call, if this one is of its kind."""
        if torch.compiler.is_compiling() or self._kind != _kind(inputs, paths, options):
            return None
        # What ``_followed`` asks, without a look at any tensor.
        followed = torch._C._are_functorch_transforms_active() or torch._C._get_tracing_state() is not None
        return None if followed or forward_ad._current_level >= 0 else self._engine

    def choose(self, inputs: Tensor, tensors: Iterable[Tensor], paths: GradientPaths, options: CallOptions) -> Engine:
        """See ``engine_for``. ``tensors``: states and weights."""
        request = Request(self._spec, paths, inputs, self._hidden_size, tensors, options)
        engine = engine_for(self._backend, request)
        if engine.name in _NATIVE and not torch.compiler.is_compiling():
            self._engine, self._kind = engine, _kind(inputs, paths, options)
        return engine


def _kind(inputs: Tensor, paths: GradientPaths, options: CallOptions) -> tuple[object, ...]:
    """Return all that a choice among the CPU kernels depends on, besides a layer's own options."""
    return (
        inputs.dtype,
        inputs.device,
        inputs.shape[1],
        paths,
        options.engine,
        options.per_sample is None,
        options.forward_cache is None,
    )


def _named(name: str, request: Request) -> Engine | None:
    """Return the engine of that name, or None; "native" fills vectors in the way that suits the sizes."""
    if name == "native" and native_layer is not None:
        lanes = native_layer.lanes_for(request.spec, request.inputs, request.hidden_size)
        name = f"native-{lanes}"
    return ENGINES.get(name)


def backend_for(backend: str, request: Request) -> str:
    """Return the name of the engine that will run."""
    return engine_for(backend, request).name


def with_checkpoints(engine: Engine, every: int) -> Engine:
    """Return the engine; with ``every``, one whose memory holds so many steps and a state for each so many."""
    return Checkpointed(engine) if every and "checkpoints" not in engine.wishes else engine


# ---------------------------------------------------------------- "auto"


Preference = tuple[tuple[str, Callable[[Request], bool] | None], ...]


def _automatic(request: Request) -> Engine:
    return _first(PREFERENCE, request)


def _first(preference: Preference, request: Request) -> Engine:
    reason = None
    for name, suits in preference:
        if suits is None or suits(request):
            engine = ANY_LAYER if name == ANY_LAYER.name else _named(name, request)
            if engine is not None:
                reason = engine.refuses(request)
                if reason is None:
                    return engine
            elif name == "native" and not torch.compiler.is_compiling():
                _warn_once()
    raise InputError(f"no engine computes this: the most general one, 'reference', {reason}")


def _followed(request: Request) -> bool:
    """Return whether PyTorch must see each operation: torch.func transforms, forward mode, and export to ONNX."""
    if torch._C._are_functorch_transforms_active():
        return True
    # A level is open only inside forward_ad.dual_level(): asking each tensor costs more than a small layer.
    if forward_ad._current_level >= 0 and any(
        forward_ad.unpack_dual(tensor).tangent is not None for tensor in (request.inputs, *request.tensors)
    ):
        return True
    return torch._C._get_tracing_state() is not None and torch.onnx.is_in_onnx_export()


def _compiling(_: Request) -> bool:
    return torch.compiler.is_compiling()


def _without_values(request: Request) -> bool:
    """Return whether this call makes a graph, or asks for shapes alone: it compiles, exports, or has fake tensors."""
    if torch.compiler.is_compiling():
        return True
    return not (has_values(request.inputs) or request.inputs.is_meta)  # what each engine can do on the meta device


def _suits_triton(request: Request) -> bool:
    if "triton" not in ENGINES or not crossover.suits(request.inputs):
        return False
    # There is no operator of the GPU kernels that could be recorded.
    return not is_recorded((request.inputs, *request.tensors))


def _faster_than_cudnn(request: Request) -> bool:
    return crossover.beats_cudnn(request.inputs, request.hidden_size) and _suits_triton(request)


EAGER: Preference = (
    ("native", None),
    ("triton", _faster_than_cudnn),
    ("torch", None),
    ("triton", _suits_triton),
    ("bptt", None),
    ("reference", None),
)
"""What computes real tensors best: the first engine whose condition holds, if it has one, and that does not refuse.

bptt stands before the reference because it keeps less for the way back: in the number types that no kernel knows
(bfloat16 on the CPU), and where the kernels are not built.
"""


def _eager(request: Request) -> Engine:
    """Return what the operator of any layer runs."""
    return with_checkpoints(_first(EAGER, request), request.options.checkpoint_every)


ANY_LAYER = AnyLayerEngine(_eager)
"""The operator for whoever records calls that the CPU kernels, which have operators of their own, cannot take."""

PREFERENCE: Preference = (
    ("reference", _followed),
    ("native", None),
    (ANY_LAYER.name, _without_values),
    ("reference", _compiling),
    *EAGER[1:],
)
"""What "auto" takes. Of a cell that no operator knows, what is compiled is the reference."""


# ---------------------------------------------------------------- the CPU kernels


def kernels_run(spec: CellSpec, inputs: Tensor) -> bool:
    """Return whether the CPU kernels compute this cell for such inputs."""
    return native is not None and native.can_run(inputs) and not spec.beyond(COMMON_FIELDS)


def is_native(backend: str) -> bool:
    """Return whether this backend means the CPU kernels wherever they can run."""
    backend = DEFAULT if backend == "auto" else backend
    return native is not None and backend in ("auto", "native", *_NATIVE)


@functools.cache
def _warn_once() -> None:
    warnings.warn(f"longlag's CPU kernels are {native_status()}", stacklevel=1)


def native_status() -> str:
    """Return what the compiled extension offers on this machine, or how to get it. One sentence for people."""
    try:
        extension = importlib.import_module("longlag._native")
    except ModuleNotFoundError:
        return "not built, so all runs in PyTorch; to build it, install a C++17 compiler and reinstall longlag"
    except ImportError as error:
        return f"built, but it does not load ({error}); every computation runs in PyTorch; reinstall longlag"
    return "built; instruction sets: " + ", ".join(extension.instruction_sets())
