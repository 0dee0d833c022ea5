"""A rule's run: fetch, extract, compare, store, and raise the alert, which is a job like any other.

An alert is raised from what is stored, under a key that is the change's own: a run that died in between is made up for
by the next one, and whoever raises it twice enqueues it once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from typing import Final, Protocol

from crewcall_jobs.alerts.payload import Alert
from crewcall_jobs.errors import NothingFound, Undelivered
from crewcall_jobs.rules.comparison import comparable, compare, definition_of, words
from crewcall_jobs.rules.extraction import extract
from crewcall_jobs.rules.payload import CssExtract, Rule
from crewcall_jobs.rules.snapshot import Change, Snapshot
from crewcall_jobs.storage.snapshots import Snapshots
from crewcall_jobs.web.client import Answer, Request, Web, origin
from crewcall_jobs.web.retry_after import seconds_to_wait
from crewcall_worker.queues import JobContext, Reject, TryAgain

REDIRECTS: Final = 5
NOT_MODIFIED: Final = 304
LONGEST_VALIDATOR: Final = 1000
PASSING: Final = frozenset({408, 425, 429})

log = logging.getLogger(__name__)


class Browser(Protocol):
    """Fetches a page as a person's browser would show it."""

    def fetch(self, url: str) -> Answer:
        """Raises `Reject`, `JobFailed`."""
        ...


class AlertQueue(Protocol):
    """Enqueues an alert; the id of its job, or of the one that it is a duplicate of."""

    def __call__(self, alert: Alert) -> str: ...


@dataclass(frozen=True, slots=True)
class Checker:
    """What a run takes."""

    web: Web
    browser: Browser
    snapshots: Snapshots
    raise_alert: AlertQueue
    clock: Callable[[], datetime]


def check(rule: Rule, context: JobContext, of: Checker) -> None:
    """One run. Raises `Reject`, `TryAgain`."""
    try:
        outcome = _look(rule, of)
    except (Reject, TryAgain) as error:
        log.warning("Rule %s of job %s failed: %s", rule.rule_id, context.id, error)
        raise
    log.info("Rule %s of job %s: %s", rule.rule_id, context.id, outcome)
    _raise_alerts(rule, of)


def _look(rule: Rule, of: Checker) -> str:
    before = of.snapshots.find(rule.organization_id, rule.rule_id)
    same = comparable(before, definition_of(rule))
    answer = _fetch(rule, same, of)
    if answer.status == NOT_MODIFIED and same is not None:
        of.snapshots.look_again(same, of.clock())
        return "not modified"
    _judge(rule, answer, of.clock())
    found = extract(rule.extract, answer.body, _charset(answer.headers))
    if not found and not rule.allow_empty:
        raise NothingFound(f"rule {rule.rule_id}: nothing in {origin(rule.url)} is as the rule has it")
    etag, last_modified = _validator(answer, "etag"), _validator(answer, "last-modified")
    snapshot, change = compare(rule, before, found, etag, last_modified, of.clock())
    of.snapshots.store(snapshot, before, change)
    return "changed" if change else "as before" if same else "seen for the first time"


def _fetch(rule: Rule, same: Snapshot | None, of: Checker) -> Answer:
    if rule.browser:
        return of.browser.fetch(rule.url)
    headers = {"Accept": "text/html,*/*;q=0.8" if isinstance(rule.extract, CssExtract) else "application/json"}
    if same is not None and same.etag:
        headers["If-None-Match"] = same.etag
    if same is not None and same.last_modified:
        headers["If-Modified-Since"] = same.last_modified
    return of.web.send(Request(rule.url, headers=headers, redirects=REDIRECTS))


def _judge(rule: Rule, answer: Answer, now: datetime) -> None:
    if 200 <= answer.status < 300:
        return
    what = f"rule {rule.rule_id}: {origin(answer.url)} answers {answer.status}"
    if answer.status >= 500 or answer.status in PASSING:
        after = seconds_to_wait(answer.headers.get("retry-after"), now)
        raise Undelivered(what) if after is None else TryAgain(what, after=after)
    raise Reject(what)


def _validator(answer: Answer, name: str) -> str:
    """What the server wants to hear next time; empty where that cannot be said in a header."""
    said = answer.headers.get(name, "")
    return said if said.isascii() and said.isprintable() and len(said) <= LONGEST_VALIDATOR else ""


def _charset(headers: Mapping[str, str]) -> str | None:
    parsed = Message()
    parsed["Content-Type"] = headers.get("content-type", "")
    return parsed.get_content_charset()


def _raise_alerts(rule: Rule, of: Checker) -> None:
    if not rule.channels:
        return
    for change in of.snapshots.without_alert(rule.organization_id, rule.rule_id):
        of.snapshots.raised(change, of.raise_alert(_alert(rule, change)))


def _alert(rule: Rule, change: Change) -> Alert:
    return Alert(
        organization_id=rule.organization_id,
        alert_key=f"rule:{rule.rule_id}:{change.version}",
        title=f"{rule.name} has changed"[:200],
        text=words(change),
        severity=rule.severity,
        url=rule.url,
        occurred_at=change.at,
        channels=rule.channels,
    )
