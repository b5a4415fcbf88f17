"""The package stays light: what is heavy or optional loads when it is first needed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import longlag

# What each import adds to the modules that were there before it, a line each.
PROGRAM = """
import sys
def added(statement):
    before = set(sys.modules)
    exec(statement)
    names = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(*sorted(names - sys.stdlib_module_names))
"""


def added(*statements: str) -> list[set[str]]:
    """The packages that each statement loads, one after another in a fresh interpreter."""
    program = PROGRAM + "".join(f"added({statement!r})\n" for statement in statements)
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in child.stdout.split("\n")[: len(statements)]]


@pytest.mark.processes
def test_the_package_loads_nothing_else_and_the_command_line_answers_without_torch() -> None:
    package, command = added("import longlag", "import longlag.cli.main")
    assert package == {"longlag"}
    assert "torch" not in command


@pytest.mark.processes
def test_its_networks_load_torch_and_numpy_alone_and_its_data_nothing_heavy() -> None:
    # torch and NumPy come first, so that what they load of their own is not held against the package.
    _, networks, data = added("import numpy, torch", "from longlag import *", "import longlag.data")
    assert networks <= {"longlag", "numpy", "torch"}
    assert not data & {"pyarrow", "pandas", "aeon", "statsmodels", "music21", "sklearn", "scipy"}


@pytest.mark.processes
def test_a_table_is_forecast_without_what_takes_seconds_to_load(tmp_path: Path) -> None:
    rows = "\n".join(f"{2000 + month // 12}-{month % 12 + 1:02d},{month % 12}" for month in range(60))
    (tmp_path / "sales.csv").write_text(f"month,sales\n{rows}\n", encoding="utf-8")
    words = ["longlag", "forecast", str(tmp_path / "sales.csv"), "--out", str(tmp_path / "ahead.csv")]
    call = f"import sys; sys.argv = {words!r}; from longlag.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    (loaded,) = added(call)
    assert (tmp_path / "ahead.csv").is_file()
    assert {"numpy", "pyarrow", "safetensors"} <= loaded
    assert not loaded & {"torch", "sklearn", "scipy", "statsmodels", "matplotlib", "ray"}  # pyarrow loads pandas


@pytest.mark.processes
def test_the_operators_are_there_as_soon_as_torch_is_imported() -> None:
    # A program that torch.export wrote is loaded by PyTorch, which asks for longlag::layer by name.
    program = """
import sys
before = len(sys.meta_path)
import longlag
assert "torch" not in sys.modules
import torch
print(torch.ops.longlag.layer, torch.__spec__.loader.__class__.__name__, len(sys.meta_path) == before)
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "longlag.layer SourceFileLoader True\n"


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
