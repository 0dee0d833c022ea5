"""The stream: one reader for all who look at the same, and no more than what has changed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest
import redis
from tests.support.waiting import DEADLINE

from crewcall_worker.board.problems import NotThere
from crewcall_worker.board.stream import MOST_OF_ONE, Hub, TooManyStreams, event


async def always() -> bool:
    return True


async def next_event(stream: AsyncIterator[str]) -> str:
    """The next one that is no comment."""
    async with asyncio.timeout(DEADLINE):
        while True:
            text = await anext(stream)
            if text.startswith("event"):
                return text


class Page:
    """What is shown; it counts how often it was made."""

    def __init__(self, shown: str = "one") -> None:
        self.shown = shown
        self.made = 0
        self.problem: Exception | None = None
        self._more = threading.Event()

    async def made_again(self, times: int = 2) -> None:
        """It was made as often since."""
        for _ in range(times):
            self._more.clear()
            assert await asyncio.to_thread(self._more.wait, DEADLINE)

    def __call__(self) -> str:
        self.made += 1
        self._more.set()
        if self.problem is not None:
            raise self.problem
        return self.shown


def test_an_event_has_each_line_as_data() -> None:
    assert event("live", "<p>\n<b>") == "event: live\ndata: <p>\ndata: <b>\n\n"


async def test_sends_what_is_shown_at_first_and_again_only_when_it_has_changed() -> None:
    hub, page = Hub(every=0.01), Page()
    async with aclosing(hub.listen("page", page, always)) as stream:
        assert await next_event(stream) == event("live", "one")
        waiting = asyncio.create_task(next_event(stream))
        await page.made_again(times=4)
        assert not waiting.done()

        page.shown = "two"

        assert await waiting == event("live", "two")


async def test_all_who_look_at_the_same_share_one_reader() -> None:
    hub, page, other = Hub(every=0.01), Page(), Page("another's")
    async with (
        aclosing(hub.listen("page", page, always)) as first,
        aclosing(hub.listen("page", other, always)) as second,
    ):
        assert await next_event(first) == event("live", "one")
        assert await next_event(second) == event("live", "one")
        assert (hub.streams, other.made) == (2, 0)


async def test_nobody_looking_nobody_reads() -> None:
    hub, page = Hub(every=0.01), Page()
    async with aclosing(hub.listen("page", page, always)) as stream:
        await next_event(stream)
    assert hub.streams == 0
    await asyncio.sleep(0.05)
    made = page.made
    await asyncio.sleep(0.1)
    assert page.made == made


async def test_a_browser_that_is_slow_gets_the_newest_state_and_no_backlog() -> None:
    hub, page = Hub(every=0.01), Page()
    async with aclosing(hub.listen("page", page, always)) as stream:
        await next_event(stream)
        for number in range(5):
            page.shown = str(number)
            await page.made_again()

        assert await next_event(stream) == event("live", "4")


async def test_a_redis_that_is_away_is_told_once_and_so_is_its_coming_back() -> None:
    hub, page = Hub(every=0.01), Page()
    async with aclosing(hub.listen("page", page, always)) as stream:
        assert await next_event(stream) == event("live", "one")
        page.problem = redis.ConnectionError("away")
        assert await next_event(stream) == event("away", "Redis does not answer")
        async with aclosing(hub.listen("page", page, always)) as late:
            assert await next_event(late) == event("away", "Redis does not answer")
        waiting = asyncio.create_task(next_event(stream))
        await page.made_again()
        assert not waiting.done()
        page.problem = None
        assert await waiting == event("live", "one")


async def test_a_job_that_is_gone_is_told_in_words() -> None:
    hub, page = Hub(every=0.01), Page()
    async with aclosing(hub.listen("page", page, always)) as stream:
        await next_event(stream)
        page.problem = NotThere("no job x is kept here")
        assert await next_event(stream) == event("away", "no job x is kept here")


async def test_a_page_that_fails_ends_its_streams_and_the_next_one_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub, page = Hub(every=0.01), Page()
    async with aclosing(hub.listen("page", page, always)) as stream:
        await next_event(stream)
        page.problem = RuntimeError("a defect")
        with pytest.raises(StopAsyncIteration):
            await next_event(stream)
        page.problem = None
        async with aclosing(hub.listen("page", page, always)) as another:
            assert await next_event(another) == event("live", "one")
    assert "a defect" in caplog.text


async def test_there_are_no_more_streams_than_may_be() -> None:
    hub = Hub(most=1, every=0.01)
    async with aclosing(hub.listen("page", Page(), always)) as stream:
        await next_event(stream)
        with pytest.raises(TooManyStreams, match="1 streams are open"):
            hub.check("jane")
    hub.check("jane")


async def test_a_stream_that_another_came_before_ends_at_once() -> None:
    hub = Hub(most=1, every=0.01)
    hub.check("jane")
    hub.check("ada")
    async with aclosing(hub.listen("page", Page(), always, "jane")) as stream:
        await next_event(stream)

        assert [text async for text in hub.listen("page", Page(), always, "ada")] == []
        assert hub.streams == 1


async def test_a_visitor_with_many_pages_polls_for_some_and_keeps_nobody_else_out() -> None:
    hub = Hub(every=0.01)
    async with AsyncExitStack() as stack:
        for number in range(MOST_OF_ONE):
            listening = hub.listen(f"page {number}", Page(), always, "jane")
            await next_event(await stack.enter_async_context(aclosing(listening)))

        with pytest.raises(TooManyStreams, match="4 streams are open here"):
            hub.check("jane")
        hub.check("ada")
    hub.check("jane")


async def test_a_stream_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(every=0.01, longest=0.05)

    texts = [text async for text in hub.listen("page", Page(), always)]

    assert texts == ["retry: 2000\n\n", event("live", "one"), ": nothing new\n\n"]


async def test_who_has_logged_out_hears_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crewcall_worker.board.stream.BEAT_EVERY", 0.05)
    hub = Hub(every=0.01)

    async def no_more() -> bool:
        return False

    async with asyncio.timeout(DEADLINE):
        texts = [text async for text in hub.listen("page", Page(), no_more)]

    assert texts[-1] == event("out", "")
    assert hub.streams == 0
