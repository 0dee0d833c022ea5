"""What each organisation's jobs come to, by queue and day: enqueued, done, failed for good.

Days are UTC's, by Redis's clock. `enqueued` is counted where the job gets into its queue, in the same step; what is
over, by the worker that it was over in, told once a second. Where the answer to a telling is lost it is told again.
A day's counts expire on their own, so organisations that come and go leave nothing behind.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from crewcall_worker import wire
from crewcall_worker.wire import Counter, Keys

DAY_MS = 86_400_000
KEPT_DAYS = 32
MOST_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class OrganizationCounts:
    """One organisation's jobs of one queue on one day."""

    queue: str
    enqueued: int = 0
    done: int = 0
    failed: int = 0


class OrganizationTallies:
    """One worker's counts that are not told yet. `count` is for its threads, `tell` for one other."""

    def __init__(self, keys: Keys, now_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._news: Tally[tuple[str, str, Counter]] = Tally()

    def count(self, organization: str, queue: str, outcome: Counter) -> None:
        """A job is over: DONE or FAILED."""
        with self._lock:
            self._news[organization, queue, outcome] += 1

    def tell(self, client: redis.Redis) -> None:
        """Add to Redis what has come since. Raises `redis.RedisError`; then it is kept."""
        with self._lock:
            news, self._news = self._news, Tally()
        if not news:
            return
        try:
            self._add(client, news)
        except redis.RedisError:
            with self._lock:
                self._news += news
            raise

    def _add(self, client: redis.Redis, news: Tally[tuple[str, str, Counter]]) -> None:
        day = self._now_ms() // DAY_MS
        all_of_day = self._keys.organizations(day)
        with client.pipeline(transaction=True) as pipeline:
            for (organization, queue, outcome), count in news.items():
                key = self._keys.organization(organization, day)
                pipeline.hincrby(key, f"{queue}.{outcome}", count)
                pipeline.pexpire(key, KEPT_DAYS * DAY_MS)
                pipeline.zincrby(all_of_day, count, organization)
            pipeline.pexpire(all_of_day, KEPT_DAYS * DAY_MS)
            pipeline.execute()


def read_organization(client: redis.Redis, keys: Keys, organization: str, day: int) -> tuple[OrganizationCounts, ...]:
    """An organisation's counts of one day (days since the epoch), by queue. Raises `redis.RedisError`."""
    found = {
        wire.text(field): int(count) for field, count in client.hgetall(keys.organization(organization, day)).items()
    }
    queues = sorted({field.rpartition(".")[0] for field in found})
    return tuple(
        OrganizationCounts(
            queue,
            enqueued=found.get(f"{queue}.{Counter.ENQUEUED}", 0),
            done=found.get(f"{queue}.{Counter.DONE}", 0),
            failed=found.get(f"{queue}.{Counter.FAILED}", 0),
        )
        for queue in queues
    )


def busiest(client: redis.Redis, keys: Keys, day: int, most: int = 100) -> Iterator[tuple[str, int]]:
    """Organisations and how many of their jobs were over on that day, most of them first. Raises `redis.RedisError`."""
    found: Any = client.zrevrange(keys.organizations(day), 0, min(most, MOST_LISTED) - 1, withscores=True)
    for organization, count in found:
        yield wire.text(organization), int(count)
