"""A Redis that is full, and refuses what would need more: workers go on all the same, and make room. Real workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import recovery
from crewcall_worker.queues import (
    CATALOGUE,
    FixedDelays,
    JobContext,
    JobType,
    Payload,
    QueueService,
    QueueUnavailable,
    RateLimit,
    job,
)
from crewcall_worker.queues.limits import OrganizationLimits
from crewcall_worker.queues.pauses import Pauses
from crewcall_worker.wire import Keys, WorkerRecord, write_worker

KEYS = Keys()


class Send(Payload):
    to: str = ""


class Jobs:
    """One type that works, one that fails for good, one with a rate limit. Each notes its runs."""

    def __init__(self) -> None:
        self.ran: list[str] = []

        @job("sms.plain", queue="sms")
        def plain(payload: Send, context: JobContext) -> None:
            del context
            self.ran.append(payload.to)

        @job("sms.fail", queue="sms", retries=FixedDelays(0.1, 0.1))
        def fail(payload: Send, context: JobContext) -> None:
            self.ran.append(f"{payload.to} {context.attempt}")
            raise RuntimeError("no way")

        @job("sms.rated", queue="sms", rate=RateLimit(limit=4, period=1.0))
        def rated(payload: Send, context: JobContext) -> None:
            del context
            self.ran.append(payload.to)

        self.plain, self.fail, self.rated = plain, fail, rated
        self.all: dict[str, JobType[Any]] = {kind.name: kind for kind in (plain, fail, rated)}
        for name in self.all:
            del CATALOGUE[name]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with EmbeddedRedis(options=("--maxmemory-policy", "noeviction")) as embedded, emptied(embedded) as lent:
        yield lent


@pytest.fixture
def queues(server: RedisServer) -> Iterator[QueueService]:
    service = QueueService.from_environment({"REDIS_URL": server.url})
    yield service
    service.shutdown()


def fill(server: RedisServer) -> None:
    """From now on every command that may need memory is refused."""
    server.client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        server.client.set("more", 1)


def test_a_worker_that_starts_on_a_full_redis_works_it_off(server: RedisServer, queues: QueueService) -> None:
    jobs = Jobs()
    queues.enqueue(jobs.plain, Send(organization_id="acme", to="Ada"))
    queues.enqueue(jobs.plain, Send(organization_id="acme", to="later"), delay=0.5)
    queues.enqueue(jobs.fail, Send(organization_id="acme", to="Alan"))
    for number in range(3):
        queues.enqueue(jobs.rated, Send(organization_id="acme", to=f"rated {number}"))
    fill(server)

    with at_work(server.url, jobs.all):
        wait_until(lambda: server.client.zcard(KEYS.dead("sms")) == 1, "the failing job to be a dead letter")
        wait_until(lambda: "rated 2" in jobs.ran and "later" in jobs.ran, "the rate limit to let all begin")
        wait_until(lambda: server.client.hget(KEYS.stats("sms"), "done") == "5", "the worker to tell what was done")
        with pytest.raises(QueueUnavailable, match="is full"):
            queues.enqueue(jobs.plain, Send(organization_id="acme"))

    assert sorted(jobs.ran) == ["Ada", "Alan 1", "Alan 2", "Alan 3", "later", "rated 0", "rated 1", "rated 2"]
    assert server.client.exists(KEYS.messages("sms"), KEYS.messages("sms.DQ")) == 0


def test_a_pause_that_is_lifted_is_heard_from_a_full_redis(server: RedisServer, queues: QueueService) -> None:
    jobs = Jobs()
    Pauses(server.client, "dramatiq").pause("sms", by="Ada")
    queues.enqueue(jobs.plain, Send(organization_id="acme", to="Ada"))

    with at_work(server.url, jobs.all):
        wait_until(lambda: server.client.hlen(KEYS.workers("pool")) == 1, "the worker to register")
        fill(server)
        Pauses(server.client, "dramatiq").resume("sms", by="Ada")
        wait_until(lambda: jobs.ran == ["Ada"], "the job to run")


def test_organisations_at_their_limit_are_served_from_a_full_redis(server: RedisServer, queues: QueueService) -> None:
    jobs = Jobs()
    OrganizationLimits(server.client, "dramatiq").set("sms", "acme", 1)
    for number in range(5):
        queues.enqueue(jobs.plain, Send(organization_id="acme", to=str(number)))
    fill(server)

    with at_work(server.url, jobs.all):
        wait_until(lambda: jobs.ran == [str(number) for number in range(5)], "all of them to run")


def test_dead_workers_jobs_come_back_and_suspects_run_on_a_full_redis(
    server: RedisServer, queues: QueueService
) -> None:
    jobs = Jobs()
    id_ = queues.enqueue(jobs.plain, Send(organization_id="acme", to="Ada")).id
    server.client.lpop(KEYS.lane("sms", "1:acme"))
    server.client.delete(KEYS.lanes("sms"), KEYS.waiting("sms"))
    server.client.sadd(KEYS.acks("gone", "sms"), id_)
    server.client.hset(KEYS.workers("pool"), "gone", write_worker(WorkerRecord("gone", queues=("sms",))))
    fill(server)

    assert recovery.lapsed(server.client, "dramatiq", "pool", lapse_ms=0, period_ms=0, queues=["sms"]) == []
    assert recovery.lapsed_plain(server.client, "dramatiq", "pool", period_ms=0) == []
    (recovered,) = recovery.recover(server.client, "dramatiq", "pool", ["gone"])
    with at_work(server.url, jobs.all):
        wait_until(lambda: jobs.ran == ["Ada"], "the suspect to run")

    assert recovered.returned == 1
