"""The chart for the tests of this folder, skipped where there is no helm to render it with."""

from __future__ import annotations

import pytest
from tests.support.chart import Chart
from tests.support.tools import ToolMissing, find_tool


@pytest.fixture(scope="session")
def chart() -> Chart:
    try:
        return Chart(find_tool("helm"))
    except ToolMissing as missing:
        pytest.skip(str(missing))
