"""The history of pools, as far as it is known here: what was read of a stream once is not read again.

Entries never change, and are dropped at the old end alone. So each reading asks for what came after the last entry that
is known, and for that one itself: where it is not there any more, somebody has emptied Redis, and all is read anew.
Kept are the pools that were looked at last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import redis

from crewcall_worker import wire
from crewcall_worker.wire import text

MOST_POOLS = 20
MOST_ENTRIES = wire.MOST_HISTORY + 500

Entry = tuple[str, wire.HistoryEntry]
"""With its id."""


class Histories:
    """Those of one namespace. For any thread."""

    def __init__(self, client: redis.Redis, keys: wire.Keys) -> None:
        self._client = client
        self._keys = keys
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Entry, ...]] = OrderedDict()

    def read(self, pool: str, from_ms: int) -> tuple[wire.HistoryEntry, ...]:
        """The pool's entries since then, the oldest first. Raises `redis.RedisError`."""
        with self._lock:
            known = self._known.get(pool, ())
        last = known[-1][0] if known else ""
        found: Any = self._client.xrange(self._keys.history(pool), min=last or "-", count=MOST_ENTRIES)
        if last and (not found or text(found[0][0]) != last):
            known, last = (), ""
            found = self._client.xrange(self._keys.history(pool), min="-", count=MOST_ENTRIES)
        new = islice(_entries(found), 1 if last else 0, None)
        kept = tuple(deque([*known, *new], maxlen=MOST_ENTRIES))
        with self._lock:
            self._known[pool] = kept
            self._known.move_to_end(pool)
            while len(self._known) > MOST_POOLS:
                self._known.popitem(last=False)
        return tuple(entry for _, entry in kept if entry.at_ms >= from_ms)


def read_entries(found: Iterable[Any]) -> tuple[wire.HistoryEntry, ...]:
    """What a stream answers as entries, less those of a newer operator: a gap in the chart."""
    return tuple(entry for _, entry in _entries(found))


def _entries(found: Iterable[Any]) -> list[Entry]:
    entries: list[Entry] = []
    for id_, told in found:
        try:
            entries.append((text(id_), wire.read_history(id_, told)))
        except wire.UnknownRecord:
            continue
    return entries
