"""What the status keeps of how a decision came about: enough to retell it, and no more than is worth a write."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.pools import memory, policy, pool, rules, seen
from tests.support.promises import counted
from tests.support.workerpools import schema

from crewcall_operator.api.retelling import decision, flow_of, sizing, workers
from crewcall_operator.api.status import is_worth_writing, status
from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.decide import decide
from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.flow import NOTHING_KNOWN
from crewcall_operator.core.observation import Fleet, Observation, QueueState, Worker
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.promise import replicas_for
from crewcall_operator.ports import Report

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CREW = Crew(ready=2, pending=0, threads=8, busy=16, startup=11.04)
FLOW = NOTHING_KNOWN.seeing({"sms": Counters(0, 0, 0.0)}, 0.0).seeing({"sms": Counters(100, 80, 40.0)}, 10.0)


def test_retells_every_step_of_a_decision_and_which_limit_bound() -> None:
    made = decide(policy(max=5), seen(ready=120), 4, memory(), 100.0)

    assert decision(Report(pool(max=5), 100.0, seen(ready=120), fleet=Fleet(4, 4), decision=made)) == {
        "decision": {
            "from": 4,
            "to": 5,
            "reason": "TooManyReplicas",
            "steps": [{"replicas": 12, "reason": "BacklogDrain"}, {"replicas": 5, "reason": "TooManyReplicas"}],
        }
    }


def test_retells_nothing_where_nothing_was_decided() -> None:
    assert decision(Report(pool(), 100.0)) == {}


def test_tells_the_figures_that_a_promise_was_sized_by() -> None:
    observed = counted(ready=50, in_flight=16, crew=CREW)
    made = Decision(9, Reason.BACKLOG_DRAIN, steps=(Step(9, Reason.BACKLOG_DRAIN),))
    promised = pool(target=QueueLatency(30.0), max=100)

    found = sizing(Report(promised, 10.0, observed, fleet=Fleet(2, 2), decision=made, flow=FLOW))["sizing"]

    assert (found["threadsPerReplica"], found["startupSeconds"]) == (8, 11.0)
    threads = max(found["steadyThreads"], found["backlogThreads"], found["burstThreads"])
    assert -(-threads // 8) == replicas_for(promised.policy, 30.0, observed, FLOW)


def test_tells_how_fast_jobs_come_and_how_long_they_take_while_there_are_any() -> None:
    busy = flow_of(QueueState("sms", ready=1), FLOW)

    assert busy == {"arrivalsPerSecond": 10.0, "jobSeconds": float(f"{FLOW.queues['sms'].service:.3g}")}
    assert flow_of(QueueState("sms"), FLOW) == {}
    assert flow_of(QueueState("email", ready=1), FLOW) == {}


def test_tells_of_workers_only_where_they_tell_of_themselves() -> None:
    crew = (Worker("a", "pod-a", busy=3), Worker("b", "pod-b", busy=1))

    assert workers(Observation((), crew, orders=frozenset({"pod-b"}))) == {
        "workers": {"seen": 2, "busyThreads": 4, "orders": 1}
    }
    assert workers(Observation(())) == {}
    assert workers(None) == {}


def test_an_idle_pools_figures_never_change_so_that_nothing_is_written() -> None:
    idle = Decision(0, Reason.IDLE, "nothing is outstanding", (Step(0, Reason.IDLE),))

    def at(now: float) -> Report:
        flow = FLOW.seeing({"sms": Counters(100, 100, 50.0)}, now)
        return Report(pool(), now, seen(), fleet=Fleet(0, 0), decision=idle, flow=flow)

    first = status(at(20.0), None, NOW)

    assert not is_worth_writing(first, status(at(900.0), first, NOW), 1e6)


def test_figures_alone_are_written_with_the_counts_and_not_at_once() -> None:
    def at(ready: int) -> Report:
        made = decide(policy(max=2), seen(ready=ready), 2, memory(), 100.0)
        return Report(pool(max=2), 100.0, seen(ready=ready), fleet=Fleet(2, 2), decision=made)

    first = status(at(100), None, NOW)
    second = status(at(101), first, NOW)

    assert second["sizing"] != first["sizing"]
    assert not is_worth_writing(first, second, 1.0)
    assert is_worth_writing(first, second, 11.0)


def test_the_definition_has_room_for_the_longest_chain_of_steps() -> None:
    down = rules(window=0.0)
    most = len(decide(policy(min=1, down=down), seen(), 9, memory(recommended={99.0: 9}), 100.0).steps)

    assert most <= schema()["properties"]["status"]["properties"]["decision"]["properties"]["steps"]["maxItems"]
