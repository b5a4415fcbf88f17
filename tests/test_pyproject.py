"""pyproject.toml promises nothing that is not there: no extra that nobody imports, no room that does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "longlag"


def content() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


EXTRAS = sorted(content()["project"]["optional-dependencies"].keys() - {"dev"})


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_package_of_an_extra_is_imported_somewhere(extra: str) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    for requirement in content()["project"]["optional-dependencies"][extra]:
        package = re.match(r"\w+", requirement)
        assert package is not None
        name = re.escape(package[0])
        assert re.search(rf"^\s*(import|from) {name}\b|require\(f?\"{name}\b", text, re.MULTILINE), package[0]


def test_every_exception_of_the_linter_is_for_a_module_that_exists() -> None:
    contracts = content()["tool"]["importlinter"]["contracts"]
    importers = {line.partition(" -> ")[0] for contract in contracts for line in contract.get("ignore_imports", [])}
    for importer in importers:
        package, *names = importer.removesuffix(".**").split(".")
        home = {"longlag": SOURCES, "longlag_lab": ROOT / "laboratory" / "src" / "longlag_lab"}[package]
        place = home.joinpath(*names)
        assert place.is_dir() or place.with_suffix(".py").is_file(), importer
