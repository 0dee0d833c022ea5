"""What enqueueing costs: jobs per second by the QueueService, one by one and in batches, against Dramatiq's `send`.

All three send the same payload into the same embedded Redis, in turns of one run: plain, single, batches, plain ...
Each turn gives its ratios, and the median of them counts. The service does more for a job: it checks the payload and
reads it back, gives it a lane, counts it for its organisation, and knows its like. One process, one thread, no worker.

Prints one JSON line; exits 1 when a promise is broken.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks import catalogue
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker.queues import CATALOGUE, JobContext, NewJob, Payload, QueueService, job

TURNS = 60
JOBS = 200  # in a turn: short ones, so that what else the machine does meets all three
BATCH, BATCHES = 100, 8  # in a turn, which is then about as long


class Send(Payload):
    """As large as such payloads are."""

    to: str
    text: str
    campaign: int


@job("bench.send", queue="typed")
def send(payload: Send, context: JobContext) -> None:
    """Never run here."""


del CATALOGUE["bench.send"]

PAYLOAD = {"organization_id": "acme", "to": "+49 30 1234567", "text": "Your parcel comes today. " * 4, "campaign": 4711}


def main() -> int:
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        broker = RedisBroker(url=server.url)
        plain = dramatiq.actor(actor_name="plain", queue_name="plain", broker=broker)(_nothing)
        queues = QueueService.from_environment({"REDIS_URL": server.url})
        turns = []
        for _ in range(TURNS):
            client.flushall()
            turns.append(
                (
                    _rate(JOBS, lambda: _plain(plain)),
                    _rate(JOBS, lambda: _single(queues)),
                    _rate(BATCH * BATCHES, lambda: _batches(queues)),
                )
            )
            print("plain {:.0f}/s, single {:.0f}/s, batches {:.0f}/s".format(*turns[-1]), file=sys.stderr)
        queues.shutdown()
        broker.close()
    single = statistics.median(single / plain for plain, single, _ in turns)
    batch = statistics.median(batch / plain for plain, _, batch in turns)
    figures = {"single_ratio": round(single, 4), "batch_ratio": round(batch, 4)}
    print(json.dumps(figures))
    return catalogue.exit_status("enqueue", figures)


def _rate(jobs: int, enqueue: Callable[[], object]) -> float:
    """Jobs per second."""
    gc.collect()
    begun = time.perf_counter()
    enqueue()
    return jobs / (time.perf_counter() - begun)


def _plain(actor: dramatiq.Actor[[dict[str, object]], None]) -> None:
    for _ in range(JOBS):
        actor.send(PAYLOAD)


def _single(queues: QueueService) -> None:
    for _ in range(JOBS):
        queues.enqueue(send, Send.model_validate(PAYLOAD))


def _batches(queues: QueueService) -> None:
    for _ in range(BATCHES):
        queues.enqueue_many([NewJob(send, Send.model_validate(PAYLOAD)) for _ in range(BATCH)])


def _nothing(payload: dict[str, object]) -> None:
    """Never run here."""


if __name__ == "__main__":
    sys.exit(main())
