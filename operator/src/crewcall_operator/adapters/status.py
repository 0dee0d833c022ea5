"""Writes each pool's status and Events to the cluster, rarely and behind the engine's back.

A report is compared with what was last written; what is worth writing waits here, the latest only, until `run` has
sent it. A write that fails is tried again with whatever is the latest by then. What they say is `api.status`'s part and
`api.events`'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.kubernetes_api import Json, KubernetesApi
from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.status_page import StatusPage
from crewcall_operator.api.events import event, event_body, turned
from crewcall_operator.api.happenings import Happening, happenings
from crewcall_operator.api.names import API_VERSION, PLURAL
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.api.status import is_worth_writing, rejected_status, status
from crewcall_operator.core.leadership import Leadership, unopposed
from crewcall_operator.errors import ApiError, InvalidSpec
from crewcall_operator.ports import Clock, Report

#: Seconds before a write that failed is tried again.
RETRY = 1.0

#: Seconds before a status that was refused is sent again.
RETRY_REFUSED = 30.0

#: Requests at a time, so that there are connections left for changes of replicas; Events that wait, at the most.
AT_ONCE, EVENTS_KEPT = 16, 1000


@dataclass(slots=True)
class StatusWriter:
    """A Reporter; `run` sends what it has found worth writing."""

    api: KubernetesApi
    wall_clock: Callable[[], datetime]
    clock: Clock
    leadership: Leadership = unopposed
    _pages: dict[PoolKey, StatusPage] = field(default_factory=dict)
    _events: list[Json] = field(default_factory=list)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _trouble: str = ""

    def adopt(self, key: PoolKey, body: Mapping[str, Any]) -> None:
        """Begin with the status that the resource has, unless this pool is known already."""
        uid = body["metadata"]["uid"]
        if key not in self._pages or self._pages[key].uid != uid:
            self._pages[key] = StatusPage(uid, body.get("status") or {}, self.clock())

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
        happening, turn = event(report, page.latest), turned(report, page.latest)
        self._put(report.pool.key, status(report, page.latest, self.wall_clock()))
        if happening is not None and report.applied:
            page.changed(happening.reason, report)
        elif happening is not None and page.is_news(happening.reason, self.clock()):
            self._tell(report.pool.key, happening)
        for change in page.changes_to_tell(self.clock()):
            if (told_now := event(change, None)) is not None:
                self._tell(report.pool.key, told_now)
        for told in (*happenings(report), *([] if turn is None else [turn])):
            self._tell(report.pool.key, told)

    def reject(self, key: PoolKey, body: Mapping[str, Any], invalid: InvalidSpec) -> None:
        """Say in status and in one Event each what is wrong with a spec; the same spec is told of once."""
        page = self._pages[key]
        new = rejected_status(body["metadata"]["generation"], invalid.problems, page.latest, self.wall_clock())
        if new == page.latest:
            return
        if is_worth_writing(page.latest, new, 0.0):
            for problem in invalid.problems:
                self._tell(key, Happening("Warning", "InvalidSpec", str(problem)))
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

    def _put(self, key: PoolKey, new: Mapping[str, Any]) -> None:
        page = self._pages[key]
        if new == page.latest:
            return  # as it is written, or is being written
        if page.waiting is not None or is_worth_writing(page.written, new, self.clock() - page.written_at):
            page.waiting = new
            self._work.set()

    def _tell(self, key: PoolKey, happening: Happening) -> None:
        body = event_body(key, self._pages[key].uid, happening, self.wall_clock())
        self._events = [*self._events[1 - EVENTS_KEPT :], body]
        self._work.set()

    async def _send(self, key: PoolKey, page: StatusPage) -> ApiError | None:
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
            if not error.is_lasting:
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
            if error.is_lasting:
                log.warning("an Event was refused: %s", error)
                return None
            self._events.append(event)
            return error
        return None
