"""The pages on jobs whose programs take a Redis: what they show is what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from tests.support.compose import ROOT
from tests.support.redis import RedisServer


@pytest.mark.parametrize("page", ["order"])
def test_the_programs_of_a_page_run_and_print_what_it_shows(redis_server: RedisServer, page: str) -> None:
    text = (ROOT / "docs" / "jobs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    done = subprocess.run(
        [sys.executable, "-c", "\n".join(block for language, block in blocks if language == "python")],
        env={"PATH": os.environ["PATH"], "REDIS_URL": redis_server.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    shown = "".join(block for language, block in blocks if language == "text")
    assert (done.returncode, done.stdout) == (0, shown), done.stderr
