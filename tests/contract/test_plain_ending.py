"""How a plain Dramatiq worker ends: what the simulator takes for granted of all autoscalers but Crewcall."""

from __future__ import annotations

from pathlib import Path

from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.support import jobs
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from tests.support.workers import worker

from crewcall_worker import wire

KEYS = wire.Keys()


def test_it_fetches_on_and_begins_nothing_until_its_running_job_is_done_and_returns_the_rest_then(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    client, broker = redis_server.client, RedisBroker(url=redis_server.url)

    def ready() -> int:
        return int(client.llen(KEYS.ready(jobs.QUEUE)))

    def send(job: int) -> None:
        broker.enqueue(Message(jobs.QUEUE, "hold", (job,), {}, {}))

    with worker("dramatiq", redis_server, tmp_path, threads=1) as process:
        send(0)
        wait_until(lambda: client.llen(jobs.BEGUN) == 1, "the first job to begin")
        process.terminate()
        process.wait_for("Shutting down...")
        send(1)
        wait_until(lambda: not ready(), "the worker that ends to fetch the second")
        send(2)  # for which it has no room: it holds twice as many as it has threads
        jobs.let_go(client, 1)
        assert process.exit_status() == 0
    broker.close()

    assert (client.lrange(jobs.BEGUN, 0, -1), ready()) == (["0"], 2)
