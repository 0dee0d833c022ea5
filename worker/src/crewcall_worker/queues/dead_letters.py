"""Dead letters: jobs that nobody will try again, until somebody looks at them and decides otherwise.

Each is the message as its worker last knew it: why it died (`Death`), its last error, how often it was tried. It is
tried anew, or deleted, in one step each: whoever is interrupted leaves every one of them in one place or the other. A
job that is tried anew keeps its id and begins at its first try. How long dead letters are kept is for `retention`.

Pages of them and one by its id are `views`. Every call may raise `redis.RedisError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dramatiq.errors import DecodeError
from dramatiq.message import Message

from crewcall_worker import job_message, outbox, wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.options import DEATH, ERROR, KILLED, REDIS_ID, REVIVAL
from crewcall_worker.queues.job_view import JobState, JobView, view_of, whole
from crewcall_worker.queues.views import ANY, MOST_ON_A_PAGE, Filter, Page, Views
from crewcall_worker.redis_clock import asked_ms

CHUNK = 100

#: What a try leaves behind in the options, which one that begins anew is not to have.
_OF_TRIES = frozenset(
    {"eta", REDIS_ID, "requeue_timestamp", "retries", "traceback", wire.READY_AT, DEATH, ERROR, KILLED}
)


@dataclass(frozen=True, slots=True)
class Done:
    """Ids of those that were retried or deleted; of those that were not there, or not any more; and of those that
    cannot be tried anew, for they are no messages."""

    done: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def __add__(self, other: Done) -> Done:
        return Done(self.done + other.done, self.missing + other.missing, self.unreadable + other.unreadable)


@dataclass(frozen=True, slots=True)
class Retried:
    """How many are tried anew this time, and how many of those that there were have not been looked at; with `cursor`
    one goes on, None where there is nothing more to look at."""

    done: int
    left: int
    cursor: str | None


class DeadLetters:
    """Those of one broker's namespace. An id is that of the job, or that of its last try in Redis.

    `show` makes of each job what may be seen of it, before any filter looks at it.
    """

    def __init__(self, broker: CrewcallBroker, show: Callable[[JobView], JobView] = whole) -> None:
        self._broker = broker
        self._client = broker.client
        self._keys = wire.Keys(broker.namespace)
        self._show = show
        self._views = Views(broker.client, broker.namespace, show=show)

    def page(self, queue: str, *, cursor: str | None = None, limit: int = 50, like: Filter = ANY) -> Page:
        """Some of them, the last one first."""
        return self._views.page(queue, JobState.DEAD, cursor=cursor, limit=limit, like=like)

    def find(self, queue: str, id_: str) -> JobView | None:
        """One of them, whole, however large it is."""
        message_id = self._message_id(queue, id_)
        if message_id is None:
            return None
        (text,) = self._texts(queue, [message_id])
        died_at = self._client.zscore(self._keys.dead(queue), message_id)
        return None if text is None else self._show(view_of(queue, JobState.DEAD, message_id, text, died_at))

    def retry(self, queue: str, ids: Iterable[str]) -> Done:
        """Try these anew: they go back into their queue, behind what waits there."""
        return self._each(queue, ids, self._revive)

    def delete(self, queue: str, ids: Iterable[str]) -> Done:
        """Forget these."""
        return self._each(queue, ids, self._delete)

    def retry_all(self, queue: str, like: Filter = ANY) -> Done:
        """Try all anew that are like this and dead by now, the oldest first."""
        done = Done()
        for ids in self._alike(queue, like):
            done += self._revive(queue, ids)
        return done

    def retry_some(self, queue: str, like: Filter = ANY, cursor: str | None = None, most: int = CHUNK) -> Retried:
        """Look at `most` of those that were dead when this was first asked, the oldest first, and try anew all that are
        like this. For whoever cannot wait until all are done, or wants to tell how far that is.

        Raises `ValueError` where the cursor is none that was told.
        """
        dead = self._keys.dead(queue)
        until_ms, kept = _read_cursor(cursor) if cursor else (asked_ms(self._client), 0)
        found: Any = self._client.zrangebyscore(dead, "-inf", until_ms, start=kept, num=most)
        ids = [wire.text(id_) for id_ in found]
        done = self._revive(queue, self._like(queue, ids, like))
        kept += len(ids) - len(done.done)
        left = max(0, self._client.zcount(dead, "-inf", until_ms) - kept)
        return Retried(len(done.done), left, f"{until_ms}/{kept}" if left and ids else None)

    def delete_all(self, queue: str, like: Filter = ANY) -> Done:
        """Forget all that are like this and dead by now."""
        done = Done()
        for ids in self._alike(queue, like):
            done += self._delete(queue, ids)
        return done

    def _each(self, queue: str, ids: Iterable[str], act: Callable[[str, Sequence[str]], Done]) -> Done:
        done = Done()
        found: list[str] = []
        for id_ in ids:
            message_id = self._message_id(queue, id_)
            if message_id is None:
                done += Done(missing=(id_,))
            else:
                found.append(message_id)
        for at in range(0, len(found), CHUNK):
            done += act(queue, found[at : at + CHUNK])
        return done

    def _revive(self, queue: str, ids: Sequence[str]) -> Done:
        missing: list[str] = []
        unreadable: list[str] = []
        messages: list[tuple[Message[Any], None]] = []
        for id_, text in zip(ids, self._texts(queue, ids), strict=True):
            if text is None:
                missing.append(id_)
                continue
            try:
                messages.append((_anew(queue, id_, job_message.decode(text)), None))
            except DecodeError:
                unreadable.append(id_)
        revived: list[str] = []
        for outcome in self._broker.outbox.enqueue_many(messages):
            is_gone = isinstance(outcome, outbox.Gone)
            (missing if is_gone else revived).append(outcome.message.message_id)
        return Done(tuple(revived), tuple(missing), tuple(unreadable))

    def _delete(self, queue: str, ids: Sequence[str]) -> Done:
        with self._client.pipeline(transaction=True) as pipeline:
            for id_ in ids:
                pipeline.zrem(self._keys.dead(queue), id_)
                pipeline.hdel(self._keys.messages(queue + wire.DEAD), id_)
            answers = pipeline.execute()
        gone = {id_ for id_, was_there in zip(ids, answers[::2], strict=True) if not was_there}
        return Done(tuple(id_ for id_ in ids if id_ not in gone), tuple(gone))

    def _alike(self, queue: str, like: Filter) -> Iterator[list[str]]:
        """Ids in chunks. What dies meanwhile is left alone: else a job that fails at once would be tried for ever."""
        for ids in list(self._dead_by_now(queue)):
            yield self._like(queue, ids, like)

    def _like(self, queue: str, ids: list[str], like: Filter) -> list[str]:
        if like.is_empty:
            return ids
        views = [
            self._show(view_of(queue, JobState.DEAD, id_, text, None))
            for id_, text in zip(ids, self._texts(queue, ids), strict=True)
            if text is not None
        ]
        return [view.message_id for view in views if like.takes(view)]

    def _dead_by_now(self, queue: str) -> Iterator[list[str]]:
        now_ms = asked_ms(self._client)
        for at in range(0, self._client.zcard(self._keys.dead(queue)), CHUNK):
            found: Any = self._client.zrangebyscore(self._keys.dead(queue), "-inf", now_ms, start=at, num=CHUNK)
            yield [wire.text(id_) for id_ in found]

    def _message_id(self, queue: str, id_: str) -> str | None:
        if self._client.zscore(self._keys.dead(queue), id_) is not None:
            return id_
        view = self._views.find(id_, queue)
        if view is not None:
            return view.message_id if view.state is JobState.DEAD else None
        # A plain job's id in Redis has nothing of its own: it is looked for.
        cursor: str | None = None
        while True:
            page = self.page(queue, cursor=cursor, limit=MOST_ON_A_PAGE)
            for letter in page.jobs:
                if letter.id == id_:
                    return letter.message_id
            cursor = page.cursor
            if cursor is None:
                return None

    def _texts(self, queue: str, ids: Sequence[str]) -> list[bytes | None]:
        if not ids:
            return []
        found: Any = self._client.hmget(self._keys.messages(queue + wire.DEAD), list(ids))
        return [text.encode() if isinstance(text, str) else text for text in found]


def _anew(queue: str, id_: str, message: Message[Any]) -> Message[Any]:
    options = {name: value for name, value in message.options.items() if name not in _OF_TRIES}
    return replace(message, queue_name=queue, options={**options, REVIVAL: id_})


def _read_cursor(cursor: str) -> tuple[int, int]:
    until, slash, kept = cursor.partition("/")
    if not slash or not all(it.isascii() and it.isdecimal() and len(it) < 16 for it in (until, kept)):
        raise ValueError(f"cursor is {cursor!r}; expected what an earlier answer told")
    return int(until), int(kept)
