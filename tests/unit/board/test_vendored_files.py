"""What others wrote is as they published it, with its licence beside it; and no page asks another host for anything."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from crewcall_worker.board.templating import STATIC

VENDORS = (STATIC / "vendor", Path(__file__).parents[2] / "browser" / "vendor")
TABLE = re.compile(r"^\| (\S+) \| ([^|]+) \| ([^|,]+), (\S+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
ROWS = [(folder, *row) for folder in VENDORS for row in TABLE.findall((folder / "README.md").read_text())]


@pytest.mark.parametrize(
    ("folder", "file", "source", "licence", "licence_file", "digest"), ROWS, ids=[row[1] for row in ROWS]
)
def test_a_vendored_file_is_as_it_was_published(
    folder: Path, file: str, source: str, licence: str, licence_file: str, digest: str
) -> None:
    assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    assert (folder / licence_file).read_text().strip()
    assert re.search(r"\d+\.\d+\.\d+", source)


@pytest.mark.parametrize("folder", VENDORS, ids=["board", "tests"])
def test_every_vendored_file_is_listed(folder: Path) -> None:
    listed = {name for row in ROWS for name in (row[1], row[4]) if row[0] == folder} | {"README.md"}

    assert {path.name for path in folder.iterdir()} == listed


@pytest.mark.parametrize("path", sorted(STATIC.parent.glob("templates/*.html")), ids=lambda path: path.name)
def test_a_template_has_no_script_style_or_host_in_it(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\s(style|on\w+)=", text)
    assert not re.search(r"https?://|\bsrc=[\"']?//|\| *safe\b|hx-on", text)
