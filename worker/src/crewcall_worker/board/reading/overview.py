"""The overview: all pools, and the queues with what they are at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crewcall_worker.board.reading.pools import PoolLook, count_unread, read_pools
from crewcall_worker.board.reading.queues import QueueLook, read_queues_page
from crewcall_worker.board.reading.rates import Rates
from crewcall_worker.board.reading.source import Source


@dataclass(frozen=True, slots=True)
class Overview:
    """`after` asks for the queues behind these; None where there are no more. `unlisted_pools`: how many there are
    beyond the 200 that were told of last."""

    now_ms: int
    pools: tuple[PoolLook, ...]
    queues: tuple[QueueLook, ...]
    rates: Mapping[str, Rates]
    after: str | None
    total_queues: int
    unlisted_pools: int


def read_overview(source: Source, after: str = "") -> Overview:
    """Pools, and a page of queues: seven round trips."""
    page = read_queues_page(source, after)
    pools = read_pools(source)
    now_ms = page.queues[0].at_ms if page.queues else pools[0].now_ms if pools else source.now_ms()
    rates = source.book.note(page.queues)
    return Overview(now_ms, pools, page.queues, rates, page.after, page.total, count_unread(source))
