"""What befalls a pool's workers, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.pools import pool, seen, unread

from crewcall_operator.api.events import event
from crewcall_operator.api.happenings import happenings
from crewcall_operator.api.status import status
from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.observation import Fleet, Observation, Pod, Worker
from crewcall_operator.core.victims import Order, Plan
from crewcall_operator.errors import QueueUnavailable
from crewcall_operator.ports import Recovered, Report

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PODS = tuple(Pod(name, is_ready=True, created=0.0) for name in "abcd")


def report(plan: Plan, **fields: Any) -> Report:
    """A tick at which one of four replicas would have sufficed."""
    decision = Decision(1, Reason.BACKLOG_FELL, "9 ready, 0 in flight; 1 replicas suffice at 10 each")
    own = {"observation": seen(9), "fleet": Fleet(4, 4, PODS), "decision": decision, "plan": plan}
    return Report(pool(), 100.0, **{**own, **fields})


def conditions(given: Report) -> dict[str, tuple[str, str, str]]:
    found = status(given, None, NOON)["conditions"]
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


ORDERED = (Order("b", "idle"), Order("c", "running 2 jobs, the oldest for 5 s"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            report(Plan(4, order=ORDERED, draining=("b", "c"))),
            [
                (
                    "Normal",
                    "Draining",
                    "Draining b (idle), c (running 2 jobs, the oldest for 5 s): 1 of 4 replicas suffice",
                )
            ],
        ),
        (
            report(Plan(4, withdraw=("b", "gone"), kept=("b",))),
            [("Normal", "DrainWithdrawn", "Needed again, and not to drain any more: b")],
        ),
        (
            report(Plan(3, remove=("d",), unanswered=("d",)), applied=True),
            [("Warning", "OrderUnanswered", "Removed without having drained: d answered no order")],
        ),
        (
            report(
                Plan(4),
                observation=Observation((), (Worker("w1", "b"), Worker("w2", "c"))),
                recovered=(Recovered("w1", 5), Recovered("w2", 1, ("m1",))),
            ),
            [
                ("Warning", "WorkerDied", "The worker in b died; its 5 unfinished jobs are back in the queue"),
                (
                    "Warning",
                    "WorkerDied",
                    "The worker in c died; its 1 unfinished job is back in the queue; "
                    "1 that had killed several workers became dead letters",
                ),
            ],
        ),
        (report(Plan(4)), []),
    ],
)
def test_tells_each_thing_that_befell_the_workers(given: Report, told: list[tuple[str, str, str]]) -> None:
    assert [tuple(each) for each in happenings(given)] == told


def test_names_the_first_few_of_many() -> None:
    orders = tuple(Order(str(number), "idle") for number in range(7))

    (told,) = happenings(report(Plan(4, order=orders)))

    assert told.message.startswith("Draining 0 (idle), 1 (idle), 2 (idle), 3 (idle), 4 (idle) and 2 more: ")


def test_the_change_that_is_told_is_the_one_that_was_made() -> None:
    given = report(Plan(3, remove=("b",), draining=("c", "d")), applied=True)

    assert event(given, None) == (
        "Normal",
        "BacklogFell",
        "Scaled down from 4 to 3: 9 ready, 0 in flight; 1 replicas suffice at 10 each",
    )
    assert conditions(given)["AbleToScale"][2] == "the replicas were set to 3"


def test_shows_how_many_drain_and_what_is_waited_for() -> None:
    given = report(Plan(4, draining=("b", "c")))

    assert status(given, None, NOON)["drainingReplicas"] == 2
    assert conditions(given)["AbleToScale"] == ("True", "Draining", "waiting until b, c have finished what they run")


@pytest.mark.parametrize(
    ("given", "state", "reason", "words"),
    [
        (report(Plan(4)), "True", "AllWorkersSeen", "every pod that has had time to start shows its worker"),
        (
            report(Plan(1, plain=("a", "b"))),
            "False",
            "PodsWithoutRuntime",
            "a, b show no worker with Crewcall's runtime; these are scaled the plain way, by SIGTERM alone",
        ),
        (
            report(Plan(1), fleet=Fleet(4, 4, ())),
            "Unknown",
            "NoPodSeen",
            "no pod has the label crewcall.dev/pool=notifications; "
            "without it the replicas are scaled the plain way, by SIGTERM alone",
        ),
        (
            report(Plan(1), hindered=("worker w1: its record is of version 2; known is 1. Update the reader.",)),
            "False",
            "WorkersUnread",
            "worker w1: its record is of version 2; known is 1. Update the reader.",
        ),
    ],
)
def test_says_which_replicas_cannot_be_told_to_drain(given: Report, state: str, reason: str, words: str) -> None:
    assert conditions(given)["WorkersSeen"] == (state, reason, words)


UNWRITTEN = QueueUnavailable("redis:6379/0", "no answer within 2 s", cannot_be="written to")


@pytest.mark.parametrize(
    ("wanted", "able", "words"),
    [
        (1, ("False", "OrdersUnwritten"), "no replica goes, as orders could not be written: "),
        (4, ("True", "ReadyForNewScale"), "who is drained stays so, as orders could not be written: "),
    ],
)
def test_says_that_orders_could_not_be_written(wanted: int, able: tuple[str, str], words: str) -> None:
    decision = Decision(wanted, Reason.BACKLOG_FELL)

    found = conditions(report(Plan(4), decision=decision, unordered=UNWRITTEN, hindered=(f"orders: {UNWRITTEN}",)))

    message = f"{words}Redis redis:6379/0 cannot be written to: no answer within 2 s"
    assert found["Ready"] == ("False", "OrdersUnwritten", message)
    assert found["AbleToScale"][:2] == able
    assert found["ScalingActive"] == ("True", "ValidMetricFound", "the backlog was read from Redis")
    assert found["WorkersSeen"] == ("False", "OrdersUnwritten", f"orders: {UNWRITTEN}")


def test_says_that_no_replica_goes_while_its_workers_cannot_be_read() -> None:
    message = "no replica goes while it is not known what its workers run: workers are not known: no permission"
    held = Decision(4, Reason.WORKERS_UNREAD, message, (Step(1, Reason.BACKLOG_FELL), Step(4, Reason.WORKERS_UNREAD)))
    given = report(Plan(4), observation=unread(seen(9)), decision=held, hindered=unread(seen(9)).unread)

    found = conditions(given)

    assert {kind: found[kind] for kind in ("Ready", "AbleToScale")} == dict.fromkeys(
        ("Ready", "AbleToScale"), ("False", "WorkersUnread", message)
    )
    assert found["ScalingActive"][0] == "True"
    assert event(given, None) == ("Warning", "WorkersUnread", f"Kept 4: {message}")
