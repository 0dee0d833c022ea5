"""Writes each pool's status and Events to the cluster, rarely and behind the engine's back.

A report is compared with what was last written; what is worth writing waits here, the latest only, until `run` has
sent it. A write that fails is tried again with whatever is the latest by then. What status and Events say is
`api.status`'s part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.kubernetes_api import PASSING, Json, KubernetesApi
from crewcall_operator.adapters.log import log
from crewcall_operator.api import status as words
from crewcall_operator.api.happenings import happenings
from crewcall_operator.api.names import API_VERSION, PLURAL
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.core.leadership import Leadership, unopposed
from crewcall_operator.errors import ApiError, InvalidSpec
from crewcall_operator.ports import Clock, Report

#: Seconds before a write that failed is tried again.
RETRY = 1.0

#: Seconds within which a pool's trouble of one kind is told once: a Redis that comes and goes is one story.
ONE_STORY = 60.0

#: Seconds within which a pool's changes of replicas for one reason are told once, as one change.
ONE_CHANGE = 10.0

#: Seconds before a status that was refused is sent again.
RETRY_REFUSED = 30.0

#: Requests at a time, so that there are connections left for changes of replicas; Events that wait, at the most.
AT_ONCE, EVENTS_KEPT = 16, 1000


@dataclass(slots=True)
class Page:
    """One pool's status: as the cluster has it, and as it shall be (None where nothing waits)."""

    uid: str
    written: Mapping[str, Any]
    written_at: float
    waiting: Mapping[str, Any] | None = None
    told: dict[str, float] = field(default_factory=dict)
    changes: dict[str, Report] = field(default_factory=dict)
    changes_told: dict[str, float] = field(default_factory=dict)
    refused_until: float | None = None

    @property
    def latest(self) -> Mapping[str, Any]:
        return self.written if self.waiting is None else self.waiting

    def changed(self, reason: str, report: Report) -> None:
        """The replicas were changed; what was not told yet for this reason is one change with it."""
        untold = self.changes.get(reason)
        if untold is not None and untold.fleet is not None and report.fleet is not None:
            report = replace(report, fleet=replace(report.fleet, current=untold.fleet.current))
        self.changes[reason] = report

    def changes_to_tell(self, now: float) -> list[Report]:
        """The changes that it is time to tell of."""
        due = [reason for reason in self.changes if now - self.changes_told.get(reason, -ONE_CHANGE) >= ONE_CHANGE]
        self.changes_told |= dict.fromkeys(due, now)
        found = [self.changes.pop(reason) for reason in due]
        return [it for it in found if it.fleet is not None and it.fleet.current != it.replicas]


@dataclass(slots=True)
class StatusWriter:
    """A Reporter; `run` sends what it has found worth writing."""

    api: KubernetesApi
    wall_clock: Callable[[], datetime]
    clock: Clock
    leadership: Leadership = unopposed
    _pages: dict[PoolKey, Page] = field(default_factory=dict)
    _events: list[Json] = field(default_factory=list)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _trouble: str = ""

    def adopt(self, key: PoolKey, body: Mapping[str, Any]) -> None:
        """Begin with the status that the resource has, unless this pool is known already."""
        uid = body["metadata"]["uid"]
        if key not in self._pages or self._pages[key].uid != uid:
            self._pages[key] = Page(uid, body.get("status") or {}, self.clock())

    def follow(self, key: PoolKey, body: Mapping[str, Any]) -> None:
        """The resource has changed. While another operator leads, the status in it is that one's, and so is telling."""
        page = self._pages.get(key)
        if page is not None and page.uid == body["metadata"]["uid"] and self.leadership() <= 0:
            page.written, page.written_at, page.waiting = body.get("status") or {}, self.clock(), None
            self._events = [event for event in self._events if event["involvedObject"]["uid"] != page.uid]

    def report(self, report: Report) -> None:
        page = self._pages.get(report.pool.key)
        if page is None:
            return
        happening, turn = words.event(report, page.latest), words.turned(report, page.latest)
        self._put(report.pool.key, words.status(report, page.latest, self.wall_clock()))
        if happening is not None and report.applied:
            page.changed(happening[1], report)
        elif happening is not None and self._is_news(page, happening[1]):
            self._tell(report.pool.key, happening)
        for change in page.changes_to_tell(self.clock()):
            if (told_now := words.event(change, None)) is not None:
                self._tell(report.pool.key, told_now)
        for told in (*happenings(report), *([] if turn is None else [turn])):
            self._tell(report.pool.key, told)

    def reject(self, key: PoolKey, body: Mapping[str, Any], invalid: InvalidSpec) -> None:
        """Say in status and in one Event each what is wrong with a spec; the same spec is told of once."""
        page = self._pages[key]
        new = words.rejected_status(body["metadata"]["generation"], invalid.problems, page.latest, self.wall_clock())
        if new == page.latest:
            return
        if words.is_worth_writing(page.latest, new, 0.0):
            for problem in invalid.problems:
                self._tell(key, ("Warning", "InvalidSpec", str(problem)))
        self._put(key, new)

    def forget(self, key: PoolKey) -> None:
        self._pages.pop(key, None)

    def take_over(self) -> None:
        """This operator has become the leader: what nobody has told yet is its to tell."""
        self._work.set()

    async def run(self) -> None:
        """Send what waits, as it comes."""
        while True:
            await self._work.wait()
            self._work.clear()
            if not await self.flush():
                await asyncio.sleep(RETRY)
                self._work.set()

    async def flush(self) -> bool:
        """Send all that waits; false where some could not be sent and waits on. Without the leadership, all waits."""
        if self.leadership() <= 0:
            return True
        events, self._events = self._events, []
        now = self.clock()
        due = [it for it in self._pages.items() if it[1].waiting is not None and now >= (it[1].refused_until or now)]
        waiting = [self._send(key, page) for key, page in due]
        failures = await asyncio.gather(*waiting, *(self._post(event) for event in events))
        trouble = next((str(failure) for failure in failures if failure is not None), "")
        if trouble and not self._trouble:
            log.warning("statuses and Events cannot be written and wait: %s", trouble)
        elif self._trouble and not trouble:
            log.info("statuses and Events are written again")
        self._trouble = trouble
        return all(page.waiting is None for page in self._pages.values()) and not self._events

    def _is_news(self, page: Page, reason: str) -> bool:
        now = self.clock()
        if now - page.told.get(reason, -ONE_STORY) < ONE_STORY:
            return False
        page.told[reason] = now
        return True

    def _put(self, key: PoolKey, new: Mapping[str, Any]) -> None:
        page = self._pages[key]
        if new == page.latest:
            return  # as it is written, or is being written
        if page.waiting is not None or words.is_worth_writing(page.written, new, self.clock() - page.written_at):
            page.waiting = new
            self._work.set()

    def _tell(self, key: PoolKey, happening: tuple[str, str, str]) -> None:
        event = words.event_body(key, self._pages[key].uid, happening, self.wall_clock())
        self._events = [*self._events[1 - EVENTS_KEPT :], event]
        self._work.set()

    async def _send(self, key: PoolKey, page: Page) -> ApiError | None:
        new = page.waiting or {}
        # A merge patch leaves what it does not name: name what shall go.
        gone = dict.fromkeys(page.written.keys() - new.keys())
        path = f"/apis/{API_VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}/status"
        try:
            async with self._turns:
                await self.api.patch(path, {"status": {**gone, **new}})
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self.forget(key)
                return None
            if not _is_refused(error):
                return error
            if page.refused_until is None:
                log.warning("%s: its status was refused, and is sent every %.0f s: %s", key, RETRY_REFUSED, error)
            page.refused_until = self.clock() + RETRY_REFUSED
            return None
        page.refused_until = None
        page.written, page.written_at = new, self.clock()
        if page.waiting is new:
            page.waiting = None
        return None

    async def _post(self, event: Json) -> ApiError | None:
        try:
            async with self._turns:
                await self.api.create(f"/api/v1/namespaces/{event['metadata']['namespace']}/events", event)
        except ApiError as error:
            if _is_refused(error):
                log.warning("an Event was refused: %s", error)
                return None
            self._events.append(event)
            return error
        return None


def _is_refused(error: ApiError) -> bool:
    """Whether the same request would be refused again."""
    return error.status is not None and 400 <= error.status < 500 and error.status not in PASSING
