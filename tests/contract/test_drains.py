"""Workers asked by hand to drain: they finish what they run, take nothing more, and work again when they may."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.test_wire import NAMED, POOL, now_ms, only
from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import worker

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.drains import Drains
from crewcall_worker.recovery import recover
from crewcall_worker.wire import Asked, WorkerRecord, WorkerState

KEYS = wire.Keys()


@pytest.fixture
def drains(redis_server: RedisServer) -> Drains:
    return Drains(redis_server.client, "dramatiq")


def present(server: RedisServer, id_: str) -> None:
    server.client.hset(KEYS.workers(POOL), id_, wire.write_worker(WorkerRecord(id_, pod="pod-1")))


def test_tells_who_asked_a_worker_and_when(drains: Drains, redis_server: RedisServer) -> None:
    present(redis_server, "w1")

    asked = drains.ask(POOL, "w1", by="ada")

    assert asked is not None
    assert replace(asked, at_ms=None) == Asked("w1", "ada")
    assert asked.at_ms == pytest.approx(now_ms(redis_server), abs=1_000)
    assert drains.list(POOL) == [asked]


def test_who_asks_a_worker_that_was_asked_is_told_who_was_first(drains: Drains, redis_server: RedisServer) -> None:
    present(redis_server, "w1")
    first = drains.ask(POOL, "w1", by="ada")

    assert drains.ask(POOL, "w1", by="bob") == first


def test_nobody_is_asked_who_is_not_there(drains: Drains) -> None:
    assert drains.ask(POOL, "w1", by="ada") is None
    assert drains.list(POOL) == []


def test_a_wish_is_somebodys(drains: Drains) -> None:
    with pytest.raises(ValueError, match="expected somebody to be named"):
        drains.ask(POOL, "w1", by="")


def test_who_withdraws_a_wish_is_told_whether_there_was_one(drains: Drains, redis_server: RedisServer) -> None:
    present(redis_server, "w1")
    drains.ask(POOL, "w1", by="ada")

    assert [drains.withdraw(POOL, "w1", by="bob"), drains.withdraw(POOL, "w1", by="bob")] == [True, False]


def test_the_wish_for_a_worker_goes_when_it_is_taken_for_dead(drains: Drains, redis_server: RedisServer) -> None:
    present(redis_server, "w1")
    drains.ask(POOL, "w1", by="ada")

    recover(redis_server.client, "dramatiq", POOL, ["w1"])

    assert drains.list(POOL) == []


def test_a_real_worker_finishes_what_it_runs_takes_nothing_more_and_works_again_when_it_may(
    redis_server: RedisServer, drains: Drains, tmp_path: Path
) -> None:
    client, broker = redis_server.client, CrewcallBroker(url=redis_server.url)
    with worker("crewcall-worker", redis_server, tmp_path, threads=1, environment=NAMED) as running:
        broker.outbox.enqueue_many([(jobs.hold.message(number), None) for number in range(3)])
        wait_until(lambda: client.llen(jobs.BEGUN) == 1, "a job to run")
        record = only(redis_server)
        assert record is not None

        drains.ask(POOL, record.worker, by="ada")

        wait_until(lambda: is_in(redis_server, WorkerState.DRAINING), "it to drain")
        jobs.let_go(client, 3)
        wait_until(lambda: is_in(redis_server, WorkerState.DRAINED), "it to have drained")
        assert (client.llen(jobs.DONE), client.llen(KEYS.ready("sms"))) == (1, 2)

        drains.withdraw(POOL, record.worker, by="ada")
        wait_until(lambda: client.llen(jobs.DONE) == 3, "the other jobs to be done")
        drains.ask(POOL, record.worker, by="ada")
        wait_until(lambda: is_in(redis_server, WorkerState.DRAINED), "it to have drained again")
        running.terminate()
        assert running.exit_status() == 0
    broker.close()

    assert drains.list(POOL) == []


def is_in(server: RedisServer, state: WorkerState) -> bool:
    record = only(server)
    return record is not None and record.state is state
