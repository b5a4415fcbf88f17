"""docs/architecture.md and docs/modules.md say what the modules say of themselves."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def the_map() -> ModuleType:
    spec = importlib.util.spec_from_file_location("longlag_map", ROOT / "docs" / "map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_map_and_the_list_of_modules_are_those_of_today() -> None:
    stale = [path.name for path, text in the_map().files().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"make map writes {stale} anew"


def test_every_module_says_in_one_line_what_it_is() -> None:
    source = the_map()
    silent = [
        str(module)
        for package in source.PACKAGES
        for room in [package, *source.rooms(package)]
        for module in [room / "__init__.py", *source.modules(room)]
        if not source.first_line(module)
    ]
    assert not silent


def test_the_map_fits_two_screens() -> None:
    lines = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120


def test_files_that_the_map_names_in_its_pictures_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## A forward call")[2]
    package = ROOT / "src" / "longlag"
    named = {word.strip(",") for word in text.split() if word.strip(",").endswith((".py", ".cpp", ".hpp"))}
    assert len(named) > 10
    assert not [name for name in named if not (package / name).exists()]
