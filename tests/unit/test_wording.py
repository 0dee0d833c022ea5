"""What a decision says to people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.pools import always, delayed, going_to, memory, pods, policy, rules, seen, unread
from tests.support.promises import counted, crew, flowing

from crewcall_operator.core.decide import decide
from crewcall_operator.core.decision import Reason
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import Mode, Policy, QueueLatency
from crewcall_operator.core.schedule import in_force
from crewcall_operator.core.wording import SENTENCES

LATENCY = policy(target=QueueLatency(30))


def test_has_a_sentence_for_every_reason() -> None:
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize(
    ("by", "look", "current", "remembered", "message"),
    [
        (policy(), seen(9, 2, oldest=4.12), 0, memory(), "9 ready, oldest 4.1 s, 2 in flight; 2 replicas at 10 each"),
        (policy(each=2.5), seen(9, 2), 3, memory(), "9 ready, 2 in flight; 5 replicas at 2.5 each"),
        (policy(), seen(9, 2), 5, memory(), "9 ready, 2 in flight; 2 replicas suffice at 10 each"),
        (policy(), seen(9, 11), 2, memory(), "9 ready, 11 in flight; 2 replicas are right at 10 each"),
        (policy(), seen(22), 2, memory(), "22 ready, 0 in flight; within the tolerance of 10 each"),
        (policy(), seen(), 0, memory(), "nothing is outstanding"),
        (
            policy(),
            delayed(due_in=4.25),
            0,
            memory(),
            "the next delayed job is due in 4.2 s, and a replica takes 30.0 s to start",
        ),
        (policy(), delayed(due_in=0, jobs=9, due=3), 0, memory(), "0 ready, 3 due, 0 in flight; 1 replicas at 10 each"),
        (
            policy(),
            Observation((QueueState("sms", ready=9, is_paused=True),)),
            0,
            memory(),
            "nothing is outstanding; paused: sms",
        ),
        (
            policy(),
            Observation((QueueState("sms", ready=9, limited=7, in_flight=1),)),
            0,
            memory(),
            "9 ready (7 held back by limits), 1 in flight; 1 replicas at 10 each",
        ),
        (
            policy(),
            unread(seen(10)),
            4,
            memory(),
            "no replica goes while it is not known what its workers run: workers are not known: no permission",
        ),
        (
            policy(),
            replace(unread(seen(10)), unread=("workers are not known", "orders are not known")),
            4,
            memory(),
            "no replica goes while it is not known what its workers run: workers are not known; orders are not known",
        ),
        (
            policy(queues={"sms": 1.0, "pdf": 1.0}),
            Observation((QueueState("sms", is_paused=True), QueueState("pdf", is_paused=True))),
            0,
            memory(),
            "nothing is outstanding; paused: sms, pdf",
        ),
        (
            policy(max=5, fallback=going_to(7, after=300)),
            None,
            4,
            memory(observed_at=700),
            "backlog unknown; 7 wanted, maxReplicas is 5",
        ),
        (
            policy(cooldown=90),
            seen(),
            1,
            memory(busy_at=990),
            "nothing is outstanding; the last replica goes after 90 s without work",
        ),
        (
            policy(up=rules(window=45)),
            seen(50),
            2,
            memory(recommended={990: 3}),
            "50 ready, 0 in flight; 5 wanted, but 3 at some time in the last 45 s",
        ),
        (
            policy(),
            seen(10),
            4,
            memory(recommended={990: 3}),
            "10 ready, 0 in flight; 1 wanted, but 3 at some time in the last 60 s",
        ),
        (
            policy(up=rules(pods(1, 60))),
            seen(50),
            2,
            memory(),
            "50 ready, 0 in flight; 5 wanted, behavior.scaleUp allows 3 for now",
        ),
        (
            policy(down=rules(pods(1, 60))),
            seen(10),
            4,
            memory(),
            "10 ready, 0 in flight; 1 wanted, behavior.scaleDown allows 3 for now",
        ),
        (policy(min=3), seen(10), 4, memory(), "10 ready, 0 in flight; 1 wanted, minReplicas is 3"),
        (policy(max=5), seen(90), 4, memory(), "90 ready, 0 in flight; 9 wanted, maxReplicas is 5"),
        (
            policy(schedules=(always(3, "office"),)),
            seen(10),
            0,
            memory(),
            '10 ready, 0 in flight; 1 wanted, schedule "office" keeps 3',
        ),
        (
            policy(schedules=(always(8, "office"),), max=5),
            seen(10),
            4,
            memory(),
            "10 ready, 0 in flight; 8 wanted, maxReplicas is 5",
        ),
        (policy(pinned=6), seen(90), 4, memory(), "pinned by spec.replicas; remove it to scale by backlog again"),
        (policy(mode=Mode.PAUSED), seen(90), 4, memory(), "mode is Paused"),
        (
            policy(),
            None,
            4,
            memory(observed_at=987.6),
            "Redis has not answered for 12 s; keeping what runs",
        ),
        (
            policy(fallback=going_to(7, after=300)),
            None,
            4,
            memory(observed_at=700),
            "Redis has not answered for 300 s; going to fallback.replicas",
        ),
        (
            LATENCY,
            seen(90),
            4,
            memory(),
            "what target.queueLatency is sized by cannot be read; keeping what runs",
        ),
        (
            LATENCY,
            counted(in_flight=10, crew=crew(3, busy=10, startup=7.0)),
            3,
            replace(memory(), flow=flowing(5.0, 2.0)),
            "0 ready, 10 in flight; 3 replicas are right at a promise of 30 s "
            "(5 jobs/s of 2.07 s, 4 threads a replica, started in 7.0 s)",
        ),
        (
            LATENCY,
            counted(ready=900, crew=crew(2, pending=2, unschedulable=2)),
            4,
            replace(memory(), flow=flowing(5.0, 2.0)),
            "900 ready, 0 in flight; more replicas are needed, but 2 that are there find no node",
        ),
    ],
)
def test_says_why(by: Policy, look: Observation | None, current: int, remembered: Memory, message: str) -> None:
    schedule = in_force(by.schedules, 1000.0)
    assert decide(by, look, current, remembered, 1000.0, schedule).message == message


@pytest.mark.parametrize("look", [seen(9), None])
def test_has_words_for_a_pool_sized_by_latency_as_well(look: Observation | None) -> None:
    assert decide(LATENCY, look, 4, memory(), now=1000.0).message
