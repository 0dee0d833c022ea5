"""The scripts that Redis runs: each says at its head what it takes, and that is what it reads."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for folder in ("operator/src", "worker/src") for path in (ROOT / folder).rglob("*.lua"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_says_at_its_head_which_keys_and_arguments_it_takes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    head = list(takewhile(lambda line: line.startswith("--"), lines))
    code = "\n".join(line.partition("--")[0] for line in lines[len(head) :])

    assert {name: name in "\n".join(head) for name in ("KEYS", "ARGV")} == {
        name: name in code for name in ("KEYS", "ARGV")
    }
