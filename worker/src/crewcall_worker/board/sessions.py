"""Sessions: who has logged in with a browser, until when.

The cookie is a number that nobody can guess; what it stands for is in Redis, so that every replica of the board knows
it, and logging out ends it everywhere. Redis has only a digest of it, together with what tokens are checked by: whoever
reads Redis gets into no session, and a new secret ends them all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from crewcall_worker import wire
from crewcall_worker.board.people import Person, Role

LONGEST_ID = 100


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's. `csrf` is what its requests that change something have to bring along."""

    id: str
    person: Person
    csrf: str


class Sessions:
    """Those of one board. Every call may raise `redis.RedisError`."""

    def __init__(
        self,
        client: redis.Redis,
        namespace: str,
        fingerprint: str,
        longest: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`longest` is how long one may last, in seconds."""
        self._client = client
        self._keys = wire.Keys(namespace)
        self._fingerprint = fingerprint
        self._longest = longest
        self._now = now

    def open(self, person: Person) -> Session:
        """Begin one: it lasts as long as what it was opened with, and no longer than any may."""
        until = min(person.until, self._now() + self._longest)
        session = Session(
            secrets.token_urlsafe(32), Person(person.subject, person.role, until), secrets.token_urlsafe(32)
        )
        told = {"sub": person.subject, "role": person.role, "until": until, "csrf": session.csrf}
        self._client.set(self._key(session.id), json.dumps(told), px=max(1, round((until - self._now()) * 1000)))
        return session

    def find(self, id_: str) -> Session | None:
        """The session of a cookie; None where there is none, or it is over."""
        if not id_ or len(id_) > LONGEST_ID:
            return None
        text: Any = self._client.get(self._key(id_))
        if text is None:
            return None
        try:
            told = json.loads(text)
            person = Person(str(told["sub"]), Role(told["role"]), float(told["until"]))
            session = Session(id_, person, str(told["csrf"]))
        except (ValueError, KeyError, TypeError):
            return None  # none that this version has written
        return session if person.until > self._now() else None

    def close(self, id_: str) -> None:
        """End it, if it is there."""
        if id_ and len(id_) <= LONGEST_ID:
            self._client.delete(self._key(id_))

    def _key(self, id_: str) -> str:
        digest = hashlib.sha256(f"{self._fingerprint}:{id_}".encode(errors="replace")).hexdigest()
        return self._keys.session(digest)
