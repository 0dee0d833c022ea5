"""What was asked of the server: one entry a request, for tests and benchmarks to look at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(slots=True)
class Entry:
    """One request. Times in seconds of `time.monotonic`; `answered_at` and `status` are of the response's beginning.

    `verb` is the API's word (list, watch, patch ...), empty where the path names no resource.
    """

    method: str
    path: str
    query: str
    agent: str
    token: str
    at: float
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    media_type: str = ""
    body: Any = None
    status: int = 0
    answered_at: float = 0.0

    @property
    def is_accepted_write(self) -> bool:
        return self.verb in WRITES and 200 <= self.status < 300


@dataclass(slots=True)
class Journal:
    """The latest requests, oldest first; `watchers` are called as each is answered."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=200_000))
    watchers: list[Callable[[Entry], None]] = field(default_factory=list)

    def open(self, entry: Entry) -> Entry:
        self.entries.append(entry)
        return entry

    def answer(self, entry: Entry, status: int) -> None:
        entry.status, entry.answered_at = status, time.monotonic()
        for watcher in self.watchers:
            watcher(entry)

    def find(self, **wanted: Any) -> list[Entry]:
        """The entries whose fields are as named: `journal.find(verb="patch", resource="deployments.apps")`."""
        return [it for it in list(self.entries) if all(getattr(it, name) == value for name, value in wanted.items())]

    def writes(self, resource: str = "") -> list[Entry]:
        """The writes that were accepted, of one resource or of all."""
        return [it for it in list(self.entries) if it.is_accepted_write and resource in ("", it.resource)]

    def clear(self) -> None:
        self.entries.clear()
