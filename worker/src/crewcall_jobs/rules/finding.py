"""What an expression finds in what was fetched: CSS in HTML, by soupsieve; JSON path in JSON, by python-jsonpath in its
strict form. Pure, and the program of the process in which `extraction` has it done (ADR 59).

Both sides are strangers: the expression is a customer's, the page is anybody's. Here is bounded what can be counted;
time and memory are bounded by the process's own limits. Of Crewcall it imports `decoding` and nothing else, for it is
started for each page.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

from crewcall_jobs.rules.decoding import decoded

MOST: Final = 200
"""Things found; what an expression finds beyond them does not count."""
LONGEST: Final = 2_000
"""Characters of each of them."""
MOST_TAGS: Final = 100_000
"""Opened and closed ones; a page that people read has a few thousand."""
CPU_TIME: Final = 10  # seconds
MEMORY: Final = 256 * 1024 * 1024  # bytes
WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. `kind` is css or json; `attribute` is of the tags found, empty for their text; `charset` is
    what the server said."""

    kind: str
    expression: str
    attribute: str = ""
    charset: str | None = None


class WrongExpressionError(Exception):
    """Nobody can look for that."""


class UnreadableError(Exception):
    """What was fetched is not what it was taken for, or too much."""


def find(question: Question, body: bytes) -> list[str]:
    """What is found, in the order of the page. Raises `WrongExpressionError`, `UnreadableError`."""
    try:
        found = list(_css(question, body) if question.kind == "css" else _json(question.expression, body))
    except RecursionError:
        raise UnreadableError("the answer is nested too deeply") from None
    except MemoryError:
        raise UnreadableError("the answer takes too much memory") from None
    return [_storable(text)[:LONGEST] for text in found]


def _css(question: Question, body: bytes) -> Iterator[str]:
    import soupsieve
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    text = decoded(body, question.charset)
    if text.count("<") > MOST_TAGS:
        raise UnreadableError(f"the answer has more than {MOST_TAGS} tags")
    try:
        selector = soupsieve.compile(question.expression)
        page = BeautifulSoup(text, "html.parser")
        tags = selector.select(page, limit=MOST)
    except ParserRejectedMarkup:
        raise UnreadableError("the answer is not HTML") from None
    except (soupsieve.SelectorSyntaxError, ValueError, NotImplementedError, OverflowError) as error:
        raise WrongExpressionError(type(error).__name__) from None
    for tag in tags:
        if not question.attribute:
            yield _words(tag.strings)
        elif (value := tag.get(question.attribute)) is not None:
            yield _words([value] if isinstance(value, str) else value)


def _json(path: str, body: bytes) -> Iterator[str]:
    from jsonpath import JSONPathEnvironment
    from jsonpath.exceptions import JSONPathError

    paths = JSONPathEnvironment(strict=True)
    for name in ("match", "search"):  # regular expressions can take for ever
        del paths.function_extensions[name]
    try:
        compiled = paths.compile(path)
    except (JSONPathError, OverflowError) as error:
        raise WrongExpressionError(type(error).__name__) from None
    try:
        document = json.loads(body)
    except ValueError:
        raise UnreadableError("the answer is not JSON") from None
    try:
        for match in islice(compiled.finditer(document), MOST):
            yield _written(match.obj)
    except (JSONPathError, OverflowError) as error:
        raise WrongExpressionError(type(error).__name__) from None


def _words(texts: Iterable[str]) -> str:
    """Without the white space that has no meaning in HTML, and no longer than it need be."""
    words: list[str] = []
    length = 0
    for text in texts:
        for word in WORD.finditer(text):
            words.append(word[0][:LONGEST])
            length += len(words[-1]) + 1
            if length > LONGEST:
                return " ".join(words)[:LONGEST]
    return " ".join(words)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value[:LONGEST]
    pieces: list[str] = []
    length = 0
    for piece in json.JSONEncoder(sort_keys=True, ensure_ascii=False).iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST:
            break
    return "".join(pieces)


def _storable(text: str) -> str:
    """Without what JSON and HTML may hold, but no database and no mail: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _bind(limit: int, most: int) -> None:
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Read a question and, after a line's end, the page; write what was found, or why nothing was."""
    _bind(resource.RLIMIT_CPU, CPU_TIME)
    _bind(resource.RLIMIT_AS, MEMORY)
    question = Question(**json.loads(sys.stdin.buffer.readline()))
    try:
        said: dict[str, object] = {"found": find(question, sys.stdin.buffer.read())}
    except WrongExpressionError as error:
        said = {"wrong": str(error)}
    except UnreadableError as error:
        said = {"unreadable": str(error)}
    sys.stdout.write(json.dumps(said))


def asked(question: Question, body: bytes) -> bytes:
    """What `main` reads."""
    return json.dumps(asdict(question)).encode() + b"\n" + body


if __name__ == "__main__":
    main()
