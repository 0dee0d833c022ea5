"""Whether another process lives is told only where it can be seen, and of that very process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.waiting import wait_until

from crewcall_worker import process


def own() -> str:
    identity = process.identity()
    assert identity is not None
    return identity


def test_a_process_that_runs_lives_and_one_that_has_ended_does_not() -> None:
    code = "from crewcall_worker import process; print(process.identity(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        other = child.stdout.readline().decode().strip()
        assert process.lives(other) is True

        child.kill()
        wait_until(lambda: process.lives(other) is False, "it to be a zombie")
        child.wait()

        assert process.lives(other) is False
    assert process.lives(own()) is True


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    place, number, start = own().split()

    assert process.lives(f"{place} {number} {int(start) - 1}") is False


@pytest.mark.parametrize("other", ["", "x", "boot/pid:[1] 1 1", "{place} x 1", "{place}"])
def test_of_a_process_in_another_namespace_nothing_can_be_told(other: str) -> None:
    assert process.lives(other.format(place=own().split()[0])) is None


def test_without_a_proc_nobody_has_an_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own()
    monkeypatch.setattr(process, "PROC", tmp_path)

    assert process.identity() is None
    assert process.lives(before) is None


def test_a_process_that_proc_hides_is_not_taken_for_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = own()
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(Path("/proc/self/ns/pid").readlink())
    monkeypatch.setattr(process, "PROC", tmp_path)

    assert process.lives(other) is None
