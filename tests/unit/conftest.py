"""What the unit tests share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from tests.support.stage import Stage

# How long an example takes says something of the machine's other work only: no test may fail by it.
settings.register_profile("unit", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")


@pytest.fixture
def stage() -> Stage:
    return Stage()
