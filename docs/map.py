"""Writes the tree of docs/architecture.md and the list of docs/modules.md from the first lines of the modules."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (ROOT / "src" / "longlag", ROOT / "laboratory" / "src" / "longlag_lab")
WIDTH = 120
BEGIN, END = "<!-- tree -->\n```text\n", "```\n<!-- end of tree -->"


def first_line(module: Path) -> str:
    """What a module says of itself: the first line of its docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")


def first_sentence(module: Path) -> str:
    """The first sentence of that line: the tree has no room for more."""
    return first_line(module).partition(". ")[0]


def modules(package: Path) -> list[Path]:
    """The modules of one package, without those of packages inside."""
    return sorted(path for path in package.glob("*.py") if not path.name.startswith("__"))


def rooms(package: Path) -> list[Path]:
    """The packages inside a package, at any depth."""
    return sorted(path.parent for path in package.rglob("__init__.py") if path.parent != package)


def tree() -> str:
    """Each room with its purpose, and behind a bar the names of its modules."""
    lines = []
    for package in PACKAGES:
        for room in [package, *rooms(package)]:
            name = f"{room.relative_to(ROOT)}/ " if room == package else f"  {f'{room.relative_to(package)}/':16} "
            names = " ".join(module.stem for module in modules(room))
            words = f"{name}{first_sentence(room / '__init__.py')}" + f" | {names}" * bool(names)
            lines += textwrap.wrap(words, WIDTH, subsequent_indent=" " * 6, break_on_hyphens=False)
        if (package / "csrc").is_dir():
            lines.append(f"  {'csrc/':16} The CPU kernels in C++; README.md there says how they run")
    return "\n".join(lines) + "\n"


def listing() -> str:
    """Every module and the first line of its docstring, by room."""
    parts = ["# Modules\n\nWritten by `make map` from the first line of each module.\n"]
    for package in PACKAGES:
        for room in [package, *rooms(package)]:
            title = room.relative_to(package.parent)
            parts.append(f"\n## {title}\n\n{first_line(room / '__init__.py')}.\n")
            rows = [f"- `{module.name}`: {first_line(module)}." for module in modules(room)]
            parts.append("\n" + "\n".join(rows) + "\n" if rows else "")
    return "".join(parts)


def with_tree(document: str) -> str:
    """The text of architecture.md with the tree of today."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + tree() + END, document, flags=re.DOTALL)


def files() -> dict[Path, str]:
    """The documents that follow from the modules, as they should be."""
    architecture = ROOT / "docs" / "architecture.md"
    return {
        architecture: with_tree(architecture.read_text(encoding="utf-8")),
        ROOT / "docs" / "modules.md": listing(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
