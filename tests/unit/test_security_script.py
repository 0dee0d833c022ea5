"""What `make security` makes of pip-audit's words: what it was not told of is never taken for good."""

from __future__ import annotations

import json

import pytest
from scripts.security import DONE, FOUND, UNKNOWN, Audit, main, read_audit

TOLD = {
    "dependencies": [
        {"name": "fine", "version": "1.0", "vulns": []},
        {"name": "flawed", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": []}]},
        {"name": "strange", "skip_reason": "Dependency not found on PyPI and could not be audited: strange (3.0)"},
    ],
    "fixes": [],
}


def test_tells_flaws_with_the_way_out_and_what_nothing_is_known_of() -> None:
    assert read_audit(json.dumps(TOLD)) == Audit(
        frozenset({"fine", "flawed", "strange"}),
        frozenset({"flawed 2.0: PYSEC-1, mended in 2.1"}),
        frozenset({"strange"}),
    )


def test_no_answer_is_no_audit() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read_audit("")


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([DONE, DONE], DONE), ([DONE, UNKNOWN], UNKNOWN), ([FOUND, UNKNOWN], FOUND), ([UNKNOWN, FOUND], FOUND)],
)
def test_ends_well_only_where_everything_was_looked_at_and_nothing_found(statuses: list[int], status: int) -> None:
    left = iter(statuses)

    assert main(tuple(lambda: next(left) for _ in statuses)) == status
