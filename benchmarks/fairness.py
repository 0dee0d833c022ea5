"""One organisation's burst: how long another one's jobs wait behind it, in turns and, for comparison, in one line.

Organisation A sends 5,000 jobs of 5 ms, then organisation B sends 50; one real worker process with eight threads is
there, on a real Redis. First as typed jobs, which wait in lanes; then the very same as plain messages: first come,
first served. Measured is, for each of B's jobs, the time from when B began to send until it began, by Redis's clock.

Prints one JSON line; exits 1 when a promise is broken.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis

from benchmarks import catalogue, crews, fair_jobs
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues import NewJob, QueueService

BURST, OTHERS, THREADS = 5_000, 50, 8
SHARE = 0.95
LONGEST_S = 300.0
KEYS = wire.Keys()

Send = Callable[[str, str, int], object]
"""Sends, to the Redis of that URL, so many jobs of an organisation."""


def main() -> int:
    waits = {}
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client, tempfile.TemporaryDirectory() as folder:
        for queue, send in ((fair_jobs.TYPED, send_typed), (fair_jobs.PLAIN, send_plain)):
            client.flushall()
            waits[queue] = measure(server.url, client, queue, send, Path(folder))
            print(f"{queue}: 95 % of B's jobs began within {waits[queue]:.3f} s", file=sys.stderr)
    in_turns, in_line = waits[fair_jobs.TYPED], waits[fair_jobs.PLAIN]
    figures = {
        "times_sooner": round(in_line / in_turns, 2),
        "b_p95_wait_s": round(in_turns, 3),
        "fifo_b_p95_wait_s": round(in_line, 3),
    }
    print(json.dumps(figures))
    return catalogue.exit_status("fairness", figures)


def measure(url: str, client: redis.Redis, queue: str, send: Send, folder: Path) -> float:
    """What 95 % of B's jobs wait at most, in seconds."""
    environment = {wire.ENV_QUEUES: queue}
    crew = crews.start(crews.CREWCALL, url, queue, THREADS, folder, environment, module="benchmarks.fair_jobs")
    try:
        _wait_until(lambda: client.hlen(KEYS.workers("bench")) == 1, "the worker is there")
        send(url, "a", BURST)
        seconds, microseconds = client.time()
        send(url, "b", OTHERS)
        _wait_until(lambda: client.hlen(fair_jobs.BEGAN) == BURST + OTHERS, "all jobs have begun")
        _wait_until(lambda: client.hlen(KEYS.messages(queue)) == 0, "all jobs are done")
    finally:
        crew.kill()
    began = sorted(int(client.hget(fair_jobs.BEGAN, f"b{number}") or 0) for number in range(OTHERS))
    return (began[int(SHARE * OTHERS)] - (seconds * 1000 + microseconds // 1000)) / 1000


def send_typed(url: str, organization: str, count: int) -> None:
    """As applications do."""
    queues = QueueService.from_environment({wire.ENV_REDIS_URL: url})
    queues.enqueue_many(
        NewJob(fair_jobs.fair, fair_jobs.Labelled(organization_id=organization, label=f"{organization}{number}"))
        for number in range(count)
    )
    queues.shutdown()


def send_plain(url: str, organization: str, count: int) -> None:
    """The same jobs as plain messages, which wait in Dramatiq's own list."""
    broker = CrewcallBroker(url=url)
    broker.outbox.enqueue_many([(fair_jobs.plain.message(f"{organization}{n}"), None) for n in range(count)])
    broker.close()


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {LONGEST_S:g} s: {what}; see the worker's log")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
