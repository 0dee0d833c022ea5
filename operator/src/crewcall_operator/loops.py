"""The operator's loops: started together, and ended together when it is told to stop or one of them fails.

The API server may end the watch, because nobody knows WorkerPools any more, or this operator may not see them: then
nothing is scaled until it answers again. What is put together here is made in `main`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from crewcall_operator.adapters.cluster import Cluster
from crewcall_operator.adapters.election import NoElection
from crewcall_operator.adapters.lease_thread import LeaseThread
from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_history import RedisHistory
from crewcall_operator.errors import ApiError
from crewcall_operator.handlers import Watch
from crewcall_operator.settings import OperatorSettings
from crewcall_operator.watchers import WatchEnded

#: Seconds that the last statuses and Events may take when the operator is told to stop.
LAST_WORDS = 1.0

#: Seconds between the end of a watch and the next one.
PAUSE = 1.0

#: Name lookups at a time. By default there are few, and pools whose names hang would use them up for everybody.
LOOKUPS = 64

Election = LeaseThread | NoElection
Found = TypeVar("Found")


class Lookups(ThreadPoolExecutor):
    """Threads for name lookups. Nothing can end a lookup that hangs, so the end does not wait for it."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


async def operate(
    settings: OperatorSettings,
    cluster: Cluster,
    election: Election,
    watch: Watch,
    hints: RedisHints,
    history: RedisHistory,
    stop: asyncio.Event,
) -> None:
    """Watch and scale until `stop`. Raises what a loop has failed with."""
    while await _unless(stop, cluster.first_look(watch.deployments.saw, watch.pods.saw)):
        if watch.intake.engine.pools:  # of before the watch ended: what went meanwhile nobody has told
            await _unless(stop, watch.compare(cluster))
        try:
            await _watch_and_scale(settings, cluster, election, watch, hints, history, stop)
            break
        except WatchEnded as ended:
            log.error("the watch has ended: %s. Nothing is scaled until it has begun anew", ended)
            await _unless(stop, asyncio.sleep(PAUSE))


async def _watch_and_scale(
    settings: OperatorSettings,
    cluster: Cluster,
    election: Election,
    watch: Watch,
    hints: RedisHints,
    history: RedisHistory,
    stop: asyncio.Event,
) -> None:
    """Run every loop until `stop`, or until one of them fails: then its failure is raised."""
    engine, status = watch.intake.engine, watch.intake.status
    await _unless(stop, _hear_of_all(cluster, watch))
    if stop.is_set():
        return
    loops = [
        asyncio.create_task(election.run()),
        asyncio.create_task(engine.run(settings.interval)),
        asyncio.create_task(status.run()),
        asyncio.create_task(hints.run()),
        asyncio.create_task(history.run()),
        asyncio.create_task(watch.forget_missed_deletions(cluster)),
        asyncio.create_task(stop.wait()),
    ]
    watching = asyncio.create_task(await watch.begin(settings.namespaces, settings.selector))
    stop_on_signals(stop)  # once more: kopf has put its own handlers in place of ours
    try:
        done, _ = await asyncio.wait([*loops, watching], return_when=asyncio.FIRST_COMPLETED)
        for finished in done:
            finished.result()
    finally:
        await _cancelled(loops)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await status.flush()
            # Only then: what is still on its way after that time must not come when another writes. It waits a little.
            await election.release()
        await _cancelled([watching])  # its failure, if any, has been raised above


async def _hear_of_all(cluster: Cluster, watch: Watch) -> None:
    """The watch brings them all the same; but who may take over at once shall know them."""
    with suppress(ApiError):
        async for body in cluster.workerpools():
            await watch.intake.saw(body)


async def _unless(stop: asyncio.Event, waiting: Coroutine[None, None, Found]) -> Found | None:
    """What `waiting` finds, or None where `stop` came first."""
    task, stopping = asyncio.create_task(waiting), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await _cancelled([stopping])
        return task.result()
    await _cancelled([task])
    return None


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
