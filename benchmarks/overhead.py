"""What the runtime costs: no-op jobs per second, with everything on, against plain Dramatiq in the same run.

One worker process each, on the same embedded Redis, in turns: plain, Crewcall, plain, Crewcall ... Each pair gives a
ratio, and the median of them counts. With 8 threads and with 1, where plain Dramatiq is bound by its polling.

Commands are what Redis itself counts (INFO commandstats): every command, those inside scripts included, and the calls
of scripts as well. The benchmark's own are left out. Prints one JSON line; exits 1 when a promise is broken.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks import catalogue, crews, jobs
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker.broker import CrewcallBroker

WARM_UP = 200  # jobs
OWN_COMMANDS = frozenset({"hlen", "info", "config|resetstat"})
LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Workers with so many threads run so many jobs, in so many pairs."""

    threads: int
    jobs: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Jobs per second, and what Redis had to do for each of them."""

    jobs_per_s: float
    commands_per_job: float


LOADS = (Load(threads=8, jobs=5000, pairs=7), Load(threads=1, jobs=1500, pairs=3))


def main() -> int:
    results = {}
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client, tempfile.TemporaryDirectory() as folder:
        for load in LOADS:
            pairs = [
                tuple(
                    measure(program, server.url, client, load, Path(folder))
                    for program in (crews.PLAIN, crews.CREWCALL)
                )
                for _ in range(load.pairs)
            ]
            results[load.threads] = pairs
            for plain, crewcall in pairs:
                print(f"{load.threads} threads: plain {plain}, Crewcall {crewcall}", file=sys.stderr)
    ratios = {
        threads: statistics.median(crewcall.jobs_per_s / plain.jobs_per_s for plain, crewcall in pairs)
        for threads, pairs in results.items()
    }
    figures = {
        "ratio": round(ratios[8], 4),
        "redis_commands_per_job": _commands(results[8], 1),
        "plain_redis_commands_per_job": _commands(results[8], 0),
        "one_thread_ratio": round(ratios[1], 4),
        "one_thread_redis_commands_per_job": _commands(results[1], 1),
        "one_thread_plain_redis_commands_per_job": _commands(results[1], 0),
    }
    print(json.dumps(figures))
    return catalogue.exit_status("overhead", figures)


def measure(program: str, url: str, client: redis.Redis, load: Load, folder: Path) -> Speed:
    """One worker's speed, from when it has warmed up to when its queue is nearly empty."""
    client.flushall()
    send(program, url, load.jobs)
    crew = crews.start(program, url, program, load.threads, folder)
    try:
        _wait_until_left(client, load.jobs - WARM_UP)
        client.config_resetstat()
        before, begun = _left(client), time.monotonic()
        _wait_until_left(client, WARM_UP)
        left, ended = _left(client), time.monotonic()
        commands = _count_commands(client)
    finally:
        crew.kill()
    return Speed(round((before - left) / (ended - begun), 1), round(commands / (before - left), 2))


def send(program: str, url: str, count: int) -> None:
    """Enqueue jobs, as a producer does that goes with this worker."""
    broker = CrewcallBroker(url=url) if program == crews.CREWCALL else RedisBroker(url=url)
    for _ in range(count):
        broker.enqueue(jobs.nothing.message())
    broker.close()


def _commands(pairs: list[tuple[Speed, ...]], place: int) -> float:
    return round(statistics.median(pair[place].commands_per_job for pair in pairs), 2)


def _left(client: redis.Redis) -> int:
    return int(client.hlen(f"dramatiq:{jobs.SHORT}.msgs"))


def _wait_until_left(client: redis.Redis, count: int) -> None:
    end = time.monotonic() + LONGEST_S
    while _left(client) > count:
        if time.monotonic() > end:
            raise TimeoutError(f"{_left(client)} jobs are left after {LONGEST_S:g} s; see the worker's log")
        time.sleep(0.01)


def _count_commands(client: redis.Redis) -> int:
    stats = client.info("commandstats")
    return sum(
        int(figures["calls"]) for name, figures in stats.items() if name.removeprefix("cmdstat_") not in OWN_COMMANDS
    )


if __name__ == "__main__":
    sys.exit(main())
