"""kopf's tasks come to an end together, whatever one of them does with its own."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Coroutine
from contextlib import suppress

import pytest

from crewcall_operator import watchers
from crewcall_operator.watchers import WatchEnded, run

WATCHER = "watcher for pods.v1@None"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "LOOKED_AFTER_EVERY", 0.01)


async def forever() -> None:
    await asyncio.Event().wait()


async def failing(words: str) -> None:
    raise OSError(words)


async def cut_off() -> None:
    json.loads('{"type": "MODI')


async def losing(cancellations: int) -> None:
    """As kopf's `streaming_block` does."""
    for _ in range(cancellations):
        with suppress(asyncio.CancelledError):
            await forever()
    await forever()


def tasks(*work: Coroutine[None, None, None], name: str | None = None) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(it, name=name) for it in work]


async def test_raises_what_one_has_failed_with_and_ends_the_others() -> None:
    root = tasks(forever(), failing("gone"))
    root += tasks(forever(), name=WATCHER)

    with pytest.raises(OSError, match="gone"):
        await run(root)

    assert [task.cancelled() for task in root] == [True, False, True]


async def test_tells_of_a_watch_that_cannot_be_understood_as_of_one_that_has_ended() -> None:
    with pytest.raises(WatchEnded, match="Unterminated string"):
        await run(tasks(forever(), cut_off()))


async def test_notices_a_watcher_that_has_ended_without_a_word() -> None:
    root, (watcher, other) = tasks(forever()), tasks(forever(), forever(), name=WATCHER)
    running = asyncio.create_task(run(root))
    await asyncio.sleep(0.05)  # it has seen both
    watcher.cancel()

    with pytest.raises(WatchEnded):
        async with asyncio.timeout(5):
            await running

    assert (root[0].cancelled(), other.cancelled()) == (True, True)


async def test_insists_on_the_end_of_a_watcher_that_loses_its_cancellation() -> None:
    root, (watcher,) = tasks(forever()), tasks(losing(3), name=WATCHER)
    running = asyncio.create_task(run(root))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await running

    assert watcher.cancelled()


async def test_leaves_behind_what_does_not_end_at_all() -> None:
    endless = 1_000
    (watcher,) = tasks(losing(endless), name=WATCHER)
    with pytest.raises(OSError, match="gone"):
        async with asyncio.timeout(5):
            await run(tasks(failing("gone")))

    for _ in range(endless):
        watcher.cancel()
        await asyncio.sleep(0)
    assert watcher.cancelled()


async def test_has_nobody_log_the_failures_beside_the_one_that_is_raised() -> None:
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["message"]))
    with pytest.raises(OSError, match="o"):
        await run(tasks(failing("one"), failing("two")))
    gc.collect()
    await asyncio.sleep(0)

    assert logged == []
