"""The guide "Add a job type", done word by word: its files written, its commands run, their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.compose import ROOT
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE, wait_until

PAGE = ROOT / "docs" / "jobs" / "add-a-job-type.md"
ANYTHING = "…"
WORKER = "crewcall-worker run"


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the guide, and what it shows of its output, line by line."""

    words: str
    shown: tuple[str, ...]


def test_a_reader_who_does_what_the_guide_says_gets_what_it_shows(redis_server: RedisServer, tmp_path: Path) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REDIS_URL": redis_server.url,
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",
    }
    done: list[str] = []
    with ExitStack() as workers:
        for step in steps():
            if isinstance(step, Command):
                follow(step, tmp_path, environment, workers)
                done.append(step.words)
            else:
                write(step, tmp_path)

    assert done == [
        "python order.py",
        "crewcall-worker run shop.jobs",
        "cat invoices/acme-7.txt",
        "crewcall-worker jobs dead list invoices",
        "python -m pytest -q test_jobs.py",
        "python -m pytest -q test_reminders.py",
    ]


def test_what_the_guide_has_one_write_type_checks(tmp_path: Path) -> None:
    for step in steps():
        if not isinstance(step, Command):
            write(step, tmp_path)

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--follow-imports=silent", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def steps() -> Iterator[str | Command]:
    """What the guide has one do, in its order: files as their text, and commands."""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        if language == "python":
            yield block
        elif language == "console":
            for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                words, *shown = command.splitlines()
                yield Command(words, tuple(shown))


def write(text: str, folder: Path) -> None:
    """A file is named in its first line."""
    name = text.splitlines()[0].removeprefix("# ")
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def follow(command: Command, folder: Path, environment: dict[str, str], workers: ExitStack) -> None:
    """Run it until all is there that it shows. A worker goes on until the guide is done with."""
    log = folder / "output"
    with log.open("w") as output:
        process = subprocess.Popen(command.words.split(), cwd=folder, env=environment, stdout=output, stderr=output)
    workers.callback(end, process)
    if not command.words.startswith(WORKER):
        assert process.wait(timeout=60) == 0, log.read_text()
        assert has_all(command.shown, log.read_text()), log.read_text()
    else:
        wait_until(lambda: has_all(command.shown, log.read_text()), f"{command}")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=DEADLINE)


def has_all(shown: tuple[str, ...], said: str) -> bool:
    """Whether these lines were said in this order; "…" is for whatever there is."""
    lines = [".*".join(re.escape(part) for part in line.split(ANYTHING)) for line in shown]
    return re.search(r"^" + r"(?:\n.*)*?\n".join(lines) + r"$", said, re.MULTILINE) is not None


def test_finds_lines_that_are_missing_or_in_another_order() -> None:
    assert has_all(("a … c", "d"), "x\na b c\ny\nd\n")
    assert not has_all(("a … c", "d"), "d\na b c\n")
    assert not has_all(("a",), "ab\n")
