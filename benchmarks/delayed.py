"""Delayed jobs while their pool sleeps at zero: how late they begin, the worker's start included.

`crewcall local` with its defaults, on a real Redis, and two pools without a worker. 50 jobs each, delayed by 5 to 30 s,
are sent to the one by a producer with the runtime, whose jobs are in the index of ETAs, and to the other by a plain
Dramatiq producer, whose jobs have to be found. Late is from the moment when a job is due until its first line runs;
never and too early are broken promises too. Prints one JSON line; exits 1 when a promise is broken.

With Dramatiq's keys alone, as any scaler by queue length has them, a pool at zero never wakes for a delayed job.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import dramatiq
import redis
import yaml
from dramatiq.brokers.redis import RedisBroker
from rich.console import Console
from tests.support.waiting import until

from benchmarks import catalogue
from benchmarks.delayed_jobs import BEGUN_AT, QUEUES
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.local.history import History
from crewcall_operator.local.run import Options, Running, run
from crewcall_worker.broker import CrewcallBroker

JOBS, DELAY_MS = 50, (5_000, 30_000)
GIVE_UP_S = 60.0
SEED = 5


def main() -> int:
    late: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pools.yaml"
        file.write_text(yaml.safe_dump_all(_pool(queue) for queue in QUEUES))

        async def beside(running: Running) -> None:
            late.update(await _measured(running.url, running.history))

        asyncio.run(run(Options((file,)), Console(stderr=True), beside=beside))
    figures: dict[str, float] = {"jobs": min(len(found) for found in late.values())}
    figures["late_p99_s"] = max(_p99(found) for found in late.values())
    figures |= {f"{queue}_late_p99_s": _p99(found) for queue, found in late.items()}
    figures["early"] = sum(seconds < 0 for found in late.values() for seconds in found)
    print(json.dumps(figures))
    return catalogue.exit_status("delayed", figures)


async def _measured(url: str, history: History) -> dict[str, list[float]]:
    await until(lambda: len(history.reports) == len(QUEUES), "the pools to be looked at")
    due = await asyncio.to_thread(_send, url)
    with redis.Redis.from_url(url, decode_responses=True) as client:
        with suppress(AssertionError):  # then there are fewer, which the figures tell
            await until(lambda: client.hlen(BEGUN_AT) == len(due), "all jobs to be begun", GIVE_UP_S)
        begun = client.hgetall(BEGUN_AT)
    for queue in QUEUES:
        wakings = sum(entry.before == 0 for entry in history.applied(PoolKey("default", queue)))
        print(f"{queue}: the pool was woken {wakings} times", file=sys.stderr)
    return {
        queue: [float(begun[job]) - at for job, at in due.items() if job in begun and job.startswith(queue)]
        for queue in QUEUES
    }


def _send(url: str) -> dict[str, float]:
    """Send all jobs; when each of them is due, in Unix seconds."""
    chance = random.Random(SEED)
    due: dict[str, float] = {}
    for queue, broker in zip(QUEUES, (CrewcallBroker(url=url), RedisBroker(url=url)), strict=True):
        for job in range(JOBS):
            delay = chance.randint(*DELAY_MS)
            message: dramatiq.Message[None] = dramatiq.Message(queue, queue, (queue, job), {}, {})
            sent = broker.enqueue(message, delay=delay)
            due[f"{queue} {job}"] = sent.options["eta"] / 1000
        broker.close()
    return due


def _p99(seconds: list[float]) -> float:
    return round(statistics.quantiles(seconds, n=100, method="inclusive")[98], 3)


def _pool(queue: str) -> dict[str, object]:
    container = {
        "name": "worker",
        "image": "worker",
        "command": ["crewcall-worker", "run", "benchmarks.delayed_jobs"],
    }
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": queue},
        "spec": {
            "redis": {"url": "redis://redis:6379/0"},
            "queues": [{"name": queue}],
            "maxReplicas": 4,
            "target": {"backlogPerReplica": 20},
            # So short that a pool goes to sleep between two jobs and has to be woken more than once.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "cooldown": "0s",
            "template": {"spec": {"containers": [container]}},
        },
    }


if __name__ == "__main__":
    sys.exit(main())
