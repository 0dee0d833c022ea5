"""Where the objects live: one revision counter, one table a resource, and a window of history for the watches.

Objects are never changed once they are stored: a write stores another one. So readers, watches and history share
them without copying, and their JSON is made once. Rules about what may be written belong to `writes`.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.apiserver.kinds import Object
from tests.support.apiserver.ownership import Owners

Name = tuple[str, str]
"""Namespace and name; the namespace is empty for what has none."""


@dataclass(slots=True)
class Record:
    """An object as it is stored, with who owns which of its fields."""

    object: Object
    owners: Owners = field(default_factory=dict)
    _encoded: bytes = b""

    @property
    def encoded(self) -> bytes:
        if not self._encoded:
            self._encoded = encode(self.object)
        return self._encoded


@dataclass(slots=True)
class Change:
    """One write: `record` is what it made (or, of a deletion, the last there was), `before` what it replaced."""

    revision: int
    key: str
    type: str
    record: Record
    before: Object | None
    _line: bytes = b""

    @property
    def line(self) -> bytes:
        """The change as a line of a watch stream."""
        if not self._line:
            self._line = event_line(self.type, self.record)
        return self._line


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def event_line(type_: str, record: Record) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), record.encoded)


class Subscription:
    """A queue of one resource's changes, or of all where `key` is empty. `None` or a last line in it ends the watch."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.queue: asyncio.Queue[Change | bytes | None] = asyncio.Queue()


class Store:
    """All objects of a server. `history` is how many changes of each resource a watch can go back."""

    def __init__(self, history: int) -> None:
        self.revision = 1
        self._expired = 0
        self._tables: dict[str, dict[Name, Record]] = defaultdict(dict)
        self._history: dict[str, deque[Change]] = defaultdict(lambda: deque(maxlen=history))
        self._forgotten: dict[str, int] = defaultdict(lambda: self._expired)
        # Dicts for their order: a server that is asked the same does the same.
        self._subscriptions: dict[str, dict[Subscription, None]] = defaultdict(dict)
        self._dependents: dict[str, set[tuple[str, Name]]] = defaultdict(set)

    def get(self, key: str, name: Name) -> Record | None:
        return self._tables[key].get(name)

    def all(self, key: str, namespace: str = "") -> list[tuple[Name, Record]]:
        """Everything of a resource, in one namespace or in all, in the order etcd has."""
        table = self._tables[key]
        return sorted(
            ((name, record) for name, record in table.items() if not namespace or name[0] == namespace),
            key=lambda item: item[0],
        )

    def kept(self) -> Iterator[str]:
        """The keys of all resources of which there is anything."""
        return iter([key for key, table in self._tables.items() if table])

    def dependents(self, uid: str) -> list[tuple[str, Name]]:
        """What names the object of this uid as an owner."""
        return sorted(self._dependents.get(uid, ()))

    def write(self, key: str, name: Name, body: Object, owners: Owners) -> Record:
        """Store `body`, which now belongs to the store, under the next revision."""
        self.revision += 1
        body["metadata"]["resourceVersion"] = str(self.revision)
        before = self._tables[key].get(name)
        record = self._tables[key][name] = Record(body, owners)
        if before:
            self._unlink(key, name, before.object)
        for owner in body["metadata"].get("ownerReferences", ()):
            self._dependents[owner["uid"]].add((key, name))
        type_ = "MODIFIED" if before else "ADDED"
        self._publish(Change(self.revision, key, type_, record, before.object if before else None))
        return record

    def remove(self, key: str, name: Name) -> Record:
        self.revision += 1
        before = self._tables[key].pop(name)
        self._unlink(key, name, before.object)
        metadata = {**before.object["metadata"], "resourceVersion": str(self.revision)}
        record = Record({**before.object, "metadata": metadata}, before.owners)
        self._publish(Change(self.revision, key, "DELETED", record, before.object))
        return record

    def _unlink(self, key: str, name: Name, body: Object) -> None:
        for owner in body["metadata"].get("ownerReferences", ()):
            links = self._dependents[owner["uid"]]
            links.discard((key, name))
            if not links:
                del self._dependents[owner["uid"]]

    def _publish(self, change: Change) -> None:
        key = change.key
        history = self._history[key]
        if len(history) == history.maxlen:
            self._forgotten[key] = history[0].revision
        history.append(change)
        for subscription in [*self._subscriptions[key], *self._subscriptions[""]]:
            subscription.queue.put_nowait(change)

    def since(self, key: str, revision: int) -> list[Change] | None:
        """The changes of a resource after `revision`, or None where they are no longer known."""
        if revision < self._forgotten[key]:
            return None
        changes: list[Change] = []
        for change in reversed(self._history[key]):
            if change.revision <= revision:
                break
            changes.append(change)
        return changes[::-1]

    def is_expired(self, key: str, revision: int) -> bool:
        return revision < self._forgotten[key]

    def expire(self) -> None:
        """Forget all history, as etcd's compaction does: every older revision is answered with 410."""
        self._expired = self.revision
        self._forgotten.clear()
        self._history.clear()

    def subscribe(self, key: str = "") -> Subscription:
        subscription = Subscription(key)
        self._subscriptions[key][subscription] = None
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.key].pop(subscription, None)

    def cut(self, key: str = "", last: bytes | None = None) -> int:
        """End the watches of one resource, or all but the controllers' own, after a last line; says how many."""
        ended = [s for name, all_ in self._subscriptions.items() if name and key in ("", name) for s in all_]
        for subscription in ended:
            subscription.queue.put_nowait(last)
        return len(ended)
