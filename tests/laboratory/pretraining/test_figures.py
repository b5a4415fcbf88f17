"""The page of what the prior draws."""

from __future__ import annotations

from pathlib import Path

from longlag_lab.pretraining.figures import prior_figure


def test_the_page_is_the_same_whenever_it_is_drawn_and_small(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        prior_figure(tmp_path / name)
    pictures = [(tmp_path / name).read_bytes() for name in ("one.png", "two.png")]
    assert pictures[0] == pictures[1]
    assert 20_000 < len(pictures[0]) < 300_000
