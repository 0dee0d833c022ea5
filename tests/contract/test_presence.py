"""What a worker tells of itself at each moment: moved by hand, so that a moment of a millisecond stands still."""

from __future__ import annotations

from tests.support.puppets import POOL, Puppet
from tests.support.redis import RedisServer

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

KEYS = wire.Keys()


def test_a_worker_between_two_jobs_tells_of_the_next_one_that_it_holds(redis_server: RedisServer) -> None:
    puppet = Puppet(redis_server.url, "pod-1", started_ms=1)
    producer = CrewcallBroker(url=redis_server.url)
    for _ in range(2):
        producer.enqueue(puppet.broker.actors["work_sms"].message(1))
    producer.close()
    told = []

    for _ in range(2):
        puppet.crank("sms")
    for _ in range(2):
        run = puppet.begin()
        assert run is not None
        told.append(tell(redis_server, puppet))
        puppet.finish(run, is_done=True)
        told.append(tell(redis_server, puppet))
    puppet.die()

    assert told == [(1, 1), (0, 1), (1, 0), (0, 0)]


def tell(server: RedisServer, puppet: Puppet) -> tuple[int | None, int | None]:
    """Its record as it is now: how many jobs it runs, and how many more it holds."""
    puppet.beat()
    (id_,) = puppet.ids
    record = wire.read_worker(id_, str(server.client.hget(KEYS.workers(POOL), id_)))
    return record.busy, record.prefetched
