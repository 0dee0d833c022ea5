"""What a rule found, compared with what it had found before. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Final

from crewcall_jobs.rules.payload import Rule
from crewcall_jobs.rules.snapshot import Change, Snapshot

LONGEST: Final = 300
"""Characters of each side in the words of a change."""


def definition_of(rule: Rule) -> str:
    """The same for the same question: where another page is looked at, or for another thing, nothing can be
    compared."""
    asked = rule.model_dump_json(include={"url", "extract", "browser"})
    return hashlib.sha256(asked.encode()).hexdigest()


def comparable(before: Snapshot | None, definition: str) -> Snapshot | None:
    """What was found before, if it was by the same question."""
    return before if before is not None and before.definition == definition else None


def compare(
    rule: Rule, before: Snapshot | None, found: tuple[str, ...], etag: str, last_modified: str, now: datetime
) -> tuple[Snapshot, Change | None]:
    """What to keep, and the change if there is one. A first look, or the first one by a new question, changes
    nothing."""
    definition = definition_of(rule)
    same = comparable(before, definition)
    fresh = Snapshot(
        organization_id=rule.organization_id,
        rule_id=rule.rule_id,
        version=before.version + 1 if before else 1,
        definition=definition,
        found=found,
        etag=etag,
        last_modified=last_modified,
        checked_at=now,
        changed_at=now,
    )
    if same is None:
        return fresh, None
    if same.found == found:
        return replace(fresh, version=same.version, changed_at=same.changed_at), None
    return fresh, Change(rule.organization_id, rule.rule_id, fresh.version, same.found, found, now)


def words(change: Change) -> str:
    """The change, for people."""
    gone = [text for text in change.before if text not in change.after]
    new = [text for text in change.after if text not in change.before]
    if not gone and not new:
        return f"The same {len(change.after)} things, in another order or number (there were {len(change.before)})."
    return "\n".join([*(f"- {_short(text)}" for text in gone[:5]), *(f"+ {_short(text)}" for text in new[:5])])


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
