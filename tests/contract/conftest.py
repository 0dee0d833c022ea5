"""What contract tests find in the catalogue of job types: nothing but what they put there themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crewcall_worker.queues import CATALOGUE


@pytest.fixture(autouse=True)
def catalogue() -> Iterator[None]:
    """Modules with job types stay imported, whichever test needed them first."""
    before = dict(CATALOGUE)
    CATALOGUE.clear()
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)
