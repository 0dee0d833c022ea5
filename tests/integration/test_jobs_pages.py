"""The pages on jobs whose programs take a Redis: what they show is what they print, and no import enqueues anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.compose import ROOT
from tests.support.redis import RedisServer

PAGES = ROOT / "docs" / "jobs"


def write_programs(page: str, folder: Path) -> str:
    """The files of a page, each named in its first line; what names none goes on with the one before. What it shows."""
    files: dict[str, list[str]] = {}
    shown, name = "", ""
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", (PAGES / page).read_text(encoding="utf-8"), re.M | re.S)
    for language, block in blocks:
        if language == "text":
            shown += block
            continue
        if named := re.match(r"# (\w+\.py)\n", block):
            name = named[1]
        files.setdefault(name, []).append(block)
    for file, parts in files.items():
        (folder / file).write_text("\n".join(parts))
    return shown


def run(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "REDIS_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("page", "jobs", "program", "queue"),
    [("order.md", "pages", "front.py", "pages.msgs"), ("README.md", "hello", "hello.py", "greetings.DQ.msgs")],
)
def test_the_programs_of_a_page_run_and_print_what_it_shows(
    redis_server: RedisServer, tmp_path: Path, page: str, jobs: str, program: str, queue: str
) -> None:
    shown = write_programs(page, tmp_path)

    imported = run(tmp_path, redis_server.url, "-c", f"import {jobs}")
    before = redis_server.client.hlen(f"dramatiq:{queue}")
    done = run(tmp_path, redis_server.url, program)

    assert (imported.returncode, before) == (0, 0), imported.stderr
    assert (done.returncode, done.stdout) == (0, shown), done.stderr
    assert redis_server.client.hlen(f"dramatiq:{queue}") == 1
