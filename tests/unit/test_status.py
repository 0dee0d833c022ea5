"""What a tick's report becomes in the status and in Events, and which of it is worth a write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.apiserver import validation
from tests.support.pools import pool, seen
from tests.support.workerpools import schema, workerpool

from crewcall_operator.api.duration import write_duration
from crewcall_operator.api.events import event, turned
from crewcall_operator.api.spec import read_pool
from crewcall_operator.api.status import is_worth_writing, rejected_status, status
from crewcall_operator.core.decision import Decision, Reason, Step
from crewcall_operator.core.estimate import WORDS as WORDS_OF_BASIS
from crewcall_operator.core.estimate import Basis, Estimate
from crewcall_operator.core.observation import Fleet, Observation, QueueState
from crewcall_operator.core.policy import Mode, QueueLatency
from crewcall_operator.core.saturation import Saturated
from crewcall_operator.errors import Problem, QueueUnavailable, TargetUnavailable
from crewcall_operator.ports import Report

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
LATER = NOON + timedelta(seconds=30)
SILENT = QueueUnavailable("redis.shop:6379", "no answer for 2 s")
CONFLICT = TargetUnavailable("FailedUpdateScale", "deployments.apps is forbidden")
WORDS = "120 ready, oldest 4.1 s, 32 in flight; 7 replicas at 20 each"


def decided(replicas: int, reason: Reason, *steps: Reason, message: str = WORDS) -> Decision:
    return Decision(replicas, reason, message, tuple(Step(replicas, step) for step in steps or (reason,)))


def report(**fields: Any) -> Report:
    """A tick at which four replicas were steady, with these fields in place of its own."""
    steady = {
        "pool": pool(),
        "at": 100.0,
        "observation": seen(ready=120, in_flight=32, oldest=4.1),
        "fleet": Fleet(current=4, ready=4),
        "decision": decided(4, Reason.STEADY_LOAD),
    }
    return Report(**{**steady, **fields})


def blind(decision: Decision | None = None, **fields: Any) -> Report:
    held = decided(4, Reason.REDIS_UNAVAILABLE, message="Redis has not answered for 12 s; keeping what runs")
    return report(observation=None, unavailable=SILENT, decision=decision or held, **fields)


def states(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Every condition's status and reason, by its type."""
    return {each["type"]: (each["status"], each["reason"]) for each in found["conditions"]}


SATURATED = Saturated(16.0, 32.0, 12.0, 12.1)
KNOWN = Estimate(9.8, 0.31, 3.0, 8, 11.0, Basis.COUNTED)
STEADY = {
    "Ready": ("True", "SteadyLoad"),
    "AbleToScale": ("True", "ReadyForNewScale"),
    "ScalingActive": ("True", "ValidMetricFound"),
    "ScalingLimited": ("False", "DesiredWithinRange"),
    "QueuesSeen": ("True", "AllQueuesSeen"),
}


def test_tells_all_that_a_tick_found() -> None:
    found = status(
        report(
            pool=replace(read_pool(workerpool()), generation=3),
            observation=Observation(
                (QueueState("sms", 112, 32, 3, 0, 4.123), QueueState("email", 8, 8, 0, 2, oldest_ready_age=None))
            ),
            fleet=Fleet(current=4, ready=3),
            decision=decided(7, Reason.BACKLOG_DRAIN),
            applied=True,
        ),
        None,
        NOON,
    )

    conditions = found.pop("conditions")
    assert found == {
        "observedGeneration": 3,
        "replicas": 4,
        "readyReplicas": 3,
        "desiredReplicas": 7,
        "selector": "crewcall.dev/pool=notifications",
        "backlog": "120",
        "oldest": "≥4.1s",
        "queues": [
            {
                "name": "sms",
                "seen": True,
                "ready": 112,
                "inFlight": 32,
                "delayed": 3,
                "dead": 0,
                "oldestAgeSeconds": 4.1,
            },
            {"name": "email", "seen": True, "ready": 8, "inFlight": 8, "delayed": 0, "dead": 2},
        ],
        "lastDecision": {
            "time": "2026-01-02T12:00:00Z",
            "from": 4,
            "to": 7,
            "reason": "BacklogDrain",
            "message": WORDS,
        },
        "decision": {
            "from": 4,
            "to": 7,
            "reason": "BacklogDrain",
            "steps": [{"replicas": 7, "reason": "BacklogDrain"}],
        },
    }
    assert conditions[0] == {
        "type": "Ready",
        "status": "True",
        "reason": "BacklogDrain",
        "message": WORDS,
        "observedGeneration": 3,
        "lastTransitionTime": "2026-01-02T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (report(), {}),
        (
            report(decision=decided(7, Reason.BACKLOG_DRAIN), applied=True),
            {"Ready": ("True", "BacklogDrain"), "AbleToScale": ("True", "SucceededRescale")},
        ),
        (
            report(
                decision=decided(4, Reason.SCALE_DOWN_STABILIZED, Reason.BACKLOG_FELL, Reason.SCALE_DOWN_STABILIZED)
            ),
            {"Ready": ("True", "ScaleDownStabilized"), "AbleToScale": ("True", "ScaleDownStabilized")},
        ),
        (
            report(decision=decided(1, Reason.COOLDOWN, Reason.IDLE, Reason.COOLDOWN)),
            {"Ready": ("True", "Cooldown"), "AbleToScale": ("True", "Cooldown")},
        ),
        (
            report(decision=decided(10, Reason.TOO_MANY_REPLICAS, Reason.BACKLOG_DRAIN, Reason.TOO_MANY_REPLICAS)),
            {"Ready": ("True", "TooManyReplicas"), "ScalingLimited": ("True", "TooManyReplicas")},
        ),
        (
            report(decision=decided(5, Reason.SCALE_UP_LIMIT, Reason.BACKLOG_DRAIN, Reason.SCALE_UP_LIMIT)),
            {"Ready": ("True", "ScaleUpLimit"), "ScalingLimited": ("True", "ScaleUpLimit")},
        ),
        (
            blind(),
            {
                "Ready": ("False", "RedisUnavailable"),
                "ScalingActive": ("False", "RedisUnavailable"),
                "ScalingLimited": ("Unknown", "RedisUnavailable"),
                "QueuesSeen": ("Unknown", "RedisUnavailable"),
            },
        ),
        (
            blind(decided(2, Reason.FALLBACK), applied=True),
            {
                "Ready": ("False", "Fallback"),
                "AbleToScale": ("True", "SucceededRescale"),
                "ScalingActive": ("False", "Fallback"),
                "ScalingLimited": ("Unknown", "Fallback"),
                "QueuesSeen": ("Unknown", "RedisUnavailable"),
            },
        ),
        (
            report(failure=CONFLICT),
            {"Ready": ("False", "FailedUpdateScale"), "AbleToScale": ("False", "FailedUpdateScale")},
        ),
        (
            report(failure=TargetUnavailable("FailedGetScale", "gone"), fleet=None, decision=None),
            {
                "Ready": ("False", "FailedGetScale"),
                "AbleToScale": ("False", "FailedGetScale"),
                "ScalingActive": ("Unknown", "NotDecided"),
                "ScalingLimited": ("Unknown", "NotDecided"),
            },
        ),
        (
            report(pool=pool(mode=Mode.PAUSED), decision=decided(4, Reason.PAUSED)),
            {
                "Ready": ("True", "Paused"),
                "ScalingActive": ("False", "ScalingDisabled"),
                "ScalingLimited": ("Unknown", "Paused"),
            },
        ),
        (report(pool=pool(mode=Mode.RECOMMEND)), {"ScalingActive": ("False", "ScalingDisabled")}),
        (
            report(pool=pool(pinned=4), decision=decided(4, Reason.PINNED)),
            {"Ready": ("True", "Pinned"), "ScalingActive": ("False", "ScalingDisabled")},
        ),
        (
            report(pool=pool(target=QueueLatency(30.0)), decision=decided(4, Reason.TARGET_NOT_AVAILABLE)),
            {
                "Ready": ("False", "TargetNotAvailable"),
                "ScalingActive": ("False", "TargetNotAvailable"),
                "ScalingLimited": ("Unknown", "TargetNotAvailable"),
            },
        ),
        (report(estimate=KNOWN), {"ThroughputScales": ("True", "NothingAgainst")}),
        (
            report(estimate=replace(KNOWN, saturated=SATURATED)),
            {"ThroughputScales": ("False", "DownstreamSaturated")},
        ),
        (
            report(observation=Observation((QueueState("sms"), QueueState("emial", is_known=False)))),
            {"QueuesSeen": ("False", "QueueNeverSeen")},
        ),
    ],
)
def test_every_outcome_has_its_conditions(given: Report, expected: dict[str, tuple[str, str]]) -> None:
    assert states(status(given, None, NOON)) == STEADY | expected


@pytest.mark.parametrize("basis", Basis)
def test_says_who_tells_what_a_promise_is_sized_by(basis: Basis) -> None:
    found = status(report(estimate=replace(KNOWN, basis=basis)), None, NOON)["conditions"]

    (active,) = [each for each in found if each["type"] == "ScalingActive"]
    assert active["message"] == f"the backlog was read from Redis; {WORDS_OF_BASIS[basis]}"


def test_a_downstream_that_comes_to_be_saturated_is_one_event_and_its_relief_another() -> None:
    healthy, saturated = report(estimate=KNOWN), report(estimate=replace(KNOWN, saturated=SATURATED))
    before, during = status(healthy, None, NOON), status(saturated, None, NOON)

    assert turned(saturated, before) == (
        "Warning",
        "DownstreamSaturated",
        "More replicas do not help: 16 busy threads did 12 jobs/s, 32 did 12.1: what they call has no more to give",
    )
    assert turned(healthy, during) == ("Normal", "DownstreamRelieved", "More replicas may get more done again")
    assert turned(saturated, during) is turned(healthy, before) is turned(report(), during) is None


def test_every_reason_has_a_status_that_the_crd_admits() -> None:
    for reason in Reason:
        for given in (report(decision=decided(4, reason)), blind(decided(4, reason)), report(failure=CONFLICT)):
            resource = workerpool() | {"status": status(given, None, NOON)}
            assert validation.judge(resource, schema()) == []


def test_what_is_not_known_is_never_zero() -> None:
    found = status(blind(fleet=None, failure=CONFLICT), None, NOON)

    del found["conditions"]
    assert found == {"observedGeneration": 1, "backlog": "?", "oldest": "?", "queues": []}


def test_a_queue_that_nobody_has_ever_seen_is_not_an_empty_one() -> None:
    misspelt = QueueState("emial", is_known=False)
    both = pool(queues={"sms": 1.0, "emial": 1.0})

    beside = status(report(pool=both, observation=Observation((QueueState("sms", ready=30), misspelt))), None, NOON)
    alone = status(report(pool=both, observation=Observation((misspelt,))), None, NOON)

    assert (beside["backlog"], beside["queues"][1]) == ("30", {"name": "emial", "seen": False})
    assert (alone["backlog"], alone["oldest"]) == ("?", "?")
    assert states(alone)["QueuesSeen"] == ("False", "QueueNeverSeen")


def test_a_queue_is_written_down_at_once_when_it_is_first_seen() -> None:
    before = status(report(observation=Observation((QueueState("sms", is_known=False),))), None, NOON)
    after = status(report(observation=Observation((QueueState("sms"),))), before, NOON)

    assert is_worth_writing(before, after, 0.0)


def test_an_empty_queue_has_no_oldest_job() -> None:
    assert "oldest" not in status(report(observation=seen()), None, NOON)


def test_an_age_that_cannot_be_read_is_a_question_mark() -> None:
    assert status(report(observation=seen(ready=3)), None, NOON)["oldest"] == "?"


def test_keeps_the_last_decision_while_none_can_be_taken() -> None:
    before = status(report(decision=decided(7, Reason.BACKLOG_DRAIN)), None, NOON)

    after = status(report(failure=CONFLICT, fleet=None, decision=None), before, LATER)

    assert after["desiredReplicas"] == 7
    assert after["lastDecision"] == before["lastDecision"]


def test_keeps_the_last_change_while_the_replicas_stay() -> None:
    before = status(report(decision=decided(7, Reason.BACKLOG_DRAIN)), None, NOON)

    after = status(report(fleet=Fleet(7, 7), decision=decided(7, Reason.STEADY_LOAD)), before, LATER)

    assert after["lastDecision"] == before["lastDecision"]


def test_a_decision_dates_from_when_it_was_first_taken() -> None:
    before = status(report(decision=decided(5, Reason.BACKLOG_DRAIN)), None, NOON)

    same = status(report(decision=decided(5, Reason.BACKLOG_DRAIN, message="119 ready")), before, LATER)
    other = status(report(decision=decided(6, Reason.BACKLOG_DRAIN)), before, LATER)

    assert same["lastDecision"] == before["lastDecision"]
    assert other["lastDecision"]["time"] == "2026-01-02T12:00:30Z"


def test_a_pool_that_never_changed_has_no_last_decision() -> None:
    assert "lastDecision" not in status(report(), None, NOON)


def test_a_condition_dates_from_when_its_status_changed() -> None:
    before = status(report(), None, NOON)

    after = status(blind(), before, LATER)
    still = status(blind(decided(4, Reason.FALLBACK)), after, LATER + timedelta(minutes=1))

    def times(found: Mapping[str, Any]) -> dict[str, str]:
        return {each["type"]: each["lastTransitionTime"][-9:] for each in found["conditions"]}

    assert times(after) == times(still)
    assert times(after) == {
        "Ready": "12:00:30Z",
        "AbleToScale": "12:00:00Z",
        "ScalingActive": "12:00:30Z",
        "ScalingLimited": "12:00:30Z",
        "QueuesSeen": "12:00:30Z",
    }


def test_a_queue_that_was_seen_once_counts_as_seen_for_good() -> None:
    """Redis drops the keys of an empty queue, and a new operator starts with no memory of it."""
    before = status(report(), None, NOON)
    forgotten = report(observation=Observation((QueueState("sms", is_known=False),)))

    blinded = status(blind(), before, NOON)
    invalid = rejected_status(2, [Problem("spec.mode", "auto", "must be Auto")], blinded, NOON)

    assert states(status(forgotten, invalid, LATER))["QueuesSeen"] == ("True", "AllQueuesSeen")
    assert states(status(forgotten, None, LATER))["QueuesSeen"] == ("False", "QueueNeverSeen")


def test_an_invalid_spec_is_told_with_every_problem() -> None:
    problems = [Problem("spec.mode", "auto", "must be Auto"), Problem("spec.target", None, "is required")]

    found = rejected_status(5, problems, status(report(), None, NOON), LATER)

    assert validation.judge(workerpool() | {"status": found}, schema()) == []
    assert {"replicas", "desiredReplicas", "lastDecision"}.isdisjoint(found)
    assert (found["observedGeneration"], found["backlog"], found["oldest"]) == (5, "?", "?")
    assert found["conditions"][0] == {
        "type": "Ready",
        "status": "False",
        "reason": "InvalidSpec",
        "message": 'spec.mode: is "auto"; must be Auto; spec.target: is required',
        "observedGeneration": 5,
        "lastTransitionTime": "2026-01-02T12:00:30Z",
    }


def test_too_many_problems_for_a_message_are_cut() -> None:
    found = rejected_status(1, [Problem("spec.queues", None, "x" * 40_000)], None, NOON)

    assert len(found["conditions"][0]["message"]) == 32_768


BEFORE = status(report(), None, NOON)


@pytest.mark.parametrize(
    ("given", "seconds", "is_worth"),
    [
        (report(), 1000.0, False),
        (report(observation=seen(ready=121, oldest=5.0)), 9.9, False),
        (report(observation=seen(ready=121, oldest=5.0)), 10.0, True),
        (report(decision=decided(4, Reason.STEADY_LOAD, message="121 ready")), 9.9, False),
        (report(decision=decided(4, Reason.STEADY_LOAD, message="121 ready")), 10.0, True),
        (report(decision=decided(5, Reason.BACKLOG_DRAIN)), 0.0, True),
        (report(fleet=Fleet(current=4, ready=3)), 0.0, True),
        (report(pool=replace(pool(), generation=2)), 0.0, True),
        (blind(), 0.0, True),
        (report(failure=CONFLICT), 0.0, True),
    ],
)
def test_writes_at_once_what_changed_and_numbers_now_and_then(given: Report, seconds: float, is_worth: bool) -> None:
    assert is_worth_writing(BEFORE, status(given, BEFORE, LATER), seconds) is is_worth


def test_a_recommendation_that_grows_is_written_now_and_then() -> None:
    first = status(report(decision=decided(5, Reason.BACKLOG_DRAIN), **ADVICE), None, NOON)
    more = status(report(decision=decided(6, Reason.BACKLOG_DRAIN), **ADVICE), first, LATER)
    fewer = status(report(decision=decided(3, Reason.BACKLOG_FELL), **ADVICE), first, LATER)

    assert [is_worth_writing(first, more, seconds) for seconds in (9.9, 10.0)] == [False, True]
    assert is_worth_writing(first, fewer, 0.0)


def test_no_message_is_too_long_to_be_written() -> None:
    found = status(report(failure=TargetUnavailable("FailedUpdateTemplate", "x" * 40_000)), None, NOON)

    assert {len(it["message"]) for it in found["conditions"] if it["reason"] == "FailedUpdateTemplate"} == {32_768}


def test_writes_a_first_status_at_once() -> None:
    assert is_worth_writing(None, BEFORE, 0.0)
    assert is_worth_writing({}, BEFORE, 0.0)


def test_writes_nothing_while_redis_stays_silent() -> None:
    first = status(blind(), None, NOON)
    words = "Redis has not answered for 600 s; keeping what runs"
    later = status(blind(decided(4, Reason.REDIS_UNAVAILABLE, message=words)), first, LATER)

    assert not is_worth_writing(first, later, 600.0)


def test_writes_another_problem_of_the_same_spec() -> None:
    first = rejected_status(1, [Problem("spec.mode", None, "is wrong")], None, NOON)

    assert is_worth_writing(first, rejected_status(1, [Problem("spec.mode", None, "is not right")], first, NOON), 0.0)


NOW_BLIND = status(blind(), BEFORE, NOON)
ADVICE = {"pool": pool(mode=Mode.RECOMMEND)}


@pytest.mark.parametrize(
    ("given", "before", "told"),
    [
        (report(), None, None),
        (report(), BEFORE, None),
        (
            report(decision=decided(7, Reason.BACKLOG_DRAIN), applied=True),
            BEFORE,
            ("Normal", "BacklogDrain", f"Scaled up from 4 to 7: {WORDS}"),
        ),
        (
            report(decision=decided(0, Reason.IDLE, message="nothing is outstanding"), applied=True),
            BEFORE,
            ("Normal", "Idle", "Scaled down from 4 to 0: nothing is outstanding"),
        ),
        (
            blind(),
            BEFORE,
            ("Warning", "RedisUnavailable", "Kept 4: Redis redis.shop:6379 cannot be read: no answer for 2 s"),
        ),
        (blind(), NOW_BLIND, None),
        (
            blind(decided(2, Reason.FALLBACK, message="Redis has not answered for 300 s"), applied=True),
            NOW_BLIND,
            ("Warning", "Fallback", "Scaled down from 4 to 2: Redis has not answered for 300 s"),
        ),
        (report(), NOW_BLIND, ("Normal", "SteadyLoad", f"Scaling again: {WORDS}")),
        (report(failure=CONFLICT), BEFORE, ("Warning", "FailedUpdateScale", "deployments.apps is forbidden")),
        (report(failure=CONFLICT), status(report(failure=CONFLICT), None, NOON), None),
        (
            report(decision=decided(7, Reason.BACKLOG_DRAIN), **ADVICE),
            BEFORE,
            ("Normal", "BacklogDrain", f"Would scale up from 4 to 7: {WORDS}"),
        ),
        (
            report(decision=decided(7, Reason.BACKLOG_DRAIN), **ADVICE),
            status(report(decision=decided(7, Reason.BACKLOG_DRAIN), **ADVICE), None, NOON),
            None,
        ),
    ],
)
def test_tells_a_change_once(given: Report, before: Mapping[str, Any] | None, told: tuple[str, str, str]) -> None:
    assert event(given, before) == told


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "0.0s"),
        (4.13, "4.1s"),
        (59.94, "59.9s"),
        (59.96, "1m0s"),
        (192.4, "3m12s"),
        (3599.6, "1h0m"),
        (7500.0, "2h5m"),
        (86_400.0, "1d0h"),
        (273_600.0, "3d4h"),
    ],
)
def test_writes_a_duration_as_kubectl_does(seconds: float, written: str) -> None:
    assert write_duration(seconds) == written


def test_says_what_stays_as_it_is_while_the_mode_is_not_auto() -> None:
    made = replace(pool(mode=Mode.PAUSED), template={"spec": {}}, deployment_ref=None)
    told = [
        {it["type"]: it["message"] for it in status(report(pool=each), None, NOON)["conditions"]}["ScalingActive"]
        for each in (made, pool(mode=Mode.RECOMMEND))
    ]

    assert told == [
        "mode is Paused; replicas and template stay as they are",
        "mode is Recommend; the replicas stay as they are",
    ]
