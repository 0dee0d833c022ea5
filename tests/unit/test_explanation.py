"""What `crewcall explain` makes of a pool, as a value, as JSON and as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.looks import BUSY, NOW, deployment, event, looked_at

from crewcall_operator.core.decision import Reason
from crewcall_operator.inspection import command
from crewcall_operator.inspection.explanation import Explanation, StepTaken, explain
from crewcall_operator.inspection.page import page
from crewcall_operator.inspection.phrases import phrase, span

TOLD = event("BacklogDrain", "Scaled up from 2 to 4: 80 ready, oldest 4.1 s, 2 in flight; 4 replicas at 20 each")


def explained(body: dict[str, Any] | None = None, *events: dict[str, Any], replicas: int = 4) -> Explanation:
    return explain(body or looked_at(), deployment(replicas), events)


def lines(found: Explanation, width: int = 80) -> list[str]:
    return page(found, NOW, width).plain.splitlines()


def test_retells_each_step_and_the_limit_that_bound() -> None:
    assert explained().steps == (
        StepTaken(9, "BacklogDrain", "backlogPerReplica 20 asks for", binds=False),
        StepTaken(7, "ScaleUpLimit", "behavior.scaleUp allows", binds=True),
    )


def test_the_longest_condition_is_apart_from_its_status() -> None:
    body = looked_at()
    body["status"]["conditions"].append(body["status"]["conditions"][0] | {"type": "ThroughputScales"})

    assert "  ThroughputScales True        3s  ScaleUpLimit" in lines(explained(body))


def test_the_page_has_inputs_steps_conditions_and_events_in_80_columns() -> None:
    assert lines(explained(None, TOLD)) == [
        "shop/notifications · Auto · 4 replicas, 4 ready, want 7 · as of 3s ago",
        "",
        "  QUEUE       READY  IN FLIGHT  DELAYED  DEAD   OLDEST",
        "  sms           112         32    3 (1)     0     4.1s",
        "  email           8          8        0     2     0.2s",
        "    email: weight 2",
        "",
        "  deployment   notifications: 4 replicas, 4 ready, 4 of the newest template",
        "  workers      2 tell of themselves, 40 jobs run",
        "  orders       none to drain",
        "  target       backlogPerReplica 20",
        "  limits       0 to 50 replicas, cooldown 2m, down to the most of 1m",
        "  sizing       177 outstanding jobs, by weight",
        "",
        "  decision     from 4 replicas",
        "               backlogPerReplica 20 asks for      9  BacklogDrain",
        "               behavior.scaleUp allows            7  ScaleUpLimit  <- binds",
        "  why          120 ready, oldest 4.1 s, 1 due, 40 in flight; 9 wanted,",
        "               behavior.scaleUp allows 7 for now",
        "  last change  4 → 7  ScaleUpLimit, 3s ago",
        "",
        "  CONDITION        STATUS   SINCE  REASON",
        "  Ready            True        3s  ScaleUpLimit",
        "  AbleToScale      True        3s  ReadyForNewScale",
        "                 the replicas can be changed at any time",
        "  ScalingActive    True        3s  ValidMetricFound",
        "                 the backlog was read from Redis",
        "  ScalingLimited   True        3s  ScaleUpLimit",
        "  QueuesSeen       True        3s  AllQueuesSeen",
        "                 every queue has been seen in Redis",
        "",
        "  EVENTS",
        "    63s ago  BacklogDrain  Scaled up from 2 to 4: 80 ready, oldest 4.1 s, 2 in",
        "               flight; 4 replicas at 20 each",
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    long = looked_at("a-pool-with-a-name-that-is-as-long-as-a-label-may-be-in-kubern")
    observed = [explained(), explained(long, TOLD), explain(looked_at(observed=None), None, [])]

    assert [line for found in observed for line in lines(found, width) if len(line) > width] == []


def test_what_is_not_known_is_never_zero() -> None:
    blind = looked_at(observed=None)
    blind["status"]["queues"] = [{"name": "sms", "seen": True}]

    shown = lines(explain(blind, None, []))

    assert "  sms             ?          ?        ?     ?        ?" in shown
    assert "  workers      not known: Redis was not read" in shown
    assert "  deployment   notifications: there is none, or it may not be read" in shown


def test_says_so_where_no_limit_changed_what_was_asked_for() -> None:
    assert "               no limit changed it" in lines(explained(looked_at(behavior={})))


def test_names_a_queue_that_was_never_seen() -> None:
    body = looked_at()
    body["status"]["queues"][1]["seen"] = False

    assert "    email: weight 2, never seen in Redis: is its name right?" in lines(explained(body))


def test_warns_of_a_pool_that_no_operator_looks_after() -> None:
    body = looked_at()
    del body["status"]

    assert explained(body).warnings == (
        "No operator has looked at this pool yet. Is one running, and does it watch this namespace?",
    )


def test_warns_where_the_operator_has_not_answered_the_newest_spec() -> None:
    body = looked_at()
    body["metadata"]["generation"] = 2

    assert explained(body).warnings == (
        "The operator has not answered the newest spec yet (generation 2; it answers 1).",
    )


def test_warns_where_the_deployment_has_gone_on_meanwhile() -> None:
    assert explained(replicas=7).warnings == ("The Deployment has been given 7 replicas since the status was written.",)


def test_tells_what_is_wrong_with_an_invalid_spec_and_shows_the_rest() -> None:
    body = looked_at()
    body["spec"]["minReplicas"] = 99

    found = explained(body)

    assert [warning.split(":")[0] for warning in found.warnings] == ["spec.minReplicas"]
    assert [step.replicas for step in found.steps] == [9, 7]


def test_shows_the_newest_events_first_and_no_more_than_a_few() -> None:
    events = [event("Idle", "…", at=f"2026-01-02T11:{minute:02}:00Z") for minute in range(20)]

    assert [told.at.minute for told in explained(None, *events).events] == [19, 18, 17, 16, 15, 14, 13, 12]


def test_the_json_has_the_same_in_the_apis_own_manner() -> None:
    found = json.loads(json.dumps(explained(None, TOLD).as_json()))

    assert found["queues"][0] == {
        "name": "sms",
        "weight": 1.0,
        "seen": True,
        "ready": 112,
        "inFlight": 32,
        "delayed": 3,
        "due": 1,
        "dead": 0,
        "oldestAgeSeconds": 4.1,
        "arrivalsPerSecond": None,
        "jobSeconds": None,
        "limited": 0,
        "paused": False,
    }
    assert found["steps"][1] == {
        "replicas": 7,
        "reason": "ScaleUpLimit",
        "words": "behavior.scaleUp allows",
        "binds": True,
    }
    assert (found["seenAt"], found["decidedFrom"]) == ("2026-01-02T12:00:00Z", 4)
    assert datetime.fromisoformat(found["events"][0]["at"]) == datetime(2026, 1, 2, 11, 59, tzinfo=UTC)


def test_never_shows_the_url_of_redis() -> None:
    body = looked_at(redis={"url": "redis://:swordfish@redis:6379/0"})

    assert "swordfish" not in json.dumps(explained(body).as_json()) + page(explained(body), NOW, 80).plain


@pytest.mark.parametrize("reason", Reason)
def test_has_words_for_every_reason(reason: Reason) -> None:
    assert phrase(reason.value, _policy()) != ""


def test_has_none_for_a_reason_of_a_newer_operator() -> None:
    assert phrase("FullMoon", _policy()) == ""


def test_a_pin_that_is_not_in_the_spec_is_somebodys_hand() -> None:
    held = replace(_policy(), pinned=3)

    assert [phrase("Pinned", it) for it in (held, _policy())] == ["pinned by spec.replicas", "pinned by hand"]


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.0, "0s"), (0.5, "0.5s"), (90.0, "90s"), (120.0, "2m"), (3600, "1h")]
)
def test_writes_times_as_somebody_would_put_them_into_a_spec(seconds: float, written: str) -> None:
    assert span(seconds) == written


def _policy() -> Any:
    from crewcall_operator.api.spec import read_pool

    return read_pool(looked_at(observed=BUSY)).policy


def test_what_others_wrote_does_not_steer_the_terminal() -> None:
    drawn = page(explained(None, event("BacklogDrain", "\x1b]0;mine\x07 and \x9b2J \u202egnp.")), NOW, 200)

    assert "\ufffd]0;mine" in drawn.plain
    assert [sign for sign in drawn.plain if sign != "\n" and not sign.isprintable()] == []


@pytest.mark.parametrize("name", ["", "shop/", "/sms", "shop/sms/status", "a b", "Sms"])
def test_a_pool_that_has_no_name_that_it_could_have_is_asked_for(name: str) -> None:
    done = CliRunner().invoke(command.explain, [name])

    assert (done.exit_code, "POOL is the name of a WorkerPool" in done.output) == (2, True)
