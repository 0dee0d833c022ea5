"""Dead letters of all queues, the last one first: which queues have any, and what they died of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from crewcall_worker import wire
from crewcall_worker.board.reading.queues import queue_names
from crewcall_worker.board.reading.source import Source
from crewcall_worker.queues.views import JobState, JobView, view_of
from crewcall_worker.wire import text

LETTERS_ON_A_PAGE = 50
MOST_QUEUES = 100
LARGEST = 65_536


@dataclass(frozen=True, slots=True)
class DeadLetterList:
    """`queues`: those that have any, with how many, most of them first. `before_ms` asks for older letters, None where
    there are no more; letters of one and the same ms as the last one are on the same page."""

    now_ms: int
    queues: tuple[tuple[str, int], ...]
    letters: tuple[JobView, ...]
    before_ms: int | None

    @property
    def total(self) -> int:
        """Of all queues."""
        return sum(count for _, count in self.queues)


def read_dead_letters(source: Source, *, before_ms: int | None = None, most: int = LETTERS_ON_A_PAGE) -> DeadLetterList:
    """The last ones of all queues that died before that, or by now: four round trips."""
    keys, names = source.keys, queue_names(source)
    with source.client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.zcard(keys.dead(name))
        counts: list[int] = pipeline.execute() if names else []
    queues = sorted(((name, count) for name, count in zip(names, counts, strict=True) if count), key=_most_first)
    wanted = max(1, min(most, LETTERS_ON_A_PAGE))
    shown_queues = [name for name, _ in queues[:MOST_QUEUES]]
    found: list[tuple[int, str, str]] = []
    if shown_queues:
        until = "+inf" if before_ms is None else f"({before_ms}"
        with source.client.pipeline(transaction=False) as pipeline:
            for name in shown_queues:
                pipeline.zrevrangebyscore(keys.dead(name), until, "-inf", start=0, num=wanted + 1, withscores=True)
            for name, ids in zip(shown_queues, pipeline.execute(), strict=True):
                found += [(int(score), name, text(id_)) for id_, score in ids]
    found.sort(reverse=True)
    page = found[:wanted]
    page += [it for it in found[wanted:] if page and it[0] == page[-1][0]]
    letters = _letters(source, page)
    return DeadLetterList(
        source.now_ms(), tuple(queues), letters, page[-1][0] if len(found) > len(page) and page else None
    )


def _letters(source: Source, page: list[tuple[int, str, str]]) -> tuple[JobView, ...]:
    if not page:
        return ()
    keys = source.keys
    with source.client.pipeline(transaction=False) as pipeline:
        for _, queue, id_ in page:
            pipeline.hstrlen(keys.messages(queue + wire.DEAD), id_)
        sizes: list[int] = pipeline.execute()
        for (_, queue, id_), size in zip(page, sizes, strict=True):
            # Of one too large to read there is no text, but it is told that it is there.
            pipeline.hget(keys.messages(queue + wire.DEAD), id_ if size <= LARGEST else "")
        texts: list[Any] = pipeline.execute()
    return tuple(
        replace(source.hide.of_job(view_of(queue, JobState.DEAD, id_, told or "", at)), traceback=None)
        for (at, queue, id_), told, size in zip(page, texts, sizes, strict=True)
        if size
    )


def _most_first(it: tuple[str, int]) -> tuple[int, str]:
    return -it[1], it[0]
