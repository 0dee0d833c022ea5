"""When `make` builds the environment: told by what it would do, without doing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "-m venv"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment was built with python3.11, and is newer than all that it was built from."""
    (tmp_path / "requirements").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements/dev.lock"):
        shutil.copy2(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".python").write_text("python3.11\n")
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def would_do(checkout: Path, *arguments: str) -> str:
    """What `make type` would run, whatever `make` this test was started by."""
    done = subprocess.run(
        ["make", "--dry-run", "type", *arguments],
        cwd=checkout,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("PYTHON=python3.11",)])
def test_an_environment_is_kept_where_no_other_python_is_asked_for(checkout: Path, arguments: tuple[str, ...]) -> None:
    assert BUILD not in would_do(checkout, *arguments)


def test_another_python_builds_the_environment_anew(checkout: Path) -> None:
    assert "python3.13 -m venv .venv --clear\n" in would_do(checkout, "PYTHON=python3.13")


def test_a_changed_lock_file_brings_the_environment_up_to_date(checkout: Path) -> None:
    (checkout / ".venv" / ".ready").unlink()

    assert "python3 -m venv .venv\n" in would_do(checkout)
