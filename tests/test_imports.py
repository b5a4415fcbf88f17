"""The package stays light: what is heavy or optional loads when it is first needed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import longlag


def run(program: str) -> str:
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return child.stdout.strip()


ADDED = """
import sys
before = set(sys.modules)
{}
added = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(added - sys.stdlib_module_names))
"""


def test_importing_the_package_loads_nothing_else() -> None:
    assert run(ADDED.format("import longlag")) == "longlag"


def test_its_networks_load_torch_and_numpy_alone() -> None:
    # torch and NumPy come first, so that what they load of their own is not held against the package.
    program = "import numpy, torch\n" + ADDED.format("from longlag import *")
    assert set(run(program).split()) <= {"longlag", "numpy", "torch"}


def test_the_command_line_answers_without_torch() -> None:
    assert "torch" not in run(ADDED.format("import longlag.cli.main")).split()


@pytest.mark.parametrize("name", longlag.__all__)
def test_every_public_name_is_there_and_known_to_completion(name: str) -> None:
    assert getattr(longlag, name).__name__ == name
    assert name in dir(longlag)


def test_every_part_of_the_package_that_users_import_is_an_attribute_of_it() -> None:
    folders = {path.parent.name for path in Path(longlag.__file__).parent.glob("*/__init__.py")}
    for part in folders - {"cli"} | {"cell", "errors"}:
        assert getattr(longlag, part) is importlib.import_module(f"longlag.{part}")
        assert part in dir(longlag)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'longlag' has no attribute 'GRU'"):
        longlag.GRU  # noqa: B018
