"""The pools of a soak, and what their queues hold: another number of jobs every few seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import Any

import dramatiq
import redis
from tests.support.sentinel import MASTER, Watched

from benchmarks.soak_judge import EACH, LEAST, MOST, WINDOW, Level, Name, Subject
from crewcall_operator.adapters.embedded_redis import HOST
from crewcall_worker import options
from crewcall_worker.broker import CrewcallBroker

AWAY, HOME = "away", "shop"
#: Seconds for a Redis to answer: more than the longest pause that it is given.
PATIENCE = 5.0
#: Pools by the Redis that they are on; those of the namespace that is deleted; those that borrow a Deployment.
ON = {"mortal": 8, "frosty": 7, "watched": 5}
IN_AWAY, BORROWING = 3, 2
#: Of five pools one has jobs of organisations, which wait in lanes; of seven one has a promise in place of a backlog.
ORGANIZATIONS, PROMISE = ("acme", "brill", "corax"), {"queueLatency": "10s"}
#: A schedule that is always in force, whatever the clock says, and what it asks for.
SCHEDULED = 2
ALWAYS = {"name": "always", "start": "* * * * *", "end": "0 0 29 2 *", "minReplicas": SCHEDULED}


@dataclass(frozen=True, slots=True)
class Redises:
    """Where the queues are: by name the ports of two plain ones, and the third behind its Sentinel."""

    ports: dict[str, int]
    watched: Watched

    def client(self, name: str) -> redis.Redis:
        """Of whoever takes writes now."""
        port = self.ports.get(name) or self.watched.present(PATIENCE)
        return redis.Redis(host=HOST, port=port, socket_timeout=PATIENCE)

    def spec(self, name: str) -> dict[str, Any]:
        """As a pool names it."""
        if name in self.ports:
            return {"url": f"redis://127.0.0.1:{self.ports[name]}/0"}
        return {"sentinel": {"master": MASTER, "addresses": [self.watched.address]}}


def pools(redises: Redises) -> dict[Name, tuple[dict[str, Any], Subject]]:
    """Every WorkerPool, with what the judge must know of it."""
    found = {}
    names = [name for name, number in ON.items() for _ in range(number)]
    for number, on in enumerate(names):
        key = (AWAY if number % 7 == 1 else HOME, f"pool-{number:02d}")
        pool = _pool(key, redises.spec(on))
        if number % 9 == 3:
            del pool["spec"]["template"]
            pool["spec"]["deploymentRef"] = {"name": f"borrowed-{number:02d}"}
        if number == 0:
            pool["spec"]["schedules"] = [ALWAYS]
        promises = number % 7 == 4
        if promises:
            pool["spec"]["target"] = PROMISE
        target = (key[0], pool["spec"].get("deploymentRef", {"name": key[1]})["name"])
        found[key] = pool, Subject(target, on, SCHEDULED if number == 0 else LEAST, promises)
    return found


def _pool(key: Name, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"namespace": key[0], "name": key[1]},
        "spec": {
            "redis": spec,
            "queues": [{"name": key[1]}],
            "minReplicas": LEAST,
            "maxReplicas": MOST,
            "target": {"backlogPerReplica": EACH},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": int(WINDOW)}},
            "cooldown": "3s",
            "template": {"spec": {"containers": [{"name": "worker", "image": "example/worker"}]}},
        },
    }


async def change(key: Name, subject: Subject, redises: Redises, lock: asyncio.Lock, random: Random, end: float) -> None:
    """Give a queue another level now and then, until `end`; never while its Redis has a fault, so that it is known."""
    while (left := end - time.monotonic()) > 0:
        async with lock:
            jobs = random.choice((0, 0, random.randint(1, 130)))
            level = Level(jobs, time.monotonic())
            subject.levels = [*subject.levels[-50:], level]  # before it is there: an operator may see it first
            fill = _fill_lanes if int(key[1][-2:]) % 5 == 2 else _fill
            await asyncio.to_thread(fill, redises.client(subject.redis), key[1], jobs)
            level.since = time.monotonic()
        await asyncio.sleep(min(left, random.uniform(4.0, 12.0)))


def _fill(client: redis.Redis, queue: str, jobs: int) -> None:
    ids = [f"{queue}-{number}" for number in range(jobs)]
    with client, client.pipeline(transaction=True) as pipeline:
        pipeline.delete(f"dramatiq:{queue}", f"dramatiq:{queue}.msgs")
        if ids:
            pipeline.hset(f"dramatiq:{queue}.msgs", mapping=dict.fromkeys(ids, "{}"))
            pipeline.rpush(f"dramatiq:{queue}", *ids)
        pipeline.execute()
        _until_replicated(client)


def _fill_lanes(client: redis.Redis, queue: str, jobs: int) -> None:
    """By the runtime itself: the lanes are its own."""
    organizations = [{options.ORGANIZATION: ORGANIZATIONS[number % len(ORGANIZATIONS)]} for number in range(jobs)]
    with client:
        broker = CrewcallBroker(client=client)
        broker.flush(queue)
        broker.outbox.enqueue_many([(dramatiq.Message(queue, "work", (), {}, told), None) for told in organizations])
        _until_replicated(client)


def _until_replicated(client: redis.Redis) -> None:
    """So that a failover loses nothing."""
    if client.info()["connected_slaves"]:
        client.wait(1, 1_000)
