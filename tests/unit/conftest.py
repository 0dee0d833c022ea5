"""What the unit tests share."""

from __future__ import annotations

import pytest
from tests.support.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()
