"""Every engine that the tests of learners can ask for."""

from __future__ import annotations

import pytest

from equivalence.engines import BUILT


@pytest.fixture(params=["native", "reference"] if BUILT else ["reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param
