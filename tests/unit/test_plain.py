"""Words of strangers on a terminal."""

from __future__ import annotations

import json
import logging

import pytest

from crewcall_worker import logs
from crewcall_worker.plain import plain
from crewcall_worker.settings import LogFormat


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert plain("\x1b]0;pwned\x07 \x9b31m\x7f\u202eabc") == ("\\u001b]0;pwned\\u0007 \\u009b31m\\u007f\\u202eabc")


def test_letters_of_all_kinds_and_lines_are_left_as_they_are() -> None:
    assert plain("Grüße, 日本,\tשלום\n\U0001f600") == "Grüße, 日本,\tשלום\n\U0001f600"


def test_json_stays_json() -> None:
    said = {"error": "\x9b31m \x1b"}

    assert json.loads(plain(json.dumps(said, ensure_ascii=False))) == said


def test_a_log_for_people_has_no_such_thing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    logs.configure(LogFormat.TEXT)

    root.warning("http://\x1b[31mEVIL\x07/")

    assert capsys.readouterr().err.endswith("WARNING root: http://\\u001b[31mEVIL\\u0007/\n")
