"""A Redis that looks like a busy afternoon, for the board's tests: pools with a history, jobs in every state."""

from __future__ import annotations

import json
import math
from typing import Any

import redis
from dramatiq.message import Message

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.pauses import Pauses
from crewcall_worker.queues.records import Finished, write_record

KEYS = wire.Keys()
POOL = "shop/notifications"
MINUTE = 60_000


def now_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def a_message(queue: str, job: str, number: int, organization: str = "acme", **options: Any) -> Message[Any]:
    payload = {"organization_id": organization, "to": f"+49 30 12345{number:02}", "text": "Your parcel <b>is</b> here"}
    told = {"organization_id": organization, **options}
    return Message(queue, job, (), {"payload": payload}, told, message_id=f"{job}-{organization}-{number}")


def enqueue(broker: CrewcallBroker, queue: str, job: str, count: int, *, delay: int | None = None) -> None:
    broker.declare_queue(queue)
    for number in range(count):
        organization = ("acme", "globex", "initech")[number % 3]
        first = 0 if delay is None else 1_000  # each has an id of its own
        broker.enqueue(a_message(queue, job, first + number, organization), delay=delay)


def bury(client: redis.Redis, queue: str, job: str, number: int, *, error: str, death: str, ago_ms: int) -> str:
    """A dead letter; its id."""
    trace = f'Traceback (most recent call last):\n  File "jobs.py", line {number}, in send\n    raise it\n{error}\n'
    message = a_message(
        queue, job, number, retries=3, death=death, error=error, traceback=trace,
        trace={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    )  # fmt: skip
    id_ = f"dead-{queue}-{number}"
    message = message.copy(options={"redis_message_id": f"{id_}.3"})
    enqueued_ms = now_ms(client) - ago_ms - 3 * MINUTE
    message = Message(**{**message.asdict(), "message_id": id_, "message_timestamp": enqueued_ms})
    client.hset(KEYS.messages(f"{queue}.XQ"), f"{id_}.3", message.encode())
    client.zadd(KEYS.dead(queue), {f"{id_}.3": now_ms(client) - ago_ms})
    client.sadd(KEYS.queues, queue)
    return id_


def complete(client: redis.Redis, queue: str, job: str, number: int, *, ago_ms: int) -> None:
    at = now_ms(client) - ago_ms
    message = a_message(queue, job, number)
    client.hset(
        KEYS.records(queue), message.message_id, write_record(Finished(message, at - 340 - number * 17, at, "worker-1"))
    )
    client.zadd(KEYS.completed(queue), {message.message_id: at})


def run(client: redis.Redis, queue: str, job: str, number: int, worker: str, *, for_ms: int) -> None:
    """A job that a worker runs."""
    message = a_message(queue, job, 1000 + number)
    id_ = message.message_id
    client.hset(KEYS.messages(queue), id_, message.encode())
    client.sadd(KEYS.acks(worker, queue), id_)
    client.zadd(KEYS.running(queue), {id_: now_ms(client) - for_ms})
    client.hset(KEYS.runners(queue), id_, worker)


def work(client: redis.Redis, pool: str, worker: str, pod: str, **told: Any) -> None:
    """A worker of a pool, that has just told of itself."""
    record = wire.WorkerRecord(worker, pod=pod, at_ms=now_ms(client), **{"threads": 8, "prefetched": 2, **told})
    client.hset(KEYS.workers(pool), worker, wire.write_worker(record))


def decide(client: redis.Redis, record: wire.PoolRecord) -> None:
    told = json.loads(wire.write_pool(record)) | {"at_ms": record.at_ms or now_ms(client)}
    client.set(KEYS.pool(record.pool), json.dumps(told))
    client.zadd(KEYS.pools, {record.pool: now_ms(client)})


def remember(client: redis.Redis, pool: str, *, minutes: int = 240) -> None:
    """Hours of history: two bursts, and the decisions they led to; a third one begins."""
    end = now_ms(client)
    replicas, every = 0, 15_000
    with client.pipeline(transaction=False) as pipeline:
        for step in range(minutes * 4):
            at = end - (minutes * 4 - step) * every
            phase = step / (minutes * 4)
            bursts = ((1.0, 0.3, 0.07), (0.6, 0.72, 0.08), (0.35, 1.02, 0.04))
            burst = sum(height * math.exp(-(((phase - at_) / width) ** 2)) for height, at_, width in bursts)
            ready = round(400 * burst + 6 * math.sin(step / 3) ** 2 + 1)
            wanted = min(12, math.ceil(ready / 40) + (1 if ready else 0))
            entry = wire.HistoryEntry(
                at, ready=ready, in_flight=min(ready, replicas * 8), delayed=3 + step % 4, oldest_ms=ready * 45,
                desired=wanted, current=replicas, ready_replicas=max(0, replicas - (wanted > replicas)),
            )  # fmt: skip
            pipeline.xadd(KEYS.history(pool), dict[Any, Any](wire.write_history(entry)), id=f"{at}-0")
            if wanted != replicas:
                up = wanted > replicas
                moved = wire.HistoryEntry(
                    at, ready=ready, in_flight=min(ready, replicas * 8), delayed=3, oldest_ms=ready * 45,
                    desired=wanted, current=replicas, ready_replicas=replicas,
                    reason="BacklogDrain" if up else "BacklogFell",
                    message=f"{ready} ready, oldest {ready * 0.045:.1f} s; {wanted} replicas at 40 each",
                )  # fmt: skip
                pipeline.xadd(KEYS.history(pool), dict[Any, Any](wire.write_history(moved)), id=f"{at}-1")
                replicas = wanted
        pipeline.execute()


def busy_afternoon(url: str) -> None:
    """All of it."""
    broker = CrewcallBroker(url=url, middleware=[])
    client = broker.client
    enqueue(broker, "sms", "sms.send", 120)
    enqueue(broker, "sms", "sms.send", 3, delay=90_000)
    enqueue(broker, "email", "email.digest", 8)
    retried = a_message("email", "email.send", 77, retries=2, error="TimeoutError: smtp.example did not answer")
    broker.enqueue(retried, delay=240_000)
    broker.declare_queue("rules")
    broker.declare_queue("reports")
    client.sadd(KEYS.queues, "sms", "email", "rules", "reports")
    errors = (
        ("ConnectionError: the gateway sms.example:443 refused the connection", "retries_exhausted"),
        ("Reject: the number has no such prefix", "rejected"),
        ("KeyError: 'locale'", "retries_exhausted"),
    )
    for number in range(14):
        error, death = errors[number % 3]
        bury(client, "sms", "sms.send", number, error=error, death=death, ago_ms=number * 7 * MINUTE + 3_000)
    bury(client, "reports", "reports.render", 1, error="", death="killed_workers", ago_ms=26 * 60 * MINUTE)
    for number in range(60):
        complete(client, "sms", "sms.send", number, ago_ms=number * 9_000 + 2_000)
    workers = {
        "w1-3f2a": "notifications-7d9f-x2k4p",
        "w2-91bc": "notifications-7d9f-q8m2z",
        "w3-0d4e": "notifications-7d9f-b5t9r",
    }
    began = now_ms(client) - 190 * MINUTE
    for place, (worker, pod) in enumerate(workers.items()):
        state = wire.WorkerState.DRAINING if place == 2 else wire.WorkerState.RUNNING
        jobs = 1 if place == 2 else 3
        work(
            client,
            POOL,
            worker,
            pod,
            state=state,
            busy=jobs,
            host_started_ms=began + place * 40 * MINUTE,
            queues=("sms", "email"),
        )
        for number in range(jobs):
            run(client, "sms", "sms.send", place * 10 + number, worker, for_ms=1_200 + place * 24_000 + number * 700)
    counters = {
        "enqueued": 182_331,
        "started": 182_200,
        "done": 181_900,
        "failed": 312,
        "retried": 1_090,
        "busy_ms": 56_000_000,
    }
    client.hset(KEYS.stats("sms"), mapping={name: str(value) for name, value in counters.items()})
    now = now_ms(client)
    decide(client, wire.PoolRecord(
        POOL, ("sms", "email"), "Auto", 0, 50, "95 % of jobs start within 30 s", 7, 4, 4, 1, "BacklogDrain",
        "128 ready, oldest 4.1 s, 7 in flight; 7 replicas at a promise of 30 s", at_ms=now - 4_000,
    ))  # fmt: skip
    decide(client, wire.PoolRecord(
        "shop/digests", ("email",), "Auto", 0, 5, "20 jobs for each replica", 0, 0, 0, 0, "Idle",
        "nothing is outstanding", at_ms=now - 3 * 60 * MINUTE,
    ))  # fmt: skip
    decide(client, wire.PoolRecord(
        "shop/reports", ("reports",), "Recommend", 1, 5, "20 jobs for each replica", 2, 2, 2, 0, "Pinned",
        "pinned by jane", pinned=2, pinned_by="jane", at_ms=now - 40 * MINUTE,
    ))  # fmt: skip
    remember(client, POOL)
    remember(client, "shop/digests", minutes=30)
    Pauses(client, "dramatiq").pause("reports", by="jane", reason="the renderer is being replaced")
    broker.close()
