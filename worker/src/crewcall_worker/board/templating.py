"""The templates: Jinja with everything escaped, the words they use, and the addresses of pages and static files.

A static file's address has a digest of its content in it, so that a browser may keep it for good.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from crewcall_worker.board import csrf, words
from crewcall_worker.board.parts import Board
from crewcall_worker.board.reading.jobs import id_of

PAGES: Final = "/admin/queues"
STATIC: Final = Path(__file__).parent / "static"

_FILTERS = (
    words.age,
    words.count,
    words.duration,
    words.iso,
    words.moment,
    words.plural,
    words.pretty,
    words.priority,
    words.rate,
    words.short,
    words.since,
    words.sparkline,
    words.sparkline_words,
)


class Addresses:
    """Of the pages of a board under a prefix, such as /crewcall."""

    def __init__(self, prefix: str) -> None:
        self._base = prefix + PAGES

    def __call__(self, *parts: str, **query: Any) -> str:
        """A page's: its path in parts, and what is asked of it; a question with nothing in it is left out."""
        path = "".join("/" + quote(part, safe="/") for part in parts if part)
        asked = [(name, value) for name, value in query.items() if value not in (None, "")]
        return self._base + path + ("?" + urlencode(asked, doseq=True) if asked else "")

    def static(self, name: str) -> str:
        """A static file's, by its content."""
        return f"{self._base}/static/{name}?{_digest(name)}"


def render(request: Request, template: str, **told: Any) -> str:
    """A page for whoever asks, or a part of one."""
    board: Board = request.app.state.board
    link = Addresses(board.prefix)
    context = {"link": link, "prefix": board.prefix, "is_read_only": board.settings.is_read_only, "visit": None}
    return _environment().get_template(template).render(context | told)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"STATES": words.STATES, "DEATHS": words.DEATHS, "CSRF": csrf.FIELD, "id_of": id_of}
    environment.filters |= {it.__name__: it for it in _FILTERS}
    return environment


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
