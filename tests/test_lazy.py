"""Names of packages that are loaded when they are first asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import longlag.data
import longlag.nn

MENU = """
from longlag.lazy import lazy
__getattr__ = lazy(__name__, {"Thing": "first"}, otherwise={"old": 7}.__getitem__)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package whose modules count how often they are run."""
    folder = tmp_path / "menu_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(MENU, encoding="utf-8")
    (folder / "first.py").write_text("class Thing: pass\n", encoding="utf-8")
    (folder / "second.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(folder.name)
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_a_name_is_loaded_when_it_is_asked_for_and_then_stays(package: ModuleType) -> None:
    assert f"{package.__name__}.first" not in sys.modules
    thing = package.Thing
    assert thing is sys.modules[f"{package.__name__}.first"].Thing
    assert vars(package)["Thing"] is thing


def test_modules_of_the_package_are_attributes_though_nobody_imported_them(package: ModuleType) -> None:
    assert package.second is sys.modules[f"{package.__name__}.second"]


def test_other_names_are_left_to_who_knows_them(package: ModuleType) -> None:
    assert package.old == 7
    with pytest.raises(KeyError):
        package.older  # noqa: B018


@pytest.mark.parametrize("package", [longlag.nn, longlag.data])
def test_every_public_name_of_lazy_packages_is_there_and_an_unknown_one_is_an_attribute_error(
    package: ModuleType,
) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'GRU'"):
        package.GRU  # noqa: B018
