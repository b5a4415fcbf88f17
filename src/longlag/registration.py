"""Registers the package's operators with PyTorch as soon as both are imported, in whichever order.

An exported program (``torch.export``, AOTInductor) names ``longlag::layer`` or ``longlag::any_layer``. PyTorch, which
loads it, knows an operator only once it is registered. ``import longlag`` has to be enough for that, and yet must not
load PyTorch.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

__all__ = ["register_with_torch"]


def register_with_torch() -> None:
    """Register now if PyTorch is there, else right after it has been imported."""
    if "torch" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterTorch())


def _register() -> None:
    importlib.import_module("longlag.ops.select")  # which loads the operators there are


class _AfterTorch(importlib.abc.MetaPathFinder):
    """Finds torch by the other finders, once, with a loader that registers the operators behind it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """The loader of torch, after which the operators are registered."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module has the loader it would have without us.
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _register()
