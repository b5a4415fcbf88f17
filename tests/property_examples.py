"""How many examples a property is tried on: a share of them every time, and all of them for who asks to be thorough."""

from __future__ import annotations

from hypothesis import settings

SHARE, FEWEST = 0.3, 20
"""Of what a property names. ``pytest --hypothesis-profile thorough`` tries all of them, ``fast`` (make test-fast) 8."""
FAST = 8


def examples(count: int) -> settings:
    """A decorator, in the place of ``settings(max_examples=count)``."""
    profile = settings.get_current_profile_name()
    usual = max(min(count, FEWEST), round(SHARE * count))
    return settings(max_examples={"thorough": count, "fast": min(count, FAST)}.get(profile, usual))
