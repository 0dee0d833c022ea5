"""Rate limits: never more starts than a limit allows, none later than it asks for, and nothing that could leak."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from dramatiq.broker import MessageProxy
from dramatiq.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, Payload, RateLimit, job
from crewcall_worker.queues.actors import declare
from crewcall_worker.queues.limits import OrganizationLimits
from crewcall_worker.queues.messages import make_message
from crewcall_worker.queues.rates import Rates, Turns
from crewcall_worker.queues.views import JobState, Views
from crewcall_worker.recovery import recover

KEYS = wire.Keys()
SECOND = 1_000_000
EPOCH = 1_800_000_000 * SECOND
TOLERANCE = 200_000
"""As in `lua/rate.lua`, us."""
ON_ITS_WAY = 500_000
"""What may pass on a busy machine from when a job may start until it does, us."""


class Fetch(Payload):
    domain: str = "example.com"


class Provider:
    """What the jobs do: they note when they start, and fail as often as the test wants it."""

    def __init__(self, limit: RateLimit[Fetch], *delays: float, failures: int = 0) -> None:
        self.starts: list[tuple[str, float, int]] = []
        self._failures = failures
        self._lock = threading.Lock()

        def fetch(payload: Fetch, context: JobContext) -> None:
            with self._lock:
                self.starts.append((payload.domain, time.monotonic(), context.attempt))
                self._failures -= 1
                if self._failures >= 0:
                    raise RuntimeError("as the test wants it")

        self.job: JobType[Fetch] = job("rules.fetch", queue="rules", rate=limit, retries=FixedDelays(*delays))(fetch)
        del CATALOGUE["rules.fetch"]

    @property
    def catalogue(self) -> dict[str, JobType[Payload]]:
        return {self.job.name: self.job}  # type: ignore[dict-item]  # a catalogue only hands out

    def send(self, broker: CrewcallBroker, domain: str = "example.com") -> Message[Any]:
        return broker.enqueue(make_message(self.job, Fetch(organization_id="acme", domain=domain)))


def interval_of(limit: RateLimit[Fetch]) -> int:
    return math.ceil(limit.period * SECOND / limit.limit)


def follow(
    rates: Rates,
    limit: RateLimit[Fetch],
    jobs: Iterable[tuple[int, Sequence[int]]],
    asleep: tuple[int, int] = (0, 0),
    organizations: Sequence[str] = ("acme",),
) -> list[tuple[int, int, int]]:
    """Jobs of these organisations in turn, that come at a time and, each time that they are told a turn, so much off it
    (us); none comes back while the workers are asleep. For each, in the order in which they came: when it came, when it
    started, how often it asked."""
    coming = [(at, number, 0, offs) for number, (at, offs) in enumerate(jobs)]
    heapq.heapify(coming)
    came = {number: at for at, number, _, _ in coming}
    ended: dict[int, tuple[int, int, int]] = {}
    while coming:
        at, number, asked, offs = heapq.heappop(coming)
        whose = organizations[number % len(organizations)]
        turn_ms = rates.ask("job", "key", limit, organization=whose, told=asked, now_us=EPOCH + at)
        if turn_ms is None:
            ended[number] = (came[number], at, asked + 1)
            continue
        assert turn_ms * 1000 - EPOCH > at
        off = offs[asked] if asked < len(offs) else 0
        back = max(at, turn_ms * 1000 - EPOCH + off)
        back = asleep[1] if asleep[0] <= back < asleep[1] else back
        heapq.heappush(coming, (back, number, asked + 1, offs))
    return [ended[number] for number in sorted(ended, key=lambda number: (came[number], number))]


def keeps_to(starts: Iterable[int], limit: RateLimit[Fetch], tolerance: int) -> bool:
    """Whether any so many starts take as long as they should."""
    ordered, interval = sorted(starts), interval_of(limit)
    return all(
        last - first >= (after - limit.burst + 1) * interval - tolerance
        for place, first in enumerate(ordered)
        for after, last in enumerate(ordered[place:])
        if after >= limit.burst
    )


LIMITS: st.SearchStrategy[RateLimit[Fetch]] = st.builds(
    RateLimit, st.integers(1, 50), st.sampled_from([0.1, 1.0, 60.0]), st.integers(1, 5)
)
ARRIVALS = st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=40)
BOUNDED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(limit=LIMITS, arrivals=ARRIVALS, off=st.sampled_from([0, 1_000, TOLERANCE - 1_000]))
@BOUNDED
def test_who_comes_at_his_turn_starts_then_and_no_later_than_the_limit_asks_for(
    redis_server: RedisServer, limit: RateLimit[Fetch], arrivals: list[int], off: int
) -> None:
    redis_server.client.flushall()
    ended = follow(Rates(redis_server.client, KEYS), limit, [(at, [off]) for at in arrivals])

    interval, following = interval_of(limit), 0
    # Who comes back a moment late takes the place of one that has come meanwhile, and that one is as late again.
    late = 2 * off + limit.burst * interval if off else 0
    for came, started, asked in ended:
        ideal = max(came, following - (limit.burst - 1) * interval)
        following = max(ideal, following) + interval
        assert started <= ideal + late + 2_000
        assert off or (ideal <= started and asked <= 2)
    assert keeps_to([started for _, started, _ in ended], limit, 2 * off + 2_000)


@given(
    limit=LIMITS,
    jobs=st.lists(
        st.tuples(
            st.integers(0, 3 * SECOND),
            st.lists(st.sampled_from([-150_000, 0, 5_000, 150_000, 900_000, 5 * SECOND, 200 * SECOND]), max_size=4),
        ),
        min_size=5,
        max_size=40,
    ),
    organizations=st.integers(1, 4),
    asleep=st.sampled_from([(0, 0), (0, 2 * SECOND), (SECOND, 4 * SECOND), (0, 100 * SECOND)]),
)
@BOUNDED
def test_the_limit_is_kept_however_late_jobs_come_and_all_start(
    redis_server: RedisServer,
    limit: RateLimit[Fetch],
    jobs: list[tuple[int, list[int]]],
    asleep: tuple[int, int],
    organizations: int,
) -> None:
    redis_server.client.flushall()
    names = [f"org-{number}" for number in range(organizations)]

    ended = follow(Rates(redis_server.client, KEYS), limit, jobs, asleep, names)

    assert len(ended) == len(jobs)
    assert keeps_to([started for _, started, _ in ended], limit, 2 * TOLERANCE)
    latest = max(came for came, _, _ in ended) + len(jobs) * (interval_of(limit) + 2_000)
    late = sum(max([0, *offs]) * len(offs) for _, offs in jobs)
    assert max(started for _, started, _ in ended) <= latest + late + asleep[1] + len(jobs) * TOLERANCE


@given(limit=LIMITS, gone=st.integers(0, 20))
@BOUNDED
def test_turns_that_nobody_comes_back_for_hold_nobody_up_for_long(
    redis_server: RedisServer, limit: RateLimit[Fetch], gone: int
) -> None:
    redis_server.client.flushall()
    rates = Rates(redis_server.client, KEYS)
    for _ in range(limit.burst + gone):
        rates.ask("job", "key", limit, now_us=EPOCH)

    # All that had a turn are deleted, or their workers sleep.
    soon = EPOCH + interval_of(limit) + max(SECOND, interval_of(limit))
    assert rates.ask("job", "key", limit, now_us=soon) is None


def test_another_organisations_line_keeps_nobody_waiting(redis_server: RedisServer) -> None:
    limit: RateLimit[Fetch] = RateLimit(1)
    jobs = [(0, ())] * 300 + [(10 * SECOND, ())] * 5
    names = ["first"] * 300 + ["second"] * 5

    ended = follow(Rates(redis_server.client, KEYS), limit, jobs, organizations=names)

    # One by one, each second: each of the five goes after one of the other's at the most.
    assert sorted(started for _, started, _ in ended) == [number * SECOND for number in range(305)]
    assert [(started - came) // SECOND for came, started, _ in ended[300:]] == [2, 4, 6, 8, 10]
    assert max(asked for _, _, asked in ended) <= 3


def test_each_key_has_its_own_limit_and_forgets_it_when_it_is_over(redis_server: RedisServer) -> None:
    rates = Rates(redis_server.client, KEYS)
    limit: RateLimit[Fetch] = RateLimit(1, 0.05)

    assert rates.ask("job", "a", limit) is None
    assert rates.ask("job", "b" * 200, limit) is None
    assert rates.ask("other", "a", limit) is None
    assert rates.ask("job", "a", limit) is not None
    names = [str(name) for name in redis_server.client.keys("*")]
    assert max(len(name) for name in names) < 120
    assert all(0 < redis_server.client.pttl(name) <= 1_200 for name in names)


@pytest.mark.parametrize("values", [(0, 1.0, 1), (1, 0.0, 1), (1, math.nan, 1), (1, 1.0, 0)])
def test_a_limit_that_cannot_be_is_refused(values: tuple[int, float, int]) -> None:
    with pytest.raises(
        ValueError, match="expected a limit of at least 1, a period above 0 s and a burst of at least 1"
    ):
        RateLimit(*values)


def test_workers_start_jobs_at_the_rate_and_count_no_retries(redis_server: RedisServer) -> None:
    provider = Provider(RateLimit(5, burst=3))

    with at_work(redis_server.url, provider.catalogue, threads=4) as broker:
        for _ in range(15):
            provider.send(broker)
        wait_until(lambda: len(provider.starts) == 15, "all jobs to start")
        wait_until(lambda: redis_server.client.hget(KEYS.stats("rules"), "done") == "15", "all to be counted")

    at = [round(moment * SECOND) for _, moment, _ in provider.starts]
    assert keeps_to(at, RateLimit(5, burst=3), 2 * TOLERANCE + ON_ITS_WAY)
    assert {attempt for _, _, attempt in provider.starts} == {1}
    stats = redis_server.client.hgetall(KEYS.stats("rules"))
    assert int(stats["enqueued"]) - int(stats["postponed"]) == 15
    assert "retried" not in stats
    assert redis_server.client.exists(KEYS.messages("rules"), KEYS.messages("rules.DQ"), KEYS.eta("rules")) == 0


def test_jobs_of_one_key_wait_while_those_of_others_start(redis_server: RedisServer) -> None:
    provider = Provider(RateLimit(1, 60.0, key=lambda payload: payload.domain))

    with at_work(redis_server.url, provider.catalogue, threads=1) as broker:
        for domain in ("slow", "slow", "slow", "a", "b", "c"):
            provider.send(broker, domain)
        wait_until(lambda: len(provider.starts) == 4, "one of each")
        wait_until(lambda: Views(redis_server.client).counts("rules").delayed == 2, "the others to wait")

        assert sorted(domain for domain, _, _ in provider.starts) == ["a", "b", "c", "slow"]
        waiting = Views(redis_server.client).page("rules", JobState.DELAYED).jobs
        first, second = (view.at_ms or 0 for view in waiting)
        assert second - first == 60_000
        assert [view.attempt for view in waiting] == [1, 1]


def test_a_retry_asks_anew(redis_server: RedisServer) -> None:
    provider = Provider(RateLimit(1, 2.0), 0.0, failures=1)

    with at_work(redis_server.url, provider.catalogue) as broker:
        provider.send(broker)
        wait_until(lambda: len(provider.starts) == 2, "the retry")

    (_, first, one), (_, second, two) = provider.starts
    assert (one, two) == (1, 2)
    assert second - first >= 2.0 - (2 * TOLERANCE + ON_ITS_WAY) / SECOND


def test_a_job_put_off_is_delayed_in_one_step_or_not_at_all(redis_server: RedisServer) -> None:
    provider = Provider(RateLimit(1, 60.0))
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    declare(broker, provider.catalogue)
    woken: list[str] = []
    turns = Turns(broker, woken.append)
    OrganizationLimits(redis_server.client, "dramatiq").set("rules", "acme", 5)

    def fetched() -> Any:
        message = provider.send(broker)
        redis_server.client.delete(KEYS.waiting("rules"), KEYS.lanes("rules"), KEYS.lane("rules", "1:acme"))
        redis_server.client.sadd(KEYS.acks("me", "rules"), message.message_id)
        redis_server.client.sadd(KEYS.taken("rules", "acme"), message.message_id)
        return message

    assert not turns.is_to_wait(fetched(), "me")
    put_off, lost = fetched(), fetched()
    redis_server.client.srem(KEYS.acks("me", "rules"), lost.message_id)  # given to another worker meanwhile

    assert turns.is_to_wait(put_off, "me")
    assert turns.is_to_wait(lost, "me")

    assert redis_server.client.hkeys(KEYS.messages("rules.DQ")) == [put_off.message_id]
    assert redis_server.client.hexists(KEYS.messages("rules"), lost.message_id)
    assert not redis_server.client.sismember(KEYS.taken("rules", "acme"), put_off.message_id)
    assert woken == ["rules.DQ", "rules.DQ"]
    broker.close()


def test_a_dead_workers_turns_are_anothers_and_none_is_lost(redis_server: RedisServer) -> None:
    provider = Provider(RateLimit(1, 2.0))
    broker = CrewcallBroker(url=redis_server.url, middleware=[])
    declare(broker, provider.catalogue)
    turns = Turns(broker, lambda queue: None)
    client = redis_server.client
    for _ in range(3):
        message = provider.send(broker)
        client.sadd(KEYS.acks("dead", "rules"), message.message_id)
        if turns.is_to_wait(MessageProxy(message), "dead"):  # all but the first, which the worker began, and died with
            client.sadd(KEYS.acks("dead", "rules.DQ"), message.message_id)
    client.delete(KEYS.waiting("rules"), KEYS.lanes("rules"), KEYS.lane("rules", "1:acme"), KEYS.ready("rules.DQ"))

    recover(client, "dramatiq", "pool", ["dead"])
    with at_work(redis_server.url, provider.catalogue):
        wait_until(lambda: len(provider.starts) == 3, "all three to start")

    at = [round(moment * SECOND) for _, moment, _ in provider.starts]
    assert keeps_to(at, RateLimit(1, 2.0), 2 * TOLERANCE + ON_ITS_WAY)
    broker.close()


def test_turns_are_given_in_the_order_of_coming(redis_server: RedisServer) -> None:
    rates = Rates(redis_server.client, KEYS)
    limit: RateLimit[Fetch] = RateLimit(1)
    assert rates.ask("job", "", limit, now_us=EPOCH) is None

    turns = [rates.ask("job", "", limit, now_us=EPOCH + number) or 0 for number in range(5)]

    assert [later - earlier for earlier, later in pairwise(turns)] == [1_000] * 4
