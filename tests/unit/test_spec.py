"""What a resource becomes, and what is answered to a wrong one."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.workerpools import ABSENT, WRONG, workerpool

from crewcall_operator.api.pool import Pool, PoolKey, RedisSource
from crewcall_operator.api.spec import read_pool
from crewcall_operator.core.policy import (
    BacklogPerReplica,
    Behavior,
    Fallback,
    FallbackPolicy,
    Mode,
    Policy,
    PolicyType,
    Queue,
    QueueLatency,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
)
from crewcall_operator.core.schedule import Schedule
from crewcall_operator.errors import InvalidSpec, Problem

TEMPLATE = workerpool()["spec"]["template"]
URL = "redis://redis:6379/0"
DAY = {"name": "day", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 1}


def problems(resource: dict[str, Any]) -> list[str]:
    """What `read_pool` has against `resource`, in words."""
    try:
        read_pool(resource)
    except InvalidSpec as error:
        return [str(problem) for problem in error.problems]
    return []


def test_fills_in_what_is_not_said() -> None:
    assert read_pool(workerpool()) == Pool(
        key=PoolKey("shop", "notifications"),
        uid="",
        generation=1,
        redis=RedisSource(URL, "dramatiq"),
        policy=Policy(queues=(Queue("sms"),), max_replicas=10, target=QueueLatency(30.0)),
        template=TEMPLATE,
    )


def test_reads_every_field() -> None:
    resource = workerpool(
        redis={"url": URL, "namespace": "jobs"},
        queues=[{"name": "sms"}, {"name": "email", "weight": 2}],
        minReplicas=1,
        maxReplicas=50,
        target={"backlogPerReplica": 20},
        concurrency=8,
        behavior={
            "scaleUp": {
                "stabilizationWindowSeconds": 15,
                "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 60},
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                ],
                "selectPolicy": "Min",
                "tolerance": "50m",
            },
            "scaleDown": {"selectPolicy": "Disabled", "tolerance": 0},
        },
        cooldown="1h30m",
        schedules=[
            {
                "name": "day",
                "start": "0 8 * * 1-5",
                "end": "0 18 * * 1-5",
                "timezone": "Europe/Berlin",
                "minReplicas": 3,
            }
        ],
        fallback={"after": "90s", "policy": "Replicas", "replicas": 3},
        mode="Recommend",
        replicas=5,
        drain={"gracePeriod": "1m500ms"},
        template=ABSENT,
        deploymentRef={"name": "existing"},
    )
    resource["metadata"] |= {"uid": "6f3c", "generation": 7}

    assert read_pool(resource) == Pool(
        key=PoolKey("shop", "notifications"),
        uid="6f3c",
        generation=7,
        redis=RedisSource(URL, "jobs"),
        policy=Policy(
            queues=(Queue("sms", 1.0), Queue("email", 2.0)),
            max_replicas=50,
            target=BacklogPerReplica(20.0),
            min_replicas=1,
            behavior=Behavior(
                ScalingRules(
                    15.0,
                    (ScalingPolicy(PolicyType.PODS, 4, 60.0), ScalingPolicy(PolicyType.PERCENT, 100, 15.0)),
                    SelectPolicy.MIN,
                    0.05,
                ),
                ScalingRules(60.0, (), SelectPolicy.DISABLED, 0.0),
            ),
            cooldown=5400.0,
            fallback=Fallback(90.0, FallbackPolicy.REPLICAS, 3),
            mode=Mode.RECOMMEND,
            pinned=5,
            schedules=(Schedule("day", "0 8 * * 1-5", "0 18 * * 1-5", 3, ZoneInfo("Europe/Berlin")),),
        ),
        grace_period=60.5,
        concurrency=8,
        deployment_ref="existing",
    )


@pytest.mark.parametrize(("resource", "path"), WRONG.values(), ids=WRONG)
def test_refuses_what_the_schema_refuses_at_the_same_place(resource: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_pool(resource)

    assert [problem.path for problem in refused.value.problems if not problem.path.startswith(path)] == []


def test_names_everything_that_is_wrong_at_once() -> None:
    resource = workerpool(
        redis={"url": "amqp://guest:guest@rabbit"},
        queues=[{"name": "sms", "weight": 0}, {"name": "sms"}, {"name": "1st"}],
        minReplicas=20,
        target={"queueLatency": "30s", "backlogPerReplica": 20},
        concurrency=2.5,
        behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1}], "tolerance": "ten"}},
        cooldown=120,
        fallback={"policy": "Replicas"},
        mode="auto",
        drain=[],
        template={"spec": {"containers": []}},
        deploymentRef={"name": "existing"},
        maxReplica=30,
    )

    assert problems(resource) == [
        "spec.redis.url: must be redis://[user:password@]host[:port][/database], the same with rediss://, or "
        "unix:///path; percent-encode '/', '?' and '#' in a password; a port is 1 to 65535. Options: ?db=1, "
        "?ssl_cert_reqs=none, optional or required, ?ssl_check_hostname=true or false",
        "spec.queues[0].weight: is 0; must be at least 0.001",
        "spec.queues[2].name: is \"1st\"; must start with a letter or _ and go on with letters, digits, '.', '_' "
        "and '-'",
        "spec.concurrency: is 2.5; must be a whole number",
        "spec.behavior.scaleUp.policies[0].periodSeconds: is required",
        'spec.behavior.scaleUp.tolerance: is "ten"; must be a share such as "0.1" (10 %), from 0 to 100',
        'spec.cooldown: is 120; must be a duration such as "30s", "2m", "1h30m" or "500ms", from 0s to 24h',
        "spec.mode: is \"auto\"; must be one of 'Auto', 'Recommend' or 'Paused'",
        "spec.drain: must be an object, not a list",
        "spec.template.spec.containers: must have at least one item",
        'spec.maxReplica: is not a known field; did you mean "maxReplicas"?',
        "spec.minReplicas: is 20; must be at most maxReplicas, which is 10",
        'spec.queues[1].name: is "sms"; must be unique, and an earlier queue has it. Remove one',
        "spec.target: exactly one of queueLatency and backlogPerReplica must be set; both are. Remove one",
        "spec: exactly one of template and deploymentRef must be set; both are. Remove one",
        "spec.fallback.replicas: is required where policy is Replicas",
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"target": None}, "spec.target: must be an object, not empty"),
        ({"queues": "sms"}, 'spec.queues: is "sms"; must be a list'),
        ({"queues": [None]}, "spec.queues[0]: must be an object, not empty"),
        ({"maxReplicas": True}, "spec.maxReplicas: is true; must be a whole number"),
        ({"minReplicas": 10_001}, "spec.minReplicas: is 10001; must be at most 10,000"),
        ({"target": {"backlogPerReplica": float("nan")}}, "spec.target.backlogPerReplica: is NaN; must be a finite"),
        ({"target": {"jobs": 9}}, "spec.target.jobs: is not a known field; known here: queueLatency, backlog"),
        ({1: 2}, "spec[1]: is 1; must have a string for a name"),
        ({"template": {"containers": []}}, "spec.template.spec: is required"),
        (
            {"template": {"spec": {"containers": [{"name": "worker", "env": [{"name": "A", "value": 5}]}]}}},
            "spec.template.spec.containers[0].env[0].value: must be a string",
        ),
        ({"fallback": {"replicas": 2}}, "spec.fallback.replicas: is 2; has no meaning unless policy is Replicas"),
        (
            {"schedules": [DAY | {"start": "0 25 * * *"}]},
            'spec.schedules[0].start: is "0 25 * * *"; must be five cron fields: minute, hour, day, month',
        ),
        (
            {"schedules": [DAY | {"timezone": "Europe/Atlantis"}]},
            'spec.schedules[0].timezone: is "Europe/Atlantis"; must be a name of the IANA time zone database, such as',
        ),
        (
            {"schedules": [DAY | {"timezone": "Europe"}]},
            'spec.schedules[0].timezone: is "Europe"; must be a name of the IANA time zone database, such as',
        ),
        (
            {"schedules": [DAY, DAY | {"minReplicas": 99}]},
            "spec.schedules[1].minReplicas: is 99; must be at most maxReplicas, which is 10",
        ),
        ({"redis": {}}, "spec.redis: exactly one of url, urlFrom and sentinel must be set; none is"),
    ],
)
def test_says_what_is_wrong_in_words(fields: dict[Any, Any], told: str) -> None:
    resource = workerpool()
    resource["spec"] |= fields

    assert problems(resource)[0].startswith(told)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "fields",
    [
        {"redis": {"url": f"http://:{SECRET}@redis"}},
        {"redis": {"url": f"redis://{SECRET} @redis"}},
        {"redis": {"url": f"redis://redis/?password={SECRET} "}},
        {"redis": {"url": [f"redis://:{SECRET}@redis"]}},
        {"redis": {"url": URL, "password": SECRET}},
        {"redis": {"sentinel": {"master": "m", "addresses": SECRET}}},
        {"redis": SECRET},
        {"url": f"redis://:{SECRET}@redis"},
        {"template": {"spec": {"containers": {"env": SECRET}}}},
    ],
)
def test_shows_no_secret_in_a_complaint(fields: dict[str, Any]) -> None:
    told = problems(workerpool(**fields))

    assert told
    assert SECRET not in "".join(told)


def test_shortens_a_value_that_is_long() -> None:
    told = str(Problem("spec.mode", "A" * 500, "must be shorter"))

    assert told == f'spec.mode: is "{"A" * 58}…; must be shorter'


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ({}, ["metadata: is required", "spec: is required"]),
        ({"metadata": {"name": "a"}, "spec": []}, ["spec: must be an object, not a list"]),
        (workerpool() | {"kind": "ScaledObject"}, ["kind: is \"ScaledObject\"; must be 'WorkerPool'"]),
        (workerpool() | {"specs": {}}, ['specs: is not a known field; did you mean "spec"?']),
    ],
)
def test_reads_nothing_that_is_no_worker_pool(resource: dict[str, Any], told: list[str]) -> None:
    assert problems(resource) == told


FIELDS = (
    "redis", "queues", "minReplicas", "maxReplicas", "target", "concurrency", "behavior", "cooldown", "schedules",
    "fallback", "mode", "replicas", "drain", "template", "deploymentRef", "url", "urlFrom", "sentinel", "namespace",
    "name", "weight", "queueLatency", "backlogPerReplica", "scaleUp", "scaleDown", "policies", "tolerance", "policy",
    "spec", "containers", "env", "metadata", "labels", "tls", "caFrom",
)  # fmt: skip
TEXT = st.text("aZ0.:/@- \n\0é\ud800", max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["1s", URL, "Auto", 10**400]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | TEXT | st.integers(), inside, max_size=6)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_answers_anything_with_a_pool_or_its_problems(fields: dict[str, Any]) -> None:
    for resource in (fields, {"metadata": fields, "spec": fields}, workerpool(**fields)):
        told = problems(resource)

        assert all(told)
        assert told or read_pool(resource)


@pytest.mark.parametrize("end", ["0 8 * * 1-5", "00 8 * * MON-FRI", "0 8 * * 1,2,3,4,5"])
def test_refuses_a_schedule_that_ends_as_it_starts_however_that_is_spelt(end: str) -> None:
    schedule = {"name": "day", "start": "0 8 * * 1-5", "end": end, "minReplicas": 1}

    with pytest.raises(InvalidSpec, match="must be another time than start"):
        read_pool(workerpool(schedules=[schedule]))
