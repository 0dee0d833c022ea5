"""Which replicas go when there are too many: those with the least to lose, drained first, and no more than asked."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.apiserver.replicasets import ranked

from crewcall_operator.api.names import ANNOTATION_DELETION_COST, FIRST_TO_GO
from crewcall_operator.core.observation import Phase, Pod, Worker, WorkerState
from crewcall_operator.core.replica import DEADLINE, LAPSED
from crewcall_operator.core.victims import Order, Plan, plan

NOW, STARTUP = 1000.0, 10.0
RUNNING, DRAINING, DRAINED = WorkerState


def pod(
    name: str, *, age: float = 100.0, ready: bool = True, marked: bool = False, phase: Phase = Phase.RUNNING
) -> Pod:
    return Pod(name, ready, NOW - age, marked, phase)


def worker(
    pod: str,
    state: WorkerState = RUNNING,
    busy: int = 0,
    since: float | None = None,
    silent_for: float = 0.2,
    prefetched: int = 0,
) -> Worker:
    return Worker(f"of-{pod}", pod, state, busy, since if busy else None, silent_for, prefetched=prefetched)


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


def test_orders_the_youngest_of_those_that_are_equal() -> None:
    pods = [pod("a", age=500.0), pod("b", age=100.0)]

    assert planned(pods, [worker("a"), worker("b")], wanted=1).order == (Order("b", "idle"),)


def test_a_replica_is_idle_only_where_all_its_workers_are() -> None:
    workers = [worker("a", busy=1, since=5.0), worker("a"), worker("b")]

    assert planned(ABC[:2], workers, wanted=1).order == (Order("b", "idle"),)


def test_a_replica_that_has_not_started_yet_goes_at_once_and_before_all_others() -> None:
    pods = [pod("a"), pod("b", age=1.0), pod("c", age=500.0, ready=False)]

    assert planned(pods, [worker("a")], wanted=2) == Plan(2, remove=("c",))
    assert planned(pods, [worker("a")], wanted=1) == Plan(1, remove=("c", "b"))


def test_removes_exactly_those_that_are_drained_and_waits_for_the_others() -> None:
    workers = [worker("a", busy=1, since=1.0), worker("b", DRAINED), worker("c", DRAINING, busy=1, since=3.0)]

    assert planned(ABC, workers, wanted=1, standing={"b": 4.0, "c": 4.0}) == Plan(2, remove=("b",), draining=("c",))


def test_one_that_was_ordered_stays_so_although_another_has_less_to_lose_by_now() -> None:
    workers = [worker("a", busy=1, since=1.0), worker("b", DRAINING, busy=1, since=900.0), worker("c", busy=1)]

    assert planned(ABC, workers, wanted=2, standing={"b": 4.0}) == Plan(3, draining=("b",))


def test_one_that_is_idle_takes_the_place_of_one_that_was_ordered_and_still_works() -> None:
    workers = [worker("a", busy=1, since=1.0), worker("b", DRAINING, busy=1, since=900.0), worker("c")]

    assert planned(ABC, workers, wanted=2, standing={"b": 4.0}) == Plan(
        3, order=(Order("c", "idle"),), withdraw=("b",), kept=("b",), draining=("c",)
    )


@pytest.mark.parametrize("state", [DRAINING, DRAINED])
def test_one_that_was_ordered_and_is_idle_gives_way_to_no_other_idle_one(state: WorkerState) -> None:
    workers = [worker("a"), worker("b", state), worker("c")]

    made = planned(ABC, workers, wanted=2, standing={"b": 4.0})

    assert (made.order, made.withdraw) == ((), ())


def test_one_between_two_jobs_that_holds_more_of_them_is_not_idle() -> None:
    pods = [pod("a"), pod("b", age=500.0)]

    assert planned(pods, [worker("a", prefetched=2), worker("b")], wanted=1).order == (Order("b", "idle"),)
    assert planned(pods, [worker("a", prefetched=2), worker("b", busy=1, since=1.0)], wanted=1).order == (
        Order("a", "about to run 2 jobs"),
    )


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


def test_all_go_at_once_where_all_are_drained() -> None:
    workers = [worker("a", DRAINED), worker("b", DRAINED)]

    assert planned(ABC[:2], workers, wanted=0, standing={"a": 4.0, "b": 4.0}) == Plan(0, remove=("a", "b"))


def test_believes_no_drained_that_is_older_than_the_order() -> None:
    workers = [worker("a", busy=1, since=1.0), worker("b", DRAINED, silent_for=0.8)]

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
    workers = [worker("a", busy=1, since=1.0), mute]

    before = planned(ABC[:2], workers, wanted=1, standing={"b": DEADLINE - 0.1})
    after = planned(ABC[:2], workers, wanted=1, standing={"b": DEADLINE})

    assert before == Plan(2, draining=("b",))
    assert after == (Plan(1, remove=("b",), unanswered=("b",)) if is_over else before)


def test_goes_by_the_living_worker_of_a_pod_whose_last_one_died() -> None:
    workers = [worker("a"), worker("b", busy=3, since=90.0, silent_for=LAPSED), worker("b", DRAINED)]

    assert planned(ABC[:2], workers, wanted=1, standing={"b": 2.0}) == Plan(1, remove=("b",))


def test_what_is_not_ready_is_ordered_first_for_the_cluster_would_take_it_first() -> None:
    pods = [pod("a"), pod("b", ready=False), pod("c", ready=False, phase=Phase.PENDING)]
    workers = [worker("a"), worker("b", busy=1, since=60.0), worker("c", busy=1, since=90.0)]

    assert [order.pod for order in planned(pods, workers, wanted=0).order] == ["c", "b", "a"]


def test_nothing_goes_while_one_that_is_not_ready_still_works_for_the_cluster_would_take_that() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready=False)]
    workers = [worker("a", busy=1, since=1.0), worker("b", DRAINED), worker("c", DRAINING, busy=1, since=60.0)]

    assert planned(pods, workers, wanted=1, standing={"b": 4.0, "c": 4.0}) == Plan(3, draining=("c",))
    assert planned(pods, workers, wanted=2, standing={"b": 4.0, "c": 4.0}) == Plan(
        3, withdraw=("b",), kept=("b",), draining=("c",)
    )


def test_a_drained_one_that_is_not_ready_need_not_wait_for_its_like() -> None:
    pods = [pod("a"), pod("b", ready=False), pod("c", ready=False)]
    workers = [worker("a"), worker("b", DRAINED), worker("c", DRAINING, busy=1, since=60.0)]

    assert planned(pods, workers, wanted=1, standing={"b": 4.0, "c": 4.0}) == Plan(2, remove=("b",), draining=("c",))


def test_marks_no_others_before_the_marked_ones_are_on_their_way() -> None:
    pods = [pod("a"), pod("b"), pod("c", marked=True)]
    workers = [worker("a", busy=1, since=1.0), worker("b", DRAINED), worker("c", DRAINED)]
    standing = {"b": 9.0, "c": 9.0}

    assert planned(pods, workers, wanted=1, current=2, standing=standing) == Plan(2)
    assert planned(pods[:2], workers, wanted=1, current=2, standing=standing) == Plan(1, remove=("b",))


def test_pods_without_the_runtime_are_scaled_the_plain_way_and_named() -> None:
    assert planned(ABC, [], wanted=1) == Plan(1, plain=("a", "b", "c"))


@pytest.mark.parametrize(("age", "plain"), [(20.0, ()), (20.5, ("b",))])
def test_takes_a_pod_for_one_without_the_runtime_after_twice_its_start_up(age: float, plain: tuple[str, ...]) -> None:
    assert planned([pod("a"), pod("b", age=age)], [worker("a")], wanted=2) == Plan(2, plain=plain)


def test_withdraws_the_orders_of_pods_whose_workers_tell_nothing_any_more() -> None:
    assert planned(ABC, [], wanted=3, standing={"b": 4.0, "gone": 9.0}) == Plan(
        3, withdraw=("b", "gone"), kept=("b",), plain=("a", "b", "c")
    )


def test_pods_without_the_runtime_are_the_last_to_go_beside_others() -> None:
    workers = [worker("a", busy=1, since=99.0), worker("b")]

    assert planned(ABC, workers, wanted=1) == Plan(
        3, order=(Order("b", "idle"), Order("a", "running 1 job for 99 s")), draining=("b", "a"), plain=("c",)
    )


names = st.sampled_from("abcdefgh")
ages = st.floats(0, 60)
told = st.tuples(st.sampled_from(WorkerState), st.integers(0, 4), st.floats(0, 1000), ages, st.integers(0, 2))
stages = st.just((Phase.RUNNING, True)) | st.tuples(st.sampled_from(Phase), st.just(False))
crews = st.dictionaries(names, st.tuples(stages, st.floats(0, 100), told | st.none()), max_size=8)
standing_orders = st.dictionaries(names, ages)

Crew = dict[str, tuple[tuple[Phase, bool], float, tuple[WorkerState, int, float, float, int] | None]]


def pods_of(crew: Crew, marked: Collection[str] = ()) -> list[Pod]:
    return [
        pod(name, age=age, ready=ready, marked=name in marked, phase=phase)
        for name, ((phase, ready), age, _) in crew.items()
    ]


def workers_of(crew: Crew) -> list[Worker]:
    return [worker(name, *told) for name, (_, _, told) in crew.items() if told is not None]


@given(crews, standing_orders, st.integers(-2, 2), st.integers(0, 10), st.sets(names))
def test_never_removes_more_than_the_surplus_nor_anything_that_still_works(
    crew: Crew, standing: dict[str, float], unmade: int, wanted: int, marked: set[str]
) -> None:
    pods, workers = pods_of(crew, marked), workers_of(crew)
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
    there = {it.name for it in pods if not (it.is_marked and len(pods) > current)}
    if working & there:
        to_leave = min(max(0, surplus - max(0, unmade)), len(there))
        without = len([name for name in there if name not in by_pod])
        ordered = len(ordered_after(made, standing) & there & by_pod.keys())
        assert to_leave - without <= ordered <= to_leave
    assert not set(made.kept) & set(made.remove)


@given(crews, standing_orders, st.integers(0, 8))
def test_a_plan_that_was_carried_out_changes_nothing_more_until_something_happens(
    crew: Crew, standing: dict[str, float], wanted: int
) -> None:
    pods, workers = pods_of(crew), workers_of(crew)
    made = planned(pods, workers, wanted, standing)
    orders = ordered_after(made, standing)

    again = planned(pods, workers, wanted, {name: standing.get(name, 0.0) for name in orders})

    assert (again.order, again.withdraw) == ((), ())


@given(crews, standing_orders, st.integers(1, 4))
def test_an_order_is_withdrawn_for_another_only_from_one_that_works_or_is_not_as_unready(
    crew: Crew, standing: dict[str, float], surplus: int
) -> None:
    pods, workers = pods_of(crew), {worker.pod: worker for worker in workers_of(crew)}

    made = planned(pods, list(workers.values()), max(0, len(pods) - surplus), standing)

    stage = {it.name: (it.phase, it.is_ready) for it in pods}
    at_work = {name for name, it in workers.items() if it.busy or it.prefetched}
    for kept in set(made.kept).difference(made.plain):
        for order in made.order:
            assert stage[order.pod] < stage[kept] or (
                stage[order.pod] == stage[kept] and kept in at_work and order.pod not in at_work
            )


@given(st.lists(st.dictionaries(names, st.floats(0.1, 9)), min_size=2, max_size=12), st.integers(1, 7))
def test_short_jobs_make_orders_swing_no_more_than_once_for_each_replica_that_goes(
    looks: list[dict[str, float]], surplus: int
) -> None:
    """Each look finds other jobs: who has one, and for how long it has been running. The others are idle."""
    pods = {name: pod(name) for name in "abcdefgh"}
    wanted, given = len(pods) - surplus, 0
    orders: dict[str, WorkerState] = {}

    for jobs in looks:
        # Who was ordered drains as soon as it has nothing to run, and takes nothing new.
        orders = {name: it if name in jobs else DRAINED for name, it in orders.items() if name in pods}
        running = {name: since for name, since in jobs.items() if orders.get(name) is not DRAINED}
        workers = [
            worker(name, orders.get(name, RUNNING), busy=name in running, since=running.get(name)) for name in pods
        ]
        made = planned(list(pods.values()), workers, wanted, dict.fromkeys(orders, 2.0))
        given += len(made.order)
        orders |= {order.pod: DRAINING if order.pod in running else DRAINED for order in made.order}
        orders = {name: it for name, it in orders.items() if name not in made.withdraw}
        pods = {name: it for name, it in pods.items() if name not in made.remove}

    assert given <= 2 * surplus


@given(crews, standing_orders, st.integers(0, 2), st.integers(0, 10))
def test_the_cluster_takes_exactly_those_that_the_plan_removes(
    crew: Crew, standing: dict[str, float], unmade: int, wanted: int
) -> None:
    pods = pods_of(crew)

    made = planned(pods, workers_of(crew), wanted, standing, len(pods) + unmade)

    if any(told for _, _, told in crew.values()):
        order = [body["metadata"]["name"] for body in ranked([as_body(it, made.remove) for it in pods], NOW)]
        assert set(order[: max(0, len(pods) - made.replicas)]) == set(made.remove)


def ordered_after(made: Plan, standing: dict[str, float]) -> set[str]:
    """The pods that are asked to drain once the plan was carried out."""
    return {order.pod for order in made.order} | (standing.keys() - set(made.withdraw))


def as_body(it: Pod, leaving: Collection[str]) -> dict[str, Any]:
    """The pod as the cluster has it, those that leave marked."""
    created = datetime.fromtimestamp(it.created, UTC).isoformat()
    conditions = [{"type": "Ready", "status": str(it.is_ready), "lastTransitionTime": created}]
    marks = {ANNOTATION_DELETION_COST: FIRST_TO_GO} if it.name in leaving else {}
    return {
        "metadata": {"name": it.name, "uid": it.name, "creationTimestamp": created, "annotations": marks},
        "spec": {"nodeName": "node"},
        "status": {"phase": it.phase.name.capitalize(), "conditions": conditions},
    }
