"""kopf's tasks come to an end together, whatever one of them does with its own."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Collection, Coroutine, Mapping
from contextlib import suppress
from types import MappingProxyType

import pytest
from tests.support.stage import Time
from tests.support.waiting import DEADLINE

from crewcall_operator import watchers
from crewcall_operator.watchers import ADRIFT, BEGUN_WITHIN, WatchEnded, Watchers, named

POD_WATCHER = "watcher for pods.v1@None"
DEPLOYMENT_WATCHER = "watcher for deployments.v1.apps@None"
BOTH = named([("", "v1", "pods"), ("apps", "v1", "deployments")], ())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "LOOKED_AFTER_EVERY", 0.01)
    monkeypatch.setattr(watchers, "BEGINNING_EVERY", 0.01)


async def run(tasks: Collection[asyncio.Task[None]], names: Mapping[str, str] = MappingProxyType({})) -> None:
    await Watchers(Time()).run(tasks, names, lambda: None)


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
    root += tasks(forever(), name=POD_WATCHER)

    with pytest.raises(OSError, match="gone"):
        await run(root)

    assert [task.cancelled() for task in root] == [True, False, True]


async def test_tells_of_a_watch_that_cannot_be_understood_as_of_one_that_has_ended() -> None:
    with pytest.raises(WatchEnded, match="Unterminated string"):
        await run(tasks(forever(), cut_off()))


async def test_notices_a_watcher_that_has_ended_without_a_word() -> None:
    root, (pods,), (other,) = (
        tasks(forever()),
        tasks(forever(), name=POD_WATCHER),
        tasks(forever(), name=DEPLOYMENT_WATCHER),
    )
    have_begun = asyncio.Event()
    running = asyncio.create_task(Watchers(Time()).run(root, BOTH, have_begun.set))
    await have_begun.wait()
    pods.cancel()

    with pytest.raises(WatchEnded, match="the watcher of pods in all namespaces is gone without a word"):
        async with asyncio.timeout(DEADLINE):
            await running

    assert (root[0].cancelled(), other.cancelled()) == (True, True)


async def test_waits_for_a_watcher_that_has_not_begun_yet_and_for_half_a_minute_no_more() -> None:
    root, (pods,) = tasks(forever()), tasks(forever(), name=POD_WATCHER)
    time, begun = Time(), list[None]()
    running = asyncio.create_task(Watchers(time).run(root, BOTH, lambda: begun.append(None)))
    await asyncio.sleep(0.05)
    time.now += BEGUN_WITHIN - 0.1
    await asyncio.sleep(0.05)
    assert not running.done()
    time.now += 0.1

    with pytest.raises(WatchEnded, match="nobody watches deployments in all namespaces"):
        async with asyncio.timeout(DEADLINE):
            await running

    assert (begun, pods.cancelled()) == ([], True)


async def test_is_adrift_where_one_is_missing_in_watch_after_watch_and_no_more_once_all_are_there() -> None:
    time = Time()
    watching = Watchers(time)
    assert not watching.are_adrift
    for _ in range(3):
        running = asyncio.create_task(watching.run(tasks(forever()), BOTH, lambda: None))
        await asyncio.sleep(0.05)
        assert not watching.are_adrift
        time.now += ADRIFT / 3
        with pytest.raises(WatchEnded):
            await running
    assert watching.are_adrift

    have_begun = asyncio.Event()
    for name in BOTH:
        tasks(forever(), name=name)
    running = asyncio.create_task(watching.run(tasks(forever()), BOTH, have_begun.set))
    await have_begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert not watching.are_adrift


def test_expects_a_watcher_for_each_kind_in_each_namespace() -> None:
    assert named([("", "v1", "pods"), ("apps", "v1", "deployments")], ["shop", "mail"]) == {
        "watcher for pods.v1@shop": "pods in shop",
        "watcher for pods.v1@mail": "pods in mail",
        "watcher for deployments.v1.apps@shop": "deployments in shop",
        "watcher for deployments.v1.apps@mail": "deployments in mail",
    }


async def test_insists_on_the_end_of_a_watcher_that_loses_its_cancellation() -> None:
    root, (watcher,) = tasks(forever()), tasks(losing(3), name=POD_WATCHER)
    running = asyncio.create_task(run(root))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(DEADLINE):
            await running

    assert watcher.cancelled()


async def test_leaves_behind_what_does_not_end_at_all() -> None:
    endless = 1_000
    (watcher,) = tasks(losing(endless), name=POD_WATCHER)
    with pytest.raises(OSError, match="gone"):
        async with asyncio.timeout(DEADLINE):
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
