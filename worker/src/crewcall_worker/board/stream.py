"""The stream: what is shown on a page, sent to the browser again as soon as it looks different.

Everybody who looks at the same thing shares one reader: it reads once a second, makes the page's live part, and tells
all when that has changed. Nobody looking, nobody reads. Streams are bounded in time and in number, of all and of each
visitor; a browser whose stream ends comes back, through the doors again, and one that gets none polls. A browser that
cannot keep up gets the newest state, never a backlog of older ones.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import partial

import anyio.to_thread
import redis

from crewcall_worker.board.problems import Refusal

LOOK_EVERY = 1.0
MOST_STREAMS, MOST_OF_ONE = 200, 4
"""In all, and of one visitor: a browser has six connections to a host by HTTP/1.1, and acts by those that are left."""
LONGEST = 300.0
"""Seconds that one stream lasts."""
BEAT_EVERY = 5.0
"""Seconds after which a comment is sent where there is nothing new, so that no proxy takes the stream for dead."""
REST = 4.0
"""A reader rests for so many times as long as reading took: a slow Redis is not to be kept busy by who looks at it."""

REDIS_AWAY = "Redis does not answer"

log = logging.getLogger(__name__)


class TooManyStreams(RuntimeError):
    """There are as many streams as may be, or this visitor has; the browser polls."""


@dataclass(slots=True)
class _Topic:
    render: Callable[[], str]
    listeners: set[asyncio.Queue[str | None]] = field(default_factory=set)
    last: str | None = None
    problem: str = ""
    task: asyncio.Task[None] | None = None


class Hub:
    """All streams of one board. For one event loop; what renders runs in a thread."""

    def __init__(self, most: int = MOST_STREAMS, every: float = LOOK_EVERY, longest: float = LONGEST) -> None:
        self._most = most
        self._every = every
        self._longest = longest
        self._topics: dict[Hashable, _Topic] = {}
        self._visitors: Counter[Hashable] = Counter()

    @property
    def streams(self) -> int:
        """How many there are."""
        return sum(len(topic.listeners) for topic in self._topics.values())

    def check(self, visitor: Hashable) -> None:
        """Raises `TooManyStreams` where there is no room for one more."""
        if self.streams >= self._most:
            raise TooManyStreams(f"{self._most} streams are open, which is the most there may be")
        if self._visitors[visitor] >= MOST_OF_ONE:
            raise TooManyStreams(f"{MOST_OF_ONE} streams are open here, which is the most that one visitor may have")

    async def listen(
        self,
        key: Hashable,
        render: Callable[[], str],
        may_go_on: Callable[[], Awaitable[bool]],
        visitor: Hashable = None,
    ) -> AsyncGenerator[str, None]:
        """Server-sent events, as text, for one browser: the live part at first and whenever it has changed.

        `render` is called in a thread; it may raise `redis.RedisError` or `Refusal`: then it is told once why
        what is shown is old, by the event `away`. `may_go_on` is asked every `BEAT_EVERY` seconds: who has
        logged out hears so, by the event `out`, and no more. Where others have come first since it was checked that
        there is room, it is over at once: the browser comes back, and hears that.
        """
        try:
            self.check(visitor)
        except TooManyStreams:
            return
        self._visitors[visitor] += 1
        topic, news = self._join(key, render)
        until = time.monotonic() + self._longest
        ask_at = time.monotonic() + BEAT_EVERY
        try:
            yield "retry: 2000\n\n"
            while (now := time.monotonic()) < until:
                if now >= ask_at:
                    if not await may_go_on():
                        yield event("out", "")
                        return
                    ask_at = now + BEAT_EVERY
                try:
                    shown = await asyncio.wait_for(news.get(), min(until, ask_at) - now)
                except TimeoutError:
                    yield ": nothing new\n\n"
                    continue
                if shown is None:
                    return
                yield shown
        finally:
            self._visitors -= Counter([visitor])
            topic.listeners.discard(news)
            if not topic.listeners and topic.task is not None:
                topic.task.cancel()
                self._topics.pop(key, None)

    def _join(self, key: Hashable, render: Callable[[], str]) -> tuple[_Topic, asyncio.Queue[str | None]]:
        """One listener more: it hears at once what the others know."""
        topic = self._topics.setdefault(key, _Topic(render))
        news: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)
        topic.listeners.add(news)
        if topic.task is None or topic.task.done():
            topic.task = asyncio.create_task(self._read(topic))
            topic.task.add_done_callback(partial(_end, topic))
        elif topic.problem:
            news.put_nowait(event("away", topic.problem))
        elif topic.last is not None:
            news.put_nowait(event("live", topic.last))
        return topic, news

    async def _read(self, topic: _Topic) -> None:
        while True:
            begun = time.monotonic()
            try:
                shown = await anyio.to_thread.run_sync(topic.render)
            except (redis.RedisError, Refusal) as error:
                problem = str(error) if isinstance(error, Refusal) else REDIS_AWAY
                if problem != topic.problem:
                    log.info("A page's stream has nothing to tell: %s", error)
                    topic.problem = problem
                    _tell(topic, event("away", problem))
            else:
                if shown != topic.last or topic.problem:
                    topic.last, topic.problem = shown, ""
                    _tell(topic, event("live", shown))
            took = time.monotonic() - begun
            await asyncio.sleep(max(self._every - took, REST * took, 0.05))


def event(name: str, text: str) -> str:
    """One server-sent event (HTML Standard, section 9.2.6)."""
    data = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{data}\n"


def _tell(topic: _Topic, text: str) -> None:
    for news in topic.listeners:
        _put(news, text)


def _end(topic: _Topic, task: asyncio.Task[None]) -> None:
    """A reader ends by a defect, or for want of listeners."""
    if task.cancelled():
        return
    log.error("A page could not be read, and its streams end", exc_info=task.exception())
    for news in topic.listeners:
        _put(news, None)


def _put(news: asyncio.Queue[str | None], shown: str | None) -> None:
    if news.full():
        news.get_nowait()
    news.put_nowait(shown)
