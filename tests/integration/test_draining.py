"""Orders and signals to real workers: what they hold goes back at once and in order, what runs is finished."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer, emptied
from tests.support.waiting import wait_until
from tests.support.workers import WorkerProcess, started, worker

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.recovery import recover
from crewcall_worker.wire import Order, WorkerRecord, WorkerState

POOL, POD, KEYS = "notifications", "pod-1", wire.Keys()
READY, DELAYED = KEYS.ready("sms"), KEYS.ready("sms.DQ")
A_DAY_MS = 86_400_000


@pytest.fixture
def running(redis_server: RedisServer, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker with one thread, which holds one job, one more in its hands, and all that is delayed."""
    with at_work(redis_server, tmp_path) as process:
        yield process


@contextmanager
def at_work(server: RedisServer, tmp_path: Path, **environment: str) -> Iterator[WorkerProcess]:
    named = {wire.ENV_POOL: POOL, wire.ENV_POD: POD, **environment}
    with worker("crewcall-worker", server, tmp_path, threads=1, environment=named) as process:
        yield process


def send(server: RedisServer, count: int, *, delay: int | None = None, first: int = 0) -> list[str]:
    """Held jobs, numbered; their ids in Redis."""
    broker = RedisBroker(url=server.url)
    sent = [broker.enqueue(jobs.hold.message(first + job), delay=delay) for job in range(count)]
    broker.close()
    return [message.options["redis_message_id"] for message in sent]


def order(server: RedisServer, word: Order, *, told: bool = True) -> None:
    """Order the pod, and tell of it."""
    server.client.hset(KEYS.orders(POOL), POD, word)
    if told:
        server.client.publish(KEYS.orders_changed, POD)


def record(server: RedisServer) -> WorkerRecord | None:
    records = server.client.hgetall(KEYS.workers(POOL))
    assert len(records) <= 1
    return next((wire.read_worker(str(id_), text) for id_, text in records.items()), None)


def wait_for_state(server: RedisServer, state: WorkerState) -> None:
    wait_until(lambda: (found := record(server)) is not None and found.state is state, f"a worker that is {state}")


def ids(server: RedisServer, key: str) -> list[str]:
    return [str(id_) for id_ in server.client.lrange(key, 0, -1)]


def wait_for_list(server: RedisServer, key: str, expected: list[str]) -> None:
    wait_until(lambda: ids(server, key) == expected, f"{key} to be {expected}")


def wait_for_begun(server: RedisServer, count: int) -> None:
    wait_until(lambda: server.client.llen(jobs.BEGUN) == count, f"{count} jobs to begin")


def still_runs(server: RedisServer, worker: WorkerProcess) -> bool:
    """Whether the worker has not come to the end of its job, which it does when it is let go."""
    return worker.process.poll() is None and server.client.llen(jobs.DONE) == 0


def hands_full(server: RedisServer) -> tuple[list[str], list[str]]:
    """Send until the worker runs one, has prefetched one and holds three delayed; the ids, and those delayed."""
    delayed = send(server, 3, delay=A_DAY_MS, first=10)
    sent = send(server, 4)
    wait_for_begun(server, 1)
    wait_for_list(server, READY, sent[2:])
    wait_for_list(server, DELAYED, [])
    return sent, delayed


def test_an_order_brings_back_in_order_what_is_not_begun_while_what_runs_is_finished(
    redis_server: RedisServer, running: WorkerProcess
) -> None:
    sent, delayed = hands_full(redis_server)

    order(redis_server, Order.DRAIN)
    wait_for_list(redis_server, READY, sent[1:])
    wait_for_list(redis_server, DELAYED, delayed)
    assert still_runs(redis_server, running)
    wait_for_state(redis_server, WorkerState.DRAINING)

    jobs.let_go(redis_server.client, 1)
    wait_for_state(redis_server, WorkerState.DRAINED)
    assert redis_server.client.lrange(jobs.DONE, 0, -1) == ["0"]
    assert ids(redis_server, READY) == sent[1:]
    assert running.process.poll() is None


def test_an_order_that_nobody_tells_of_is_seen_all_the_same(redis_server: RedisServer, running: WorkerProcess) -> None:
    sent, _ = hands_full(redis_server)

    order(redis_server, Order.DRAIN, told=False)
    wait_for_list(redis_server, READY, sent[1:])

    assert still_runs(redis_server, running)


def test_a_drained_worker_takes_nothing_and_keeps_its_heartbeat(
    redis_server: RedisServer, running: WorkerProcess
) -> None:
    wait_until(lambda: record(redis_server), "the worker's record")
    order(redis_server, Order.DRAIN)
    wait_for_state(redis_server, WorkerState.DRAINED)
    sent = send(redis_server, 2)
    before = heartbeat(redis_server)

    wait_until(lambda: heartbeat(redis_server) > before + 1000, "two more beats")

    assert ids(redis_server, READY) == sent
    assert running.process.poll() is None


def heartbeat(server: RedisServer) -> float:
    found = record(server)
    assert found is not None
    return server.client.zscore(KEYS.heartbeats, found.worker) or 0.0


@pytest.mark.parametrize("state", [WorkerState.DRAINING, WorkerState.DRAINED])
def test_a_withdrawn_order_puts_the_worker_back_to_work(
    redis_server: RedisServer, running: WorkerProcess, state: WorkerState
) -> None:
    hands_full(redis_server)
    order(redis_server, Order.DRAIN)
    wait_for_state(redis_server, WorkerState.DRAINING)
    if state is WorkerState.DRAINED:
        jobs.let_go(redis_server.client, 1)
        wait_for_state(redis_server, state)

    order(redis_server, Order.RUN)
    wait_until(lambda: redis_server.client.llen(READY) < 3, "jobs to be fetched again")
    assert still_runs(redis_server, running) or state is WorkerState.DRAINED

    jobs.let_go(redis_server.client, 4)
    wait_until(lambda: redis_server.client.llen(jobs.DONE) == 4, "all jobs to be done")
    assert redis_server.client.lrange(jobs.DONE, 0, -1) == ["0", "1", "2", "3"]
    assert running.process.poll() is None


def test_sigterm_brings_back_what_is_not_begun_and_fetches_nothing_more(
    redis_server: RedisServer, running: WorkerProcess
) -> None:
    sent, delayed = hands_full(redis_server)

    running.terminate()
    wait_for_list(redis_server, READY, sent[1:])
    wait_for_list(redis_server, DELAYED, delayed)
    assert still_runs(redis_server, running)
    more = send(redis_server, 1, first=4)
    before = heartbeat(redis_server)
    wait_until(lambda: heartbeat(redis_server) > before + 1000, "two more beats")
    wait_for_state(redis_server, WorkerState.DRAINING)

    jobs.let_go(redis_server.client, 1)
    assert running.exit_status() == 0
    assert redis_server.client.lrange(jobs.DONE, 0, -1) == ["0"]
    assert ids(redis_server, READY) == [*sent[1:], *more]
    assert redis_server.client.keys("dramatiq:__acks__*") == []


def test_when_the_time_is_up_the_running_job_is_the_next_one_again_and_nobody_is_blamed(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with at_work(redis_server, tmp_path, **{wire.ENV_SHUTDOWN_TIMEOUT: "0.2"}) as running:
        sent, _ = hands_full(redis_server)
        running.terminate()
        assert running.exit_status() == 1

    assert running.says("1 jobs were cut off, 1 of them put back")
    assert ids(redis_server, READY) == sent
    assert redis_server.client.hgetall(KEYS.deliveries("sms")) == {sent[0]: "1"}
    assert redis_server.client.exists(KEYS.kills("sms"), KEYS.workers(POOL)) == 0


def test_a_delivery_count_goes_with_its_job(redis_server: RedisServer, running: WorkerProcess) -> None:
    jobs.let_go(redis_server.client, 1)
    (sent,) = send(redis_server, 1)
    redis_server.client.hset(KEYS.deliveries("sms"), sent, 1)
    wait_until(lambda: redis_server.client.llen(jobs.DONE) >= 1, "the job to be done")
    (other,) = send(redis_server, 1, first=1)
    redis_server.client.hset(KEYS.deliveries("sms"), other, 2)
    jobs.let_go(redis_server.client, 1)
    wait_until(lambda: redis_server.client.llen(jobs.DONE) >= 2, "the other to be done")

    assert running.process.poll() is None


def test_a_fenced_worker_registers_anew_and_begins_nothing_twice(
    redis_server: RedisServer, running: WorkerProcess
) -> None:
    sent, delayed = hands_full(redis_server)
    old = record(redis_server)
    assert old is not None

    recover(redis_server.client, "dramatiq", POOL, [old.worker])
    wait_until(lambda: (new := record(redis_server)) is not None and new.worker != old.worker, "a new registration")
    wait_for_list(redis_server, READY, sent[2:])
    wait_for_list(redis_server, DELAYED, [])
    jobs.let_go(redis_server.client, 4)

    wait_until(lambda: redis_server.client.hlen(KEYS.messages("sms")) == 0, "all jobs to be done")
    assert redis_server.client.lrange(jobs.DONE, 0, -1) == ["0", "1", "2", "3"]
    assert redis_server.client.hlen(KEYS.messages("sms.DQ")) == len(delayed)
    assert running.says(f"This worker was declared dead as {old.worker}")


def test_a_module_that_brings_its_own_plain_broker_gets_all_of_it_too(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    named = {wire.ENV_REDIS_URL: redis_server.url, wire.ENV_POOL: POOL, wire.ENV_POD: POD, wire.ENV_THREADS: "1"}
    command = [str(Path(sys.executable).parent / "crewcall-worker"), "run", "tests.support.plain_jobs"]
    with started(command, named, tmp_path / "worker.log") as running:
        sent, delayed = hands_full(redis_server)
        order(redis_server, Order.DRAIN)
        wait_for_list(redis_server, READY, sent[1:])
        wait_for_list(redis_server, DELAYED, delayed)
        jobs.let_go(redis_server.client, 1)
        wait_for_state(redis_server, WorkerState.DRAINED)
        running.terminate()
        assert running.exit_status() == 0


def test_a_worker_outlives_an_outage_and_drains_by_signal_meanwhile(tmp_path: Path) -> None:
    with EmbeddedRedis(keeps_data=True) as server, emptied(server) as lent, at_work(lent, tmp_path) as running:
        sent, delayed = hands_full(lent)
        server.stop()
        running.wait_for("Redis does not take this worker's record")
        running.terminate()
        running.wait_for("SIGTERM: finishing the running jobs")
        server.start()
        wait_for_list(lent, READY, sent[1:])
        wait_for_list(lent, DELAYED, delayed)
        assert running.process.poll() is None
