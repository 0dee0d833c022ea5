"""Replicas whose workers a hand has asked to drain: who leaves, what remains, and how another takes the place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.pools import seen
from tests.unit.test_victims import DRAINED, DRAINING, NOW, RUNNING, STARTUP, pod, worker

from crewcall_operator.core.leaving import leaving, remaining
from crewcall_operator.core.observation import Fleet, Observation, Pod, Worker
from crewcall_operator.core.replica import DEADLINE, LAPSED
from crewcall_operator.core.victims import Order, Plan, plan

ABC = (pod("a"), pod("b"), pod("c"))
FLEET = Fleet(current=3, ready=3, pods=ABC)


def asked(pod: str, id_: str | None = None, silent_for: float = 0.2, *, is_asked: bool = True) -> Worker:
    return Worker(id_ or f"of-{pod}", pod, silent_for=silent_for, is_asked=is_asked)


def saw(*workers: Worker) -> Observation:
    return Observation(seen().queues, workers)


def test_a_pod_leaves_whose_workers_were_all_asked() -> None:
    workers = [asked("a"), asked("b", "b1"), asked("b", "b2", is_asked=False), asked("c", is_asked=False)]

    assert leaving(FLEET, saw(*workers)) == {"a"}


def test_one_that_died_beside_it_has_no_word_in_it() -> None:
    workers = [asked("a", "old", silent_for=LAPSED, is_asked=False), asked("a", "new")]

    assert leaving(FLEET, saw(*workers)) == {"a"}


def test_one_that_begins_anew_in_the_pod_remains() -> None:
    workers = [asked("a", "old", silent_for=LAPSED), asked("a", "new", is_asked=False)]

    assert leaving(FLEET, saw(*workers)) == frozenset()


def test_one_that_is_about_to_go_is_no_longer_counted() -> None:
    fleet = Fleet(current=2, ready=3, pods=(pod("a", marked=True), pod("b"), pod("c")))

    assert leaving(fleet, saw(asked("a"))) == frozenset()


def test_nobody_leaves_where_pods_are_not_told_apart_or_redis_is_silent() -> None:
    assert leaving(Fleet(3, 3), saw(asked("a"))) == frozenset()
    assert leaving(FLEET, None) == frozenset()


def test_the_fleet_remains_without_those_who_leave() -> None:
    fleet = Fleet(current=3, ready=2, pods=(pod("a"), pod("b"), pod("c", ready=False)))

    assert remaining(fleet, {"a"}) == Fleet(current=2, ready=1, pods=fleet.pods[1:] if fleet.pods else None)
    assert remaining(fleet, frozenset()) is fleet


def planned(pods: list[Pod], workers: list[Worker], wanted: int, *, most: int = 10, standing: float = 5.0) -> Plan:
    """How to come to `wanted` beside "a", which was asked `standing` seconds ago."""
    return plan(pods, workers, {"a": standing}, len(pods), wanted, STARTUP, NOW, {"a"}, most)


def test_another_one_is_asked_for_first() -> None:
    workers = [worker("a", DRAINING, 1, 60.0), worker("b"), worker("c")]

    assert planned(list(ABC), workers, wanted=3) == Plan(4, draining=("a",))


def test_it_stays_until_it_has_finished_what_it_runs() -> None:
    workers = [worker("a", DRAINING, 1, 60.0), *map(worker, "bcd")]

    assert planned([*ABC, pod("d")], workers, wanted=3) == Plan(4, draining=("a",))


def test_then_it_goes_and_nobody_else() -> None:
    workers = [worker("a", DRAINED), *map(worker, "bcd")]

    assert planned([*ABC, pod("d")], workers, wanted=3) == Plan(3, remove=("a",))


def test_it_stays_until_the_other_one_is_ready_since_the_cluster_would_take_that_one_in_its_place() -> None:
    workers = [worker("a", DRAINED), *map(worker, "bc")]

    assert planned([*ABC, pod("d", ready=False)], workers, wanted=3) == Plan(4)


def test_where_there_is_no_room_for_another_one_it_goes_first() -> None:
    workers = [worker("a", DRAINED), *map(worker, "bc")]

    assert planned(list(ABC), workers, wanted=3, most=3) == Plan(2, remove=("a",))


def test_nobody_comes_in_its_place_where_the_load_needs_none() -> None:
    workers = [worker("a", DRAINING, 1, 60.0), worker("b", busy=1, since=2.0), worker("c")]

    assert planned(list(ABC), workers, wanted=1) == Plan(3, order=(Order("c", "idle"),), draining=("c", "a"))


def test_one_that_hangs_is_not_waited_for() -> None:
    workers = [worker("a", RUNNING, 1, 60.0), *map(worker, "bcd")]

    found = planned([*ABC, pod("d")], workers, wanted=3, standing=DEADLINE)

    assert found == Plan(3, remove=("a",), unanswered=("a",))


def test_the_wish_is_not_withdrawn_where_the_load_needs_more() -> None:
    workers = [worker("a", DRAINED), *map(worker, "bc")]

    assert planned(list(ABC), workers, wanted=8) == Plan(9)


@given(
    states=st.lists(st.sampled_from([RUNNING, DRAINING, DRAINED]), min_size=1, max_size=6),
    ready=st.lists(st.booleans(), min_size=6, max_size=6),
    by_hand=st.sets(st.integers(0, 5)),
    wanted=st.integers(0, 8),
    most=st.integers(1, 8),
)
def test_there_are_never_more_than_the_most_nor_fewer_working_than_wanted_beyond_what_there_were(
    states: list[object], ready: list[bool], by_hand: set[int], wanted: int, most: int
) -> None:
    wanted = min(wanted, most)
    names = "abcdef"[: len(states)]
    leaves = {names[at] for at in by_hand if at < len(names)}
    pods = [pod(name, ready=is_ready) for name, is_ready in zip(names, ready, strict=False)]
    workers = [
        worker(name, RUNNING if state is RUNNING else DRAINED) for name, state in zip(names, states, strict=True)
    ]

    found = plan(pods, workers, dict.fromkeys(leaves, 5.0), len(pods), wanted, STARTUP, NOW, leaves, most)

    working = len(pods) - len(leaves)
    assert found.replicas <= max(most, len(pods))
    assert len(set(found.remove) - leaves) <= max(0, working - wanted)
    if found.replicas < len(pods):
        assert len(found.remove) == len(pods) - found.replicas
    assert not leaves & set(found.withdraw)
