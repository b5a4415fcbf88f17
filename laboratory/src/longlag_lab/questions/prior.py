"""What does the prior draw? ``python -m longlag_lab.questions.prior`` writes results/prior.png.

A page on which a person can judge it: series of each frequency, and each ingredient alone.
"""

from __future__ import annotations

from pathlib import Path

from longlag_lab.harness.report import prepare_folder
from longlag_lab.pretraining.figures import prior_figure

__all__ = ["main"]


def main() -> None:
    """Draw the page, and write it to results/."""
    path = Path("results", "prior.png")
    prepare_folder(path.parent)
    prior_figure(path)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
