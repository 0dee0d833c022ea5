"""kopf's tasks, looked after: what they fail with is told, a watcher that is missing is noticed, and all of them end.

In place of `kopf.run_tasks`, which waits for ever for a watcher that does not end, sees none that has ended, and
cancels every task of this process that was begun after its own. What is done with what they tell is in `handlers`.

kopf begins a watcher for each kind in each namespace, but only for the kinds that it found at its start: it asks the
API server what that serves, once, and goes on without what is not in the answer (`_read_version` in
kopf/_cogs/clients/scanning.py takes a 404 for nothing, `_disable_mismatched_selectors` in
kopf/_core/reactor/observation.py warns). Nobody would hear of that kind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import CoroutineType

import aiohttp
from kopf._cogs.clients import scanning  # kopf has no public names for these
from kopf._cogs.clients.errors import APIClientError
from kopf._cogs.clients.watching import WatchingError

from crewcall_operator.errors import CrewcallError
from crewcall_operator.ports import Clock

Task = asyncio.Task[None]

#: What is watched: group, version and plural.
Kind = tuple[str, str, str]

#: Seconds between two looks at the watchers, and that one may take to end once it was cancelled.
LOOKED_AFTER_EVERY = 1.0

#: Seconds between two looks while they begin, and within which all of them must have begun.
BEGINNING_EVERY, BEGUN_WITHIN = 0.05, 30.0

#: Seconds without one of them, whatever was tried, after which this process had better be started anew.
ADRIFT = 90.0

#: Times that one is cancelled before it is left behind.
INSISTS = 10

#: What ends a watch: the API server knows no WorkerPools any more, forbids to watch, says that it cannot go on, or what
#: it says cannot be understood, as where a proxy has cut it off in the middle of a line.
_REFUSED = (APIClientError, WatchingError, aiohttp.ClientError, json.JSONDecodeError, TimeoutError)


class WatchEnded(CrewcallError):
    """Nothing is heard of the cluster any more; another watch may begin."""


def named(kinds: Iterable[Kind], namespaces: Collection[str]) -> Mapping[str, str]:
    """The watchers of these kinds in these namespaces, or all where none is given: kopf's name for each, and ours.

    As `spawn_missing_watchers` in kopf/_core/reactor/orchestration.py names them.
    """
    return {
        f"watcher for {'.'.join(filter(None, (plural, version, group)))}@{namespace}": (
            f"{plural} in {namespace or 'all namespaces'}"
        )
        for group, version, plural in kinds
        for namespace in namespaces or (None,)
    }


@dataclass(slots=True)
class Watchers:
    """Looks after the watchers, one watch after another. `whole_at` is when all of them lived last.

    It is the begin of the first watch until they do, and None before.
    """

    clock: Clock
    whole_at: float | None = None

    @property
    def are_adrift(self) -> bool:
        """Whether one has been missing for so long that another watch will not help."""
        return self.whole_at is not None and self.clock() - self.whole_at >= ADRIFT

    async def run(self, tasks: Collection[Task], names: Mapping[str, str], begun: Callable[[], None]) -> None:
        """Wait until one of kopf's root tasks or a watcher (of `named`) ends, or this is cancelled; then end all.

        `begun` is called once all of the watchers live. Raises `WatchEnded`.
        """
        began = self.clock()
        self.whole_at = began if self.whole_at is None else self.whole_at
        is_whole = False
        try:
            while True:
                pause = LOOKED_AFTER_EVERY if is_whole else BEGINNING_EVERY
                done, _ = await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if done:
                    raise WatchEnded(f"kopf's {done.pop().get_name()} is gone without a word")
                living = {task.get_name() for task in _watchers()}
                missing = ", ".join(words for name, words in names.items() if name not in living)
                if not missing:
                    self.whole_at = self.clock()
                    if not is_whole:
                        is_whole = True
                        begun()
                elif is_whole:
                    # kopf itself takes no notice of that: https://github.com/nolar/kopf/issues/1276
                    raise WatchEnded(f"the watcher of {missing} is gone without a word")
                elif self.clock() - began >= BEGUN_WITHIN:
                    raise WatchEnded(f"nobody watches {missing}: does kubectl api-resources list what that is?")
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
