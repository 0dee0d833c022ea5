"""The election by which several operators agree on the one that writes: `core.leadership` put to a `Lease`.

A watch tells of every change as it happens, so that a lease that is given back is taken within milliseconds and nobody
polls. Nothing depends on it: whoever misses a change is refused by the version that each write names, and looks.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from crewcall_operator.adapters.lease import Lease
from crewcall_operator.adapters.log import log
from crewcall_operator.core.leadership import Candidate, Record, Step
from crewcall_operator.errors import ApiError
from crewcall_operator.ports import Clock

#: Seconds after which a watch is begun anew.
WATCHED = 300

#: Seconds before a watch that broke is begun anew.
PAUSE = 1.0

#: Seconds that giving the lease back may take; after that it runs out by itself.
FAREWELL = 1.0

HINT = ". Grant get, watch, create and patch of leases there; a single operator can do without: --no-leader-election"


class NoElection:
    """For a single operator: it leads from its start to its end."""

    def __init__(self) -> None:
        self.on_lead: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return math.inf

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def release(self) -> None:
        return


class LeaseElection:
    """Takes, renews and gives back one Lease. Calling it tells for how many more seconds this operator may write."""

    def __init__(self, lease: Lease, candidate: Candidate, clock: Clock) -> None:
        """`clock` counts suspension."""
        self._lease = lease
        self._candidate = candidate
        self._clock = clock
        self._moved = asyncio.Event()
        self._told: tuple[bool, str] | None = None
        self._trouble = ""
        self._is_unsure = False
        """Whether a write was begun of which it is not known what became of it."""
        self.on_lead: list[Callable[[], None]] = []
        """What to do when this operator has become the leader."""

    def __call__(self) -> float:
        return self._candidate.may_write_for(self._clock())

    @property
    def holder(self) -> str:
        """Who leads, as far as was seen; empty where nobody does."""
        return self._candidate.seen.holder if self._candidate.seen is not None else ""

    async def run(self) -> None:
        """Stand for leader, and lead when elected, until cancelled."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                self._tell()
                step, at = self._candidate.step(self._clock())
                if (left := self._until(at)) > 0:
                    await self._rest(left)
                else:
                    await self._do(step)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def release(self) -> None:
        """Give the lease back, so that another takes over at once. `run` must have ended, and so must all writing."""
        self._candidate = self._candidate.resigned()
        with suppress(ApiError, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                if self._is_unsure:
                    await self._do(Step.LOOK)
                if self.holder != self._candidate.me:
                    return
                try:
                    await self._lease.give_back(self._version)
                except ApiError as error:
                    if error.status != HTTPStatus.CONFLICT:
                        raise
                    await self._do(Step.LOOK)  # a renewal that was under way was carried out
                    if self.holder == self._candidate.me:
                        await self._lease.give_back(self._version)
                log.info("gave back the lease %s", self._lease)

    def _until(self, at: float) -> float:
        """Seconds until `at`, or until the leadership ends if that is sooner: then it is told of."""
        now = self._clock()
        left = self._candidate.may_write_for(now)
        return min(at - now, left) if left else at - now

    async def _rest(self, seconds: float) -> None:
        self._moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, WATCHED)):
                await self._moved.wait()

    async def _do(self, step: Step) -> None:
        asked_at = self._clock()
        self._is_unsure = self._is_unsure or step is not Step.LOOK
        try:
            async with asyncio.timeout(self._candidate.terms.attempt):
                found = await self._ask(step)
        except (ApiError, TimeoutError) as error:
            self._failed(step, error)
            return
        self._is_unsure = False
        self._trouble = ""
        now = self._clock()
        if step is Step.LOOK:
            self._candidate = self._candidate.looked(found, now)
        elif found is not None:
            self._candidate = self._candidate.granted(found, asked_at, now)

    def _failed(self, step: Step, error: ApiError | TimeoutError) -> None:
        status = error.status if isinstance(error, ApiError) else None
        if status == HTTPStatus.NOT_FOUND and step is not Step.CREATE:
            self._candidate = self._candidate.looked(None, self._clock())
        elif status == HTTPStatus.CONFLICT:
            self._candidate = self._candidate.refused()
        else:
            self._candidate = self._candidate.failed(self._clock())
            trouble = str(error) or f"no answer within {self._candidate.terms.attempt:g} s"
            trouble += HINT if status == HTTPStatus.FORBIDDEN else ""
            if trouble != self._trouble:
                log.warning("cannot %s the lease %s: %s", step, self._lease, trouble)
            self._trouble = trouble

    async def _ask(self, step: Step) -> Record | None:
        if step is Step.LOOK:
            return await self._lease.read()
        me, duration = self._candidate.me, self._candidate.terms.lease
        if step is Step.CREATE:
            return await self._lease.create(me, duration)
        if step is Step.TAKE:
            return await self._lease.take(me, duration, self._version)
        return await self._lease.renew(duration, self._version)

    @property
    def _version(self) -> str:
        """That of which the next write is to follow; empty where none was seen."""
        return str(self._candidate.seen.version) if self._candidate.seen is not None else ""

    async def _listen(self) -> None:
        """Hear of every change. Without the right to watch, or while it is broken, a lease is seen to end by asking."""
        while True:
            with suppress(ApiError):
                async for event, found in self._lease.watch(WATCHED):
                    self._hear(event, found)
            await asyncio.sleep(PAUSE)

    def _hear(self, event: str, found: Record) -> None:
        if event == "DELETED":
            self._candidate = self._candidate.heard_of_deletion(found.version)
        elif event in ("ADDED", "MODIFIED"):
            self._candidate = self._candidate.heard(found, self._clock())
        self._moved.set()

    def _tell(self) -> None:
        """Log who leads, where that has changed."""
        leads, holder = self() > 0, self.holder
        told = (leads, "" if leads else holder)
        if told == self._told:
            return
        before, self._told = self._told, told
        if leads:
            log.info("leading: this is the operator that writes, as %s", self._candidate.me)
            for begin in self.on_lead:
                begin()
        elif before is not None and before[0]:
            log.warning("no longer leading: writing nothing until the lease is held again")
        if not leads and holder and holder != self._candidate.me:
            log.info("standing by: %s leads", holder)
