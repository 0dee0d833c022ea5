"""Limits of organisations: of its jobs no more than that are in flight at once, and none of them is lost for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from tests.contract.test_lanes import POOL, fetch, job, send
from tests.support.redis import RedisServer, a_pool

from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.core.observation import Observation
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.limits import ALL_OTHERS, OrganizationLimits
from crewcall_worker.recovery import recover
from crewcall_worker.scripts import Refused, Scripts

KEYS = wire.Keys()


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[CrewcallBroker]:
    broker = CrewcallBroker(url=redis_server.url)
    yield broker
    broker.close()


@pytest.fixture
def scripts(redis_server: RedisServer) -> Scripts:
    scripts = Scripts(redis_server.client, KEYS, POOL)
    scripts.beat("w", "pod", '{"v":1,"queues":["sms"]}')
    return scripts


@pytest.fixture
def limits(redis_server: RedisServer) -> OrganizationLimits:
    return OrganizationLimits(redis_server.client, "dramatiq")


def done(scripts: Scripts, message: Message[None], organization: str) -> None:
    assert scripts.settle("w", "sms", message.message_id, dead=False, marked=False, organization=organization)


def test_no_more_than_its_limit_are_fetched_and_the_others_go_on(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits
) -> None:
    limits.set("sms", "a", 2)
    a, b = [job(f"a{number}", "a") for number in range(4)], [job(f"b{number}", "b") for number in range(3)]
    send(broker, *a, *b)

    assert fetch(scripts, 9) == ["a0", "b0", "a1", "b1", "b2"]
    assert fetch(scripts, 9, held=5) == []
    done(scripts, b[0], "b")
    assert fetch(scripts, 9, held=4) == []
    done(scripts, a[0], "a")
    assert fetch(scripts, 9, held=3) == ["a2"]


def test_a_limit_holds_over_all_priorities_and_the_urgent_go_first(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits
) -> None:
    limits.set("sms", "a", 1)
    low = job("low", "a", 2)
    send(broker, low)
    assert fetch(scripts, 9) == ["low"]
    send(broker, job("lower", "a", 3), job("high", "a", 0))

    assert fetch(scripts, 9, held=1) == []
    done(scripts, low, "a")
    assert fetch(scripts, 9) == ["high"]


def test_each_organisation_has_the_limit_of_all_others_unless_it_has_its_own(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits
) -> None:
    limits.set("sms", ALL_OTHERS, 1)
    limits.set("sms", "b", 3)
    send(broker, *(job(f"{name}{number}", name) for number in range(3) for name in "abc"), job("nobody's", None, 1))

    assert sorted(fetch(scripts, 9)) == ["a0", "b0", "b1", "b2", "c0", "nobody's"]
    assert limits.list("sms") == {"*": 1, "b": 3}


def test_a_higher_limit_or_none_lets_the_others_in_at_once(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits
) -> None:
    assert limits.set("sms", "a", 1) is None
    send(broker, *(job(str(number), "a") for number in range(4)))
    assert fetch(scripts, 9) == ["0"]

    assert limits.set("sms", "a", 2) == 1
    assert fetch(scripts, 9, held=1) == ["1"]
    assert limits.lift("sms", "a") == 2
    assert fetch(scripts, 9, held=2) == ["2", "3"]


def test_a_limit_of_all_others_is_lifted_from_all_others(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits
) -> None:
    limits.set("sms", ALL_OTHERS, 1)
    send(broker, *(job(f"{name}{number}", name) for number in range(2) for name in "ab"))
    assert fetch(scripts, 9) == ["a0", "b0"]

    limits.lift("sms", ALL_OTHERS)

    assert sorted(fetch(scripts, 9, held=2)) == ["a1", "b1"]
    assert limits.list("sms") == {}


@pytest.mark.parametrize(("organization", "most"), [("a", 0), ("", 1)])
def test_a_limit_is_one_job_at_least(limits: OrganizationLimits, organization: str, most: int) -> None:
    with pytest.raises(ValueError, match="expected an organisation, and 1 job or more"):
        limits.set("sms", organization, most)


def test_a_dead_workers_jobs_count_until_they_are_done_and_then_no_more(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits, redis_server: RedisServer
) -> None:
    limits.set("sms", "a", 1)
    jobs = [job(str(number), "a") for number in range(3)]
    send(broker, *jobs)
    scripts.beat("dying", "pod-2", '{"v":1,"queues":["sms"]}')
    taken = scripts.fetch("dying", "sms", 9, 0)
    assert not isinstance(taken, Refused)
    assert [message.id for message in taken] == [jobs[0].message_id]

    recover(redis_server.client, "dramatiq", POOL, ["dying"])

    assert fetch(scripts, 9) == ["0"]
    done(scripts, jobs[0], "a")
    assert fetch(scripts, 9) == ["1"]


def test_what_somebody_ends_who_knows_of_no_limits_counts_no_more(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits, redis_server: RedisServer
) -> None:
    limits.set("sms", "a", 1)
    jobs = [job(str(number), "a") for number in range(2)]
    send(broker, *jobs)
    assert fetch(scripts, 9) == ["0"]
    scripts.give_back("w", "sms", [jobs[0].message_id])
    plain = RedisBroker(url=redis_server.url)
    consumer = plain.consume("sms")
    message = next(consumer)
    assert message is not None
    consumer.ack(message)
    plain.close()

    assert fetch(scripts, 9) == ["1"]


async def test_the_operator_counts_what_waits_for_a_limit_apart(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits, redis_server: RedisServer
) -> None:
    reader, pool = RedisQueues(wall_clock=lambda: 0.0), a_pool(redis_server.url, "sms")

    async def look() -> tuple[int, int, int]:
        seen = (await reader.read([pool]))[pool.key]
        assert isinstance(seen, Observation)
        (queue,) = seen.queues
        return queue.ready, queue.limited, queue.in_flight

    limits.set("sms", "a", 5)
    jobs = [job(str(number), "a") for number in range(20)]
    send(broker, *jobs, *(job(f"b{number}", "b") for number in range(3)))
    looks = [await look()]
    fetch(scripts, 8)
    looks.append(await look())
    done(scripts, jobs[0], "a")
    looks.append(await look())
    limits.lift("sms", "a")
    looks.append(await look())
    await reader.aclose()

    assert looks == [(23, 15, 0), (15, 15, 8), (15, 14, 7), (15, 0, 7)]
    assert redis_server.client.exists(KEYS.surplus("sms"), KEYS.full("sms")) == 0


def test_purging_a_queue_leaves_nothing_at_a_limit(
    broker: CrewcallBroker, scripts: Scripts, limits: OrganizationLimits, redis_server: RedisServer
) -> None:
    limits.set("sms", "a", 1)
    send(broker, job("0", "a"), job("1", "a"))
    fetch(scripts, 9)

    broker.flush("sms")

    found = {
        str(key).removeprefix(KEYS.prefix).partition(":")[0] for key in redis_server.client.scan_iter("crewcall:*")
    }
    assert found & {"lane", "lanes", "full", "surplus", "waiting", "taken"} == set()
