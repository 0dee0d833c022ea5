"""Who did what, to what, when, and what came of it: the last of it in Redis, all of it in the log.

In Redis it is a stream that is cut to its last entries, for the board's own page. The log is what is kept: a line each,
from the logger `crewcall_worker.board.audit`, whose fields are fields of JSON with CREWCALL_LOG_FORMAT=json.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from crewcall_worker import wire

MOST_ENTRIES = 10_000
"""About how many are kept in Redis."""
ENTRIES_ON_A_PAGE = 50
ENTRY_ID = "^[0-9]{1,15}-[0-9]{1,15}$"
LONGEST = 500
"""Characters of a target or a detail."""

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """REFUSED: the role or the board did not allow it. FAILED: it was tried."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed. `at_ms` by Redis's clock; `by` is the subject of a token, or "" where nobody was signed in."""

    id: str
    at_ms: int
    by: str
    action: str
    target: str
    outcome: Outcome
    detail: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of it, the last first; `before` asks for what was earlier, None where there is no more."""

    entries: tuple[AuditEntry, ...]
    before: str | None


class Audit:
    """The trail of one namespace."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._key = wire.Keys(namespace).audit

    def note(self, by: str, action: str, target: str, outcome: Outcome, *, detail: str = "", address: str = "") -> None:
        """Note a deed. Never raises: it is done by now, and in the log."""
        fields: dict[Any, Any] = {
            "by": by,
            "action": action,
            "target": one_line(target),
            "outcome": outcome.value,
            "detail": one_line(detail),
            "address": address,
        }
        log.info(
            "%s: %s %s: %s%s",
            by or "somebody",
            action,
            fields["target"],
            outcome.value,
            f" ({fields['detail']})" if detail else "",
            extra={f"audit_{name}": value for name, value in fields.items()},
        )
        try:
            self._client.xadd(self._key, fields, maxlen=MOST_ENTRIES, approximate=True)
        except redis.RedisError as error:
            log.warning("That could not be noted in Redis: %s", error)

    def page(self, before: str | None = None, most: int = ENTRIES_ON_A_PAGE) -> AuditPage:
        """The last entries, or those before that one.

        Raises `redis.RedisError`, and `ValueError` where `before` is no id of an entry.
        """
        newest = "+"
        if before:
            if re.fullmatch(ENTRY_ID, before) is None:
                raise ValueError(f"before is {before!r}; expected the id of an entry, as a page tells it")
            # Redis before 6.2 knows no range without its end.
            milliseconds, number = (int(part) for part in before.split("-"))
            newest = f"{milliseconds}-{number - 1}" if number else f"{max(0, milliseconds - 1)}-{2**64 - 1}"
        found: Any = self._client.xrevrange(self._key, newest, "-", count=most)
        entries = tuple(_entry(id_, told) for id_, told in found)
        return AuditPage(entries, entries[-1].id if len(entries) == most else None)


def _entry(id_: str | bytes, told: dict[Any, Any]) -> AuditEntry:
    words = {wire.text(name): wire.text(value) for name, value in told.items()}
    name = wire.text(id_)
    outcome = words.get("outcome")
    return AuditEntry(
        id=name,
        at_ms=int(name.partition("-")[0]),
        by=words.get("by", ""),
        action=words.get("action", ""),
        target=words.get("target", ""),
        outcome=Outcome(outcome) if outcome in list(Outcome) else Outcome.FAILED,
        detail=words.get("detail", ""),
        address=words.get("address", ""),
    )


def one_line(text: str) -> str:
    """What came from outside, as it may be in a log."""
    clean = "".join(mark if mark.isprintable() else "�" for mark in text)
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"
