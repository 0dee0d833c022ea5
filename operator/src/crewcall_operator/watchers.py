"""kopf's tasks, looked after: what they fail with is told, a watcher that is gone is noticed, and all of them end.

In place of `kopf.run_tasks`, which waits for ever for a watcher that does not end, sees none that has ended, and
cancels every task of this process that was begun after its own. What is done with what they tell is in `handlers`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from types import CoroutineType

import aiohttp
from kopf._cogs.clients import scanning  # kopf has no public names for these
from kopf._cogs.clients.errors import APIClientError
from kopf._cogs.clients.watching import WatchingError

from crewcall_operator.errors import CrewcallError

Task = asyncio.Task[None]

#: Seconds between two looks at the watchers, and that one may take to end once it was cancelled.
LOOKED_AFTER_EVERY = 1.0

#: Times that one is cancelled before it is left behind.
INSISTS = 10

#: What ends a watch: the API server knows no WorkerPools any more, forbids to watch, says that it cannot go on, or what
#: it says cannot be understood, as where a proxy has cut it off in the middle of a line.
_REFUSED = (APIClientError, WatchingError, aiohttp.ClientError, json.JSONDecodeError, TimeoutError)


class WatchEnded(CrewcallError):
    """Nothing is heard of the cluster any more; another watch may begin."""


async def run(tasks: Collection[Task]) -> None:
    """Wait until one of kopf's root tasks ends, or this is cancelled, and end all of them. Raises `WatchEnded`."""
    most = 0
    try:
        while True:
            done, _ = await asyncio.wait(tasks, timeout=LOOKED_AFTER_EVERY, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if done or (living := len(_watchers())) < most:
                # kopf itself takes no notice of that: https://github.com/nolar/kopf/issues/1276
                raise WatchEnded("one of its watchers is gone without a word")
            most = living
    except _REFUSED as error:
        raise WatchEnded(str(error) or type(error).__name__) from error
    finally:
        await _end(tasks)


def _watchers() -> Collection[Task]:
    """Those that live; kopf hands them out to nobody."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("watcher for ")]


def _scans() -> Collection[Task]:
    """What kopf asks the API server at its start. At its end it forgets them, and they would ask on over connections
    that it has closed (`scan_resources` in kopf/_cogs/clients/scanning.py)."""
    return [
        task
        for task in asyncio.all_tasks()
        if isinstance(work := task.get_coro(), CoroutineType) and work.cr_code.co_filename == scanning.__file__
    ]


async def _end(tasks: Collection[Task]) -> None:
    """Cancel them, and again whoever lives on: a watcher takes a cancellation for the end of a stream, or loses it
    (`stream` in kopf/_cogs/clients/api.py, `streaming_block` in watching.py)."""
    for _ in range(INSISTS):
        living = {*_scans(), *_watchers(), *(task for task in tasks if not task.done())}
        if not living:
            break
        for task in living:
            task.cancel()
        await asyncio.wait(living, timeout=LOOKED_AFTER_EVERY)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # one of them was raised; asyncio would log each of the others, with a traceback
