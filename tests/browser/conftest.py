"""A browser for each module of tests, a window for each test; skipped where the machine has no Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.support.browsers import PROGRAM, WHY_NOT, Window, chromium, window


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not PROGRAM:
        pytest.skip(WHY_NOT)
    with chromium() as found:
        yield found


@pytest.fixture
def win(browser: Browser) -> Iterator[Window]:
    """A window; that its pages complained of nothing is looked at by the test that they are for."""
    with window(browser) as opened:
        yield opened
