"""What a rule looks for, out of what was fetched. Pure.

The expressions are a customer's, so they get no means to hold a worker up: of JSON path's functions those with regular
expressions are left out, which can take for ever. CSS is soupsieve's, JSON path python-jsonpath's in its strict form.
"""

from __future__ import annotations

import json
from typing import Any, Final

from bs4 import BeautifulSoup
from jsonpath import JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from soupsieve import SelectorSyntaxError

from crewcall_jobs.errors import JobFailed
from crewcall_jobs.rules.payload import CssExtract, JsonExtract
from crewcall_worker.queues import Reject

MOST: Final = 200
"""Things found; what a selector finds beyond them does not count."""
LONGEST: Final = 2_000
"""Characters of each of them."""


class Unreadable(JobFailed):
    """What was fetched is not what the rule takes it for."""


class _Paths(JSONPathEnvironment):
    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        for name in ("match", "search"):
            del self.function_extensions[name]


_PATHS: Final = _Paths(strict=True)


def extract(how: CssExtract | JsonExtract, body: bytes, charset: str | None) -> tuple[str, ...]:
    """What is found, in the order of the page. Raises `Unreadable`, and `Reject` for a wrong expression."""
    found = _css(how, body, charset) if isinstance(how, CssExtract) else _json(how, body)
    return tuple(_storable(text)[:LONGEST] for text in found[:MOST])


def _css(how: CssExtract, body: bytes, charset: str | None) -> list[str]:
    try:
        tags = BeautifulSoup(body, "html.parser", from_encoding=charset).select(how.selector, limit=MOST)
    except (SelectorSyntaxError, ValueError, NotImplementedError) as error:
        raise Reject(f"the rule's selector: {type(error).__name__}; write a CSS selector") from error
    except RecursionError as error:
        raise Unreadable("the page is nested too deeply") from error
    if how.attribute:
        values = [tag.get(how.attribute) for tag in tags]
        return [_plain(" ".join(value) if isinstance(value, list) else value) for value in values if value is not None]
    return [_plain(tag.get_text(" ")) for tag in tags]


def _json(how: JsonExtract, body: bytes) -> list[str]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("the answer is not JSON") from error
    try:
        found = _PATHS.findall(how.path, document)
    except JSONPathError as error:
        raise Reject(f"the rule's JSON path: {type(error).__name__}; write it as RFC 9535 has it") from error
    except RecursionError as error:
        raise Unreadable("the answer is nested too deeply") from error
    return [_written(value) for value in found]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _storable(text: str) -> str:
    """Without what JSON and HTML may hold, but no database and no mail: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _plain(text: str) -> str:
    """Without the white space that has no meaning in HTML."""
    return " ".join(text.split())
