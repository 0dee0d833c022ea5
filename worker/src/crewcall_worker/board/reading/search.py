"""Search: a job by its id, a queue or a pool by its name. By type, organisation or error one searches a queue."""

from __future__ import annotations

from dataclasses import dataclass

from crewcall_worker.board.reading.jobs import JobDetail, read_job
from crewcall_worker.board.reading.pools import pool_names
from crewcall_worker.board.reading.queues import queue_names
from crewcall_worker.board.reading.source import Source

LONGEST = 200
MOST_FOUND = 50


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to. Names have what was asked for in them, in any case of letters."""

    query: str
    job: JobDetail | None = None
    queues: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()


def search(source: Source, query: str) -> Found:
    """What is called so; nothing for an empty query."""
    asked = query.strip()[:LONGEST]
    if not asked:
        return Found("")
    queues, pools = queue_names(source), pool_names(source)
    part = asked.lower()
    return Found(
        query=asked,
        job=read_job(source, asked),
        queues=tuple(name for name in queues if part in name.lower())[:MOST_FOUND],
        pools=tuple(name for name in pools if part in name.lower())[:MOST_FOUND],
    )
