"""What a browser makes of a page of the board, as far as tests look at it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx2


class Elements(HTMLParser):
    """What a page is made of: each element with its attributes, in order."""

    VOID = frozenset({"meta", "link", "input", "br", "circle", "path", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def addresses(self) -> list[str]:
        names = ("href", "src", "action", "formaction", "hx-get", "sse-connect", "data-fragment", "data-history")
        return [value for _, told in self.found for name in names if (value := told.get(name))]


def page(client: httpx2.Client, path: str) -> str:
    answer = client.get(f"/admin/queues{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


def words(text: str) -> str:
    """A page without its elements."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def form_of(text: str) -> dict[str, str]:
    """The fields of the form that a confirmation is."""
    inner = text[text.index('<form method="post" action="/admin/queues/act') :]
    found = [told for tag, told in Elements(inner[: inner.index("</form>") + 7]).found if tag == "input"]
    return {told["name"] or "": told.get("value") or "" for told in found}


def answer_to(client: httpx2.Client, action: str, query: str, **fields: str) -> str:
    """Ask for an action and say yes; the page that comes after it, in words."""
    form = form_of(page(client, f"/confirm/{action}?{query}"))
    answer = client.post(f"/admin/queues/act/{action}", data={**form, **fields})
    assert answer.status_code == 303, answer.text
    return words(client.get(answer.headers["location"]).text)


def answer_to_ids(client: httpx2.Client, action: str, queue: str, state: str, *ids: str) -> str:
    query = {"queue": queue, "state": state, "id": list(ids)}
    asked = client.get(f"/admin/queues/confirm/{action}", params=query)
    form = form_of(asked.text)
    data = {**form, "id": list(ids)}
    answer = client.post(f"/admin/queues/act/{action}", data=data)
    assert answer.status_code == 303, answer.text
    return words(client.get(answer.headers["location"]).text)
