"""One measurement for one question each. ``python -m longlag_lab.questions.NAME`` makes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from longlag_lab.harness.report import write_report

__all__ = ["write_answer"]


def write_answer(name: str, document: dict[str, Any], markdown: Callable[[dict[str, Any]], str]) -> None:
    """Print the answer to a question, and write it to results/."""
    text = markdown(document)
    write_report(Path("results"), name, document, text)
    print(text, end="")
