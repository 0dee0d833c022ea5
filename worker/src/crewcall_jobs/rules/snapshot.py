"""What a rule saw: the last time, and when it saw something else. Values only; `storage.snapshots` keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a rule found when it looked last. `definition` tells whether it was the same rule; `version` counts what it
    has found; `etag` and `last_modified` are the server's words, empty where it said none."""

    organization_id: str
    rule_id: str
    version: int
    definition: str
    found: tuple[str, ...]
    etag: str
    last_modified: str
    checked_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What was found, and what had been before. No `alert_id`: none has been raised yet."""

    organization_id: str
    rule_id: str
    version: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    at: datetime
    alert_id: str = ""
