"""WorkerPools for tests: a small valid one, and a table of wrong ones that every judge must refuse.

The table is asked of `api.spec`, of the schema by itself, and of API servers, so that they cannot drift apart.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

CRD_FILE = Path(__file__).parents[2] / "crds" / "workerpool.yaml"

#: A field given as this is left out.
ABSENT = object()


@cache
def crd() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CRD_FILE.read_text())
    return loaded


def schema() -> dict[str, Any]:
    """The OpenAPI schema of the one version."""
    found: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def workerpool(name: str = "notifications", **spec: Any) -> dict[str, Any]:
    """A valid pool, with these fields of the spec in place of its own."""
    fields = {
        "redis": {"url": "redis://redis:6379/0"},
        "queues": [{"name": "sms"}],
        "maxReplicas": 10,
        "template": {"spec": {"containers": [{"name": "worker", "image": "example/worker"}]}},
    } | spec
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {field: value for field, value in fields.items() if value is not ABSENT},
    }


_TEMPLATE = workerpool()["spec"]["template"]
_URL = {"url": "redis://redis:6379/0"}
_URLS = {"url": "rediss://redis:6379/0"}
_FROM = {"secretKeyRef": {"name": "redis", "key": "url"}}

#: What is wrong -> the pool, and the path at which it is wrong.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name too long for a label": (workerpool(name="n" * 64), "metadata.name"),
    "no redis": (workerpool(redis=ABSENT), "spec.redis"),
    "no connection": (workerpool(redis={}), "spec.redis"),
    "two connections": (workerpool(redis={**_URL, "urlFrom": _FROM}), "spec.redis"),
    "a URL of another kind": (workerpool(redis={"url": "http://redis:6379"}), "spec.redis.url"),
    "a URL without a host": (workerpool(redis={"url": "redis://:6379"}), "spec.redis.url"),
    "a database that is no number": (workerpool(redis={"url": "redis://redis/jobs"}), "spec.redis.url"),
    "an option of another client": (workerpool(redis={"url": "redis://redis:6379/0?retry=3"}), "spec.redis.url"),
    "an empty namespace": (workerpool(redis={**_URL, "namespace": ""}), "spec.redis.namespace"),
    "a reference without a key": (
        workerpool(redis={"urlFrom": {"secretKeyRef": {"name": "redis"}}}),
        "spec.redis.urlFrom.secretKeyRef.key",
    ),
    "no Sentinels": (
        workerpool(redis={"sentinel": {"master": "m", "addresses": []}}),
        "spec.redis.sentinel.addresses",
    ),
    "two authorities": (
        workerpool(redis={**_URLS, "tls": {"caFrom": _FROM | {"configMapKeyRef": {"name": "ca", "key": "pem"}}}}),
        "spec.redis.tls.caFrom",
    ),
    "an authority without TLS": (workerpool(redis={**_URL, "tls": {"caFrom": _FROM}}), "spec.redis.tls.caFrom"),
    "a Sentinel in a URL": (
        workerpool(redis={"sentinel": {"master": "m", "addresses": ["redis://a:1"]}}),
        "spec.redis.sentinel.addresses[0]",
    ),
    "no queues": (workerpool(queues=[]), "spec.queues"),
    "a queue without a name": (workerpool(queues=[{"weight": 2}]), "spec.queues[0].name"),
    "a queue's name that Dramatiq refuses": (workerpool(queues=[{"name": "1st"}]), "spec.queues[0].name"),
    "a queue of dead jobs": (workerpool(queues=[{"name": "sms.XQ"}]), "spec.queues[0].name"),
    "a queue of delayed jobs": (workerpool(queues=[{"name": "sms.DQ"}]), "spec.queues[0].name"),
    "a queue twice": (workerpool(queues=[{"name": "sms"}, {"name": "sms"}]), "spec.queues[1]"),
    "a weight of nothing": (workerpool(queues=[{"name": "sms", "weight": 0}]), "spec.queues[0].weight"),
    "fewer than no replicas": (workerpool(minReplicas=-1), "spec.minReplicas"),
    "no maximum": (workerpool(maxReplicas=ABSENT), "spec.maxReplicas"),
    "a maximum of nothing": (workerpool(maxReplicas=0), "spec.maxReplicas"),
    "a maximum in words": (workerpool(maxReplicas="10"), "spec.maxReplicas"),
    "a minimum above the maximum": (workerpool(minReplicas=11), "spec.minReplicas"),
    "no kind of target": (workerpool(target={}), "spec.target"),
    "two kinds of target": (workerpool(target={"queueLatency": "1s", "backlogPerReplica": 1}), "spec.target"),
    "a latency of nothing": (workerpool(target={"queueLatency": "0s"}), "spec.target.queueLatency"),
    "a saturation that is not looked for": (
        workerpool(target={"backlogPerReplica": 1, "onSaturation": "Hold"}),
        "spec.target.onSaturation",
    ),
    "an unknown answer to a saturation": (
        workerpool(target={"queueLatency": "1s", "onSaturation": "Shrink"}),
        "spec.target.onSaturation",
    ),
    "a backlog of nothing": (workerpool(target={"backlogPerReplica": 0}), "spec.target.backlogPerReplica"),
    "no jobs at once": (workerpool(concurrency=0), "spec.concurrency"),
    "a window over an hour": (
        workerpool(behavior={"scaleDown": {"stabilizationWindowSeconds": 3601}}),
        "spec.behavior.scaleDown.stabilizationWindowSeconds",
    ),
    "a policy's unknown unit": (
        workerpool(behavior={"scaleUp": {"policies": [{"type": "Replicas", "value": 1, "periodSeconds": 1}]}}),
        "spec.behavior.scaleUp.policies[0].type",
    ),
    "a policy without a period": (
        workerpool(behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1}]}}),
        "spec.behavior.scaleUp.policies[0].periodSeconds",
    ),
    "a period over half an hour": (
        workerpool(behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}),
        "spec.behavior.scaleUp.policies[0].periodSeconds",
    ),
    "an unknown way to select": (
        workerpool(behavior={"scaleUp": {"selectPolicy": "Median"}}),
        "spec.behavior.scaleUp.selectPolicy",
    ),
    "a tolerance below nothing": (
        workerpool(behavior={"scaleUp": {"tolerance": -0.1}}),
        "spec.behavior.scaleUp.tolerance",
    ),
    "a tolerance in words": (
        workerpool(behavior={"scaleDown": {"tolerance": "ten percent"}}),
        "spec.behavior.scaleDown.tolerance",
    ),
    "a cooldown without a unit": (workerpool(cooldown="120"), "spec.cooldown"),
    "a cooldown over a day": (workerpool(cooldown="25h"), "spec.cooldown"),
    "a schedule that is no cron": (
        workerpool(schedules=[{"name": "day", "start": "8:00", "end": "0 18 * * *", "minReplicas": 1}]),
        "spec.schedules[0].start",
    ),
    "a schedule above the maximum": (
        workerpool(schedules=[{"name": "day", "start": "0 8 * * *", "end": "0 18 * * *", "minReplicas": 11}]),
        "spec.schedules",
    ),
    "a schedule that ends as it starts": (
        workerpool(schedules=[{"name": "day", "start": "0 8 * * *", "end": "0 8 * * *", "minReplicas": 1}]),
        "spec.schedules[0].end",
    ),
    "a schedule twice": (
        workerpool(schedules=[{"name": "day", "start": "0 8 * * *", "end": "0 9 * * *", "minReplicas": 1}] * 2),
        "spec.schedules[1]",
    ),
    "a fallback at once": (workerpool(fallback={"after": "0s"}), "spec.fallback.after"),
    "a fallback to nowhere": (workerpool(fallback={"policy": "Replicas"}), "spec.fallback"),
    "a fallback's idle replicas": (workerpool(fallback={"replicas": 3}), "spec.fallback"),
    "an unknown mode": (workerpool(mode="auto"), "spec.mode"),
    "a pin below nothing": (workerpool(replicas=-1), "spec.replicas"),
    "no time to drain": (workerpool(drain={"gracePeriod": "500ms"}), "spec.drain.gracePeriod"),
    "neither template nor Deployment": (workerpool(template=ABSENT), "spec"),
    "both template and Deployment": (workerpool(deploymentRef={"name": "existing"}), "spec"),
    "a template without containers": (
        workerpool(template={"spec": {"containers": []}}),
        "spec.template.spec.containers",
    ),
    "a template without a spec": (workerpool(template={}), "spec.template.spec"),
    "a Deployment's name that is none": (
        workerpool(template=ABSENT, deploymentRef={"name": "My_Workers"}),
        "spec.deploymentRef.name",
    ),
}
