"""The board's pages of documentation have every setting and every path that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from crewcall_worker.board import settings
from crewcall_worker.board.api.document import make_document
from crewcall_worker.board.app import make_app
from crewcall_worker.board.settings import board_settings
from crewcall_worker.cli import main

DOCS = Path(__file__).parents[3] / "docs" / "board"
VARIABLES = {value for name, value in vars(settings).items() if name.startswith("ENV_")}


def test_the_table_of_settings_has_them_all() -> None:
    text = (DOCS / "settings.md").read_text()

    assert set(re.findall(r"^\| `(CREWCALL_BOARD_\w+)`", text, re.MULTILINE)) == VARIABLES


def test_the_help_tells_of_every_setting_that_people_set() -> None:
    told = CliRunner().invoke(main, ["board", "--help"]).output

    # The ticket and the listener are for whoever starts a board by program.
    assert set(re.findall(r"CREWCALL_BOARD_\w+", told)) == VARIABLES - {settings.ENV_TICKET, settings.ENV_LISTENER}


def test_the_page_of_the_api_has_every_path_and_method() -> None:
    app = make_app(board_settings({"REDIS_URL": "redis://nowhere", "CREWCALL_BOARD_JWT_SECRET": "x" * 40}))
    there = {
        (method.upper(), path) for path, operations in make_document(app)["paths"].items() for method in operations
    }
    text = (DOCS / "api.md").read_text()
    told = {("GET", path) for path in re.findall(r"^\| `(/\S+)` \|", text, re.MULTILINE)}
    told |= set(re.findall(r"^\| `([A-Z]+)` \| `(/\S+)` \|", text, re.MULTILINE))

    assert told == there
