"""What others wrote is as they published it, with its licence beside it; and no page asks another host for anything."""

from __future__ import annotations

import hashlib
import re

import pytest

from crewcall_worker.board.templating import STATIC

VENDOR = STATIC / "vendor"
TABLE = re.compile(r"^\| (\S+) \| ([^|]+) \| ([^|,]+), (\S+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)
ROWS = TABLE.findall((VENDOR / "README.md").read_text())


@pytest.mark.parametrize(("file", "source", "licence", "licence_file", "digest"), ROWS, ids=[row[0] for row in ROWS])
def test_a_vendored_file_is_as_it_was_published(
    file: str, source: str, licence: str, licence_file: str, digest: str
) -> None:
    assert hashlib.sha256((VENDOR / file).read_bytes()).hexdigest() == digest
    assert (VENDOR / licence_file).read_text().strip()
    assert re.search(r"\d+\.\d+\.\d+", source)


def test_every_vendored_file_is_listed() -> None:
    listed = {name for row in ROWS for name in (row[0], row[3])} | {"README.md"}

    assert {path.name for path in VENDOR.iterdir()} == listed


@pytest.mark.parametrize("path", sorted(STATIC.parent.glob("templates/*.html")), ids=lambda path: path.name)
def test_a_template_has_no_script_style_or_host_in_it(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\s(style|on\w+)=", text)
    assert not re.search(r"https?://|\bsrc=[\"']?//|\| *safe\b|hx-on", text)
