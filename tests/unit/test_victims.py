"""Which replicas go when there are too many: those with the least to lose, drained first, and no more than asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_operator.core.model import Pod, Worker, WorkerState
from crewcall_operator.core.victims import DEADLINE, LAPSED, Order, Plan, plan

NOW, STARTUP = 1000.0, 10.0
RUNNING, DRAINING, DRAINED = WorkerState


def pod(name: str, *, age: float = 100.0, ready: bool = True, marked: bool = False) -> Pod:
    return Pod(name, ready, NOW - age, marked)


def worker(
    pod: str, state: WorkerState = RUNNING, busy: int = 0, since: float | None = None, silent_for: float = 0.2
) -> Worker:
    return Worker(f"of-{pod}", pod, state, busy, since if busy else None, silent_for)


def planned(
    pods: list[Pod],
    workers: list[Worker],
    wanted: int,
    standing: dict[str, float] | None = None,
    current: int | None = None,
) -> Plan:
    return plan(pods, workers, standing or {}, len(pods) if current is None else current, wanted, STARTUP, NOW)


ABC = [pod("a"), pod("b"), pod("c")]


def test_orders_an_idle_replica_before_one_that_works() -> None:
    workers = [worker("a", busy=1, since=1.0), worker("b"), worker("c", busy=2, since=9.0)]

    assert planned(ABC, workers, wanted=2) == Plan(3, order=(Order("b", "idle"),), draining=("b",))


def test_orders_those_first_whose_jobs_have_run_for_the_least_time_in_all() -> None:
    workers = [worker("a", busy=1, since=60.0), worker("b", busy=4, since=20.0), worker("c", busy=2, since=5.0)]

    assert planned(ABC, workers, wanted=1).order == (
        Order("c", "running 2 jobs, the oldest for 5 s"),
        Order("a", "running 1 job for 60 s"),
    )


def test_a_replica_that_has_not_started_yet_goes_at_once_and_before_all_others() -> None:
    pods = [pod("a"), pod("b", age=1.0), pod("c", age=500.0, ready=False)]

    assert planned(pods, [worker("a")], wanted=2) == Plan(2, remove=("b",))
    assert planned(pods, [worker("a")], wanted=1) == Plan(1, remove=("b", "c"))


def test_removes_exactly_those_that_are_drained_and_waits_for_the_others() -> None:
    workers = [worker("a"), worker("b", DRAINED), worker("c", DRAINING, busy=1, since=3.0)]

    assert planned(ABC, workers, wanted=1, standing={"b": 4.0, "c": 4.0}) == Plan(2, remove=("b",), draining=("c",))


def test_one_that_was_ordered_stays_so_although_another_has_become_idle() -> None:
    workers = [worker("a"), worker("b", DRAINING, busy=1, since=900.0), worker("c")]

    assert planned(ABC, workers, wanted=2, standing={"b": 4.0}) == Plan(3, draining=("b",))


def test_withdraws_as_many_orders_as_the_load_needs_those_with_the_most_to_finish_first() -> None:
    workers = [
        worker("a", DRAINING, busy=1, since=900.0),
        worker("b", DRAINING, busy=1, since=3.0),
        worker("c", DRAINED, silent_for=2.0),
    ]
    standing = dict.fromkeys("abc", 1.0)

    assert planned(ABC, workers, wanted=1, standing=standing) == Plan(
        3, withdraw=("a",), kept=("a",), draining=("c", "b")
    )


def test_withdraws_all_orders_before_it_adds_replicas() -> None:
    workers = [worker("a"), worker("b", DRAINED), worker("c", DRAINING, busy=1, since=3.0)]

    assert planned(ABC, workers, wanted=5, standing={"b": 4.0, "c": 4.0}) == Plan(
        5, withdraw=("b", "c"), kept=("b", "c")
    )


def test_believes_no_drained_that_is_older_than_the_order() -> None:
    workers = [worker("a"), worker("b", DRAINED, silent_for=0.8)]

    assert planned(ABC[:2], workers, wanted=1, standing={"b": 0.5}) == Plan(2, draining=("b",))


def test_forgets_orders_of_pods_of_which_nothing_is_left() -> None:
    assert planned([pod("a")], [worker("a"), worker("ending", DRAINED)], 1, standing={"gone": 9.0, "ending": 9.0}) == (
        Plan(1, withdraw=("gone",))
    )


def test_leaves_alone_what_is_marked_and_about_to_go() -> None:
    pods = [pod("a"), pod("b", marked=True), pod("c", marked=True)]
    workers = [worker("a"), worker("b", DRAINED), worker("c", DRAINED)]

    assert planned(pods, workers, wanted=1, current=1, standing={"b": 9.0, "c": 9.0}) == Plan(1)


def test_counts_on_a_marked_replica_again_where_nobody_was_to_go() -> None:
    pods = [pod("a"), pod("b", marked=True)]

    assert planned(pods, [worker("a"), worker("b", DRAINED)], wanted=2, standing={"b": 9.0}) == Plan(
        2, withdraw=("b",), kept=("b",)
    )


def test_those_that_were_not_even_made_go_first() -> None:
    assert planned(ABC[:2], [worker("a"), worker("b")], wanted=3, current=5) == Plan(3)


@pytest.mark.parametrize(
    ("mute", "is_over"),
    [
        pytest.param(worker("b", silent_for=LAPSED), True, id="hangs"),
        pytest.param(worker("b", DRAINING, busy=1, since=90.0, silent_for=LAPSED), True, id="hangs while draining"),
        pytest.param(worker("b", RUNNING), True, id="does not care"),
        pytest.param(worker("b", DRAINING, busy=1, since=9000.0), False, id="works on a long job"),
    ],
)
def test_waits_for_a_long_job_but_not_for_one_that_never_answers(mute: Worker, is_over: bool) -> None:
    workers = [worker("a"), mute]

    before = planned(ABC[:2], workers, wanted=1, standing={"b": DEADLINE - 0.1})
    after = planned(ABC[:2], workers, wanted=1, standing={"b": DEADLINE})

    assert before == Plan(2, draining=("b",))
    assert after == (Plan(1, remove=("b",), unanswered=("b",)) if is_over else before)


def test_goes_by_the_living_worker_of_a_pod_whose_last_one_died() -> None:
    workers = [worker("a"), worker("b", busy=3, since=90.0, silent_for=LAPSED), worker("b", DRAINED)]

    assert planned(ABC[:2], workers, wanted=1, standing={"b": 2.0}) == Plan(1, remove=("b",))


def test_pods_without_the_runtime_are_scaled_the_plain_way_and_named() -> None:
    assert planned(ABC, [], wanted=1) == Plan(1, plain=("a", "b", "c"))


def test_pods_without_the_runtime_are_the_last_to_go_beside_others() -> None:
    workers = [worker("a", busy=1, since=99.0), worker("b")]

    assert planned(ABC, workers, wanted=1) == Plan(
        3, order=(Order("b", "idle"), Order("a", "running 1 job for 99 s")), draining=("b", "a"), plain=("c",)
    )


names = st.sampled_from("abcdefgh")
crews = st.dictionaries(
    names,
    st.tuples(st.sampled_from(WorkerState), st.integers(0, 4), st.floats(0, 1000), st.floats(0, 60)) | st.none(),
    max_size=8,
)


@given(
    crews,
    st.dictionaries(names, st.floats(0, 60)),
    st.integers(-2, 2),
    st.integers(0, 10),
    st.sets(names),
)
def test_never_removes_more_than_the_surplus_nor_anything_that_still_works(
    crew: dict[str, tuple[WorkerState, int, float, float] | None],
    standing: dict[str, float],
    unmade: int,
    wanted: int,
    marked: set[str],
) -> None:
    pods = [pod(name, marked=name in marked) for name in crew]
    workers = [worker(name, *told) for name, told in crew.items() if told is not None]
    current = max(0, len(pods) + unmade)

    made = planned(pods, workers, wanted, standing, current)

    by_pod = {worker.pod: worker for worker in workers}
    surplus = max(0, current - wanted)
    assert min(current, wanted) <= made.replicas <= max(current, wanted)
    assert len(made.remove) <= max(0, current - made.replicas) <= surplus
    working = {name for name, it in by_pod.items() if it.state is not DRAINED}
    assert not working & set(made.remove).difference(made.unanswered)
    for name in made.unanswered:
        assert standing[name] >= DEADLINE
    # Who is ordered afterwards is exactly who is too many, as far as their workers are known.
    ordered = {order.pod for order in made.order} | (standing.keys() - set(made.withdraw))
    there = {it.name for it in pods if not (it.is_marked and len(pods) > current)}
    if working & there:
        assert len(ordered & there) <= surplus
    assert not set(made.kept) & set(made.remove)
    assert made.kept == () or surplus - max(0, unmade) < len(there)
