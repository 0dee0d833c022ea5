"""The election in a thread with an event loop of its own: the lease is renewed in time, however busy the operator is.

Thousands of pools that are all looked at at once keep the operator's loop from whoever else waits for it, and a renewal
waits several times. A leader that lost its lease by that would look at everything at once when it has it again, and so
lose it again. Where that loop gets nowhere at all, the lease is given back: a healthy operator may be standing by.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from crewcall_operator.adapters.election import LeaseElection
from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.log import log

#: Seconds between two signs of life of the operator's loop, and without one until it hangs: it is not busy for so long.
BEAT, HANGS_AFTER = 1.0, 15.0

#: Seconds that the thread may take to end.
LEFT_BEHIND_AFTER = 2.0

Found = TypeVar("Found")


class LeaseThread:
    """Is used as a `LeaseElection` is, from the loop that enters it. Its thread ends when it is left."""

    def __init__(
        self,
        connect: Callable[[], KubernetesApi],
        elect: Callable[[KubernetesApi], LeaseElection],
        clock: Callable[[], float],
    ) -> None:
        """Both are called in the thread; what `connect` makes is used there alone, and closed there."""
        self._connect = connect
        self._elect = elect
        self._clock = clock
        self._beaten_at: float
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crewcall-lease", daemon=True)
        self._api: KubernetesApi
        self._election: LeaseElection
        self._standing: asyncio.Task[None] | None = None
        self.on_lead: list[Callable[[], None]] = []
        """What to do, in the loop that entered this, when this operator has become the leader."""

    def __call__(self) -> float:
        """For how many more seconds this operator may write."""
        return self._election()

    async def __aenter__(self) -> Self:
        self._thread.start()
        try:
            await self._there(self._set_up(asyncio.get_running_loop()))
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._there(self._api.aclose())
        self._end()

    async def run(self) -> None:
        """Stand for leader, and lead when elected, until cancelled; it is over when this returns."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._there(self._stand())
        finally:
            beating.cancel()
            await self._there(self._step_back())

    async def release(self) -> None:
        """Give the lease back, as `LeaseElection.release` does."""
        await self._there(self._election.release())

    async def _there(self, work: Coroutine[Any, Any, Found]) -> Found:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _set_up(self, main: asyncio.AbstractEventLoop) -> None:
        self._api = self._connect()
        self._election = self._elect(self._api)

        def lead() -> None:
            main.call_soon_threadsafe(self._lead)

        self._election.on_lead.append(lead)

    def _lead(self) -> None:
        for act in self.on_lead:
            act()

    async def _beat(self) -> None:
        while True:
            self._beaten_at = self._clock()
            await asyncio.sleep(BEAT)

    async def _stand(self) -> None:
        self._beaten_at = self._clock()
        while True:
            self._standing = asyncio.create_task(self._election.run())
            while not self._hangs:
                if self._standing.done():
                    return self._standing.result()
                await asyncio.wait({self._standing}, timeout=BEAT)
            log.error("the event loop has hung for %.0f s: giving the lease back until it goes on", HANGS_AFTER)
            await self._step_back()
            await self._election.release()
            await self._until_it_goes_on()

    async def _until_it_goes_on(self) -> None:
        while self._hangs:  # noqa: ASYNC110  # the loop that hangs tells nobody
            await asyncio.sleep(BEAT)

    @property
    def _hangs(self) -> bool:
        return self._clock() - self._beaten_at > HANGS_AFTER

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LEFT_BEHIND_AFTER)
        if not self._thread.is_alive():
            self._loop.close()

    async def _step_back(self) -> None:
        if self._standing is not None:
            self._standing.cancel()
            await asyncio.gather(self._standing, return_exceptions=True)
