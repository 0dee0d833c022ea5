from __future__ import annotations

import pytest

from crewcall_worker.drain import is_worker


@pytest.mark.parametrize(
    "command",
    [
        ["/opt/crewcall/bin/python", "/opt/crewcall/bin/crewcall-worker", "run", "shop.jobs"],
        ["tini", "--", "crewcall-worker", "run", "shop.jobs"],
    ],
)
def test_a_worker_is_known_by_its_command_line(command: list[str]) -> None:
    assert is_worker(command)


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["/pause"],
        ["/sbin/init"],
        ["python", "crewcall-worker", "drain"],
        ["vi", "crewcall-worker"],
        ["sh", "-c", "crewcall-worker run shop.jobs"],
        ["run", "crewcall-worker"],
    ],
)
def test_anything_else_is_no_worker(command: list[str]) -> None:
    assert not is_worker(command)
