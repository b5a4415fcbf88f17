"""How many examples a property is tried on: a share of them every time, and all of them for who asks to be thorough."""

from __future__ import annotations

from hypothesis import settings

SHARE, FEWEST = 0.3, 20
"""Of what a property names. ``pytest --hypothesis-profile thorough`` tries all of them."""


def examples(count: int) -> settings:
    """A decorator, in the place of ``settings(max_examples=count)``."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(max_examples=count if thorough else max(min(count, FEWEST), round(SHARE * count)))
