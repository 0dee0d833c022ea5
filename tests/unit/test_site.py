"""The documentation as a site: a link that leads nowhere or a page in no list is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_site_is_read_without_a_warning(tmp_path: Path) -> None:
    """All but its HTML, which takes most of the time: `make docs` and `make release-check` write that."""
    (options,) = re.findall(r"sphinx-build (.*) build/site", (ROOT / "Makefile").read_text())

    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "dummy", *options.split(), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
