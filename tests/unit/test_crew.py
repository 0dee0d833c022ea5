"""Which replicas a promise reckons with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.pools import memory, pool, seen

from crewcall_operator.core.counters import Crew
from crewcall_operator.core.crew import USUAL_THREADS, crew_of, threads_told
from crewcall_operator.core.observation import Fleet, Observation, Pod, Worker, WorkerState
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.manning import manned, threads_of

NOW, STARTUP = 1000.0, 10.0


def pods(names: str, *, age: float = 300.0, ready: bool = True) -> tuple[Pod, ...]:
    return tuple(Pod(name, ready, NOW - age) for name in names)


def fleet(*found: Pod, current: int | None = None) -> Fleet:
    return Fleet(len(found) if current is None else current, sum(pod.is_ready for pod in found), found)


def workers(names: str, busy: int = 0, prefetched: int = 0) -> tuple[Worker, ...]:
    return tuple(Worker(f"of-{name}", name, busy=busy, threads=4, prefetched=prefetched) for name in names)


def look(*told: Worker, in_flight: int = 0) -> Observation:
    return replace(seen(in_flight=in_flight), workers=told)


def of(fleet: Fleet, observed: Observation) -> Crew:
    return crew_of(fleet, observed, 4, STARTUP, NOW)


def test_replicas_whose_workers_tell_of_themselves_are_ready_and_the_others_pending() -> None:
    found = of(fleet(*pods("ab"), *pods("c", age=3.0), current=5), look(*workers("ab", busy=3), in_flight=6))

    assert found == Crew(ready=2, pending=3, threads=4, busy=6, startup=STARTUP)


def test_one_that_drains_is_ready_for_it_can_be_called_back() -> None:
    draining = replace(workers("b")[0], state=WorkerState.DRAINING)

    assert of(fleet(*pods("ab")), look(*workers("a"), draining)).ready == 2


def test_a_worker_that_fell_silent_is_not_counted_on() -> None:
    silent = replace(workers("b")[0], silent_for=31.0)

    assert of(fleet(*pods("ab"), current=2), look(*workers("a"), silent)).ready == 1


def test_workers_that_are_all_silent_could_not_tell_and_are_still_there() -> None:
    """As in the first look after Redis was away."""
    silent = [replace(worker, silent_for=90.0) for worker in workers("ab")]

    assert of(fleet(*pods("ab")), look(*silent)) == Crew(2, 0, 4, 0, STARTUP)


def test_where_no_pod_is_seen_the_deployment_tells_how_many_are_ready() -> None:
    assert of(Fleet(3, 2, pods=()), look(*workers("ab"))).ready == 2


def test_pods_above_the_number_asked_for_as_in_a_rollout_are_no_further_capacity() -> None:
    found = of(fleet(*pods("abc"), current=2), look(*workers("abc")))

    assert (found.ready, found.pending) == (2, 0)


def test_pods_that_find_no_node_are_counted() -> None:
    lost = replace(pods("c", ready=False)[0], is_unschedulable=True)

    found = of(fleet(*pods("ab"), lost), look(*workers("ab")))

    assert (found.pending, found.unschedulable) == (1, 1)


@pytest.mark.parametrize(
    ("found", "counts", "ready"),
    [
        (fleet(*pods("ab")), False, 2),
        (fleet(*pods("ab", age=5.0)), True, 2),
        (fleet(*pods("ab", ready=False)), True, 0),
        (fleet(), True, 0),
        (Fleet(current=3, ready=2), False, 2),
        (Fleet(current=0, ready=0), True, 0),
    ],
    ids=["plain", "just ready", "not ready", "none", "not told apart", "not told apart, none"],
)
def test_workers_that_say_nothing_though_they_had_the_time_count_nothing(
    found: Fleet, counts: bool, ready: int
) -> None:
    crew = of(found, look())

    assert (crew.counts, crew.ready) == (counts, ready)


def test_a_plain_pod_beside_others_is_ready_too() -> None:
    found = of(fleet(*pods("ab")), look(*workers("a")))

    assert (found.ready, found.counts) == (2, True)


@pytest.mark.parametrize(
    ("told", "in_flight", "busy"),
    [
        (workers("ab", busy=2), 4, 4),
        (workers("ab", busy=0), 5, 5),
        (workers("ab", busy=4, prefetched=3), 14, 8),
        (workers("ab", busy=2, prefetched=3), 11, 5),
        (workers("ab", busy=4), 3, 3),
        ((), 20, 8),
        ((), 0, 0),
    ],
    ids=[
        "as told",
        "fetched since",
        "no more than threads",
        "held back",
        "done since",
        "nobody tells",
        "nothing to do",
    ],
)
def test_jobs_that_run_are_told_late_and_seen_by_what_was_fetched(
    told: tuple[Worker, ...], in_flight: int, busy: int
) -> None:
    assert of(fleet(*pods("ab")), look(*told, in_flight=in_flight)).busy == busy


def test_threads_are_those_that_half_of_the_replicas_have_at_most() -> None:
    assert threads_told([]) is None
    assert threads_told([Worker("1", "a")]) is None
    assert threads_told(workers("ab")) == 4
    assert threads_told([*workers("ab"), replace(workers("c")[0], threads=16)]) == 4
    assert threads_told([*workers("a"), replace(workers("a")[0], id="2")]) == 8


def test_the_template_then_the_spec_then_the_workers_say_how_many_jobs_a_replica_runs() -> None:
    env = [{"name": "CREWCALL_THREADS", "value": "2"}]
    template = {"spec": {"containers": [{"name": "worker", "env": env}]}}
    learned = memory().hearing(16)

    assert threads_of(replace(pool(), template=template, concurrency=4), learned) == 2
    assert threads_of(replace(pool(), concurrency=4), learned) == 4
    assert threads_of(pool(), learned.hearing(None)) == 16
    assert threads_of(pool(), memory()) == USUAL_THREADS


def test_only_a_pool_with_a_promise_is_manned() -> None:
    by_promise = pool(target=QueueLatency(30.0))

    assert manned(pool(), Fleet(1, 1), seen(9), memory(), NOW) == seen(9)
    assert manned(by_promise, Fleet(1, 1), None, memory(), NOW) is None
    crewed = manned(by_promise, Fleet(1, 1), seen(9), memory(), NOW)
    assert crewed == replace(seen(9), crew=Crew(1, 0, 8, 0, 30.0, counts=False))
