"""The documentation as a site: it is built, and a link that leads nowhere or a page in no list is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    (options,) = re.findall(r"sphinx-build (.*) build/site", (ROOT / "Makefile").read_text())

    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options.split(), str(tmp_path / "site"), "-d", str(tmp_path / "trees")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Field by field" in (tmp_path / "site" / "docs" / "keda.html").read_text()
