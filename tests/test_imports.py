"""`import longlag` stays light: heavy and optional libraries load when they are first needed."""

from __future__ import annotations

import subprocess
import sys

# torch and NumPy come first, so that what they load of their own is not held against the package.
PROGRAM = """
import sys
import numpy, torch
before = set(sys.modules)
import longlag
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(added - sys.stdlib_module_names))
"""


def test_importing_the_package_loads_torch_and_numpy_alone() -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert set(child.stdout.split()) <= {"longlag", "numpy", "torch"}
