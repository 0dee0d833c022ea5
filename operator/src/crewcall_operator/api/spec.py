"""From a WorkerPool as it was written to the typed Pool that everything else works with.

`read_pool` is the only way in: behind the API server, where an object may have been stored under an older, laxer
CRD, and for a file, where nothing else checks. Shape and bounds are in `schema.py`, rules between fields in
`rules.py`, the words in `problems.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from crewcall_operator.api import schema
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.api.problems import DOCUMENT, problem
from crewcall_operator.api.redis_source import read_source
from crewcall_operator.api.rules import broken_rules
from crewcall_operator.api.schedules import broken_schedules, read_schedule
from crewcall_operator.core.policy import (
    BacklogPerReplica,
    Behavior,
    Fallback,
    OnSaturation,
    Policy,
    Queue,
    QueueLatency,
    ScalingPolicy,
    ScalingRules,
    Target,
)
from crewcall_operator.errors import InvalidSpec, Problem


def read_pool(resource: Mapping[str, Any]) -> Pool:
    """The pool that `resource` describes. Raises `InvalidSpec` with every problem in it."""
    parsed: schema.Resource | None = None
    problems: list[Problem] = []
    try:
        parsed = schema.Resource.model_validate(dict(resource))
    except ValidationError as error:
        problems += [problem(detail) for detail in error.errors(include_url=False)]
    bad_paths = {found.path for found in problems}
    if not bad_paths & {DOCUMENT, "spec"}:
        problems += broken_rules(resource["spec"], bad_paths)
        problems += broken_schedules(resource["spec"], bad_paths)
    if parsed is None or problems:
        raise InvalidSpec(problems)
    return _pool(parsed, resource["spec"].get("template"))


def _pool(resource: schema.Resource, template: Mapping[str, Any] | None) -> Pool:
    metadata, spec = resource.metadata, resource.spec
    return Pool(
        key=PoolKey(metadata.namespace, metadata.name),
        uid=metadata.uid,
        generation=metadata.generation,
        redis=read_source(spec.redis, metadata.namespace),
        policy=_policy(spec),
        grace_period=spec.drain.grace_period,
        concurrency=spec.concurrency,
        template=template,
        deployment_ref=spec.deployment_ref.name if spec.deployment_ref else None,
        created=metadata.creation_timestamp or "",
    )


def _policy(spec: schema.Spec) -> Policy:
    return Policy(
        queues=tuple(Queue(queue.name, queue.weight) for queue in spec.queues),
        max_replicas=spec.max_replicas,
        target=_target(spec.target),
        min_replicas=spec.min_replicas,
        behavior=Behavior(_rules(spec.behavior.scale_up), _rules(spec.behavior.scale_down)),
        cooldown=spec.cooldown,
        fallback=Fallback(spec.fallback.after, spec.fallback.policy, spec.fallback.replicas or 0),
        mode=spec.mode,
        pinned=spec.replicas,
        schedules=tuple(map(read_schedule, spec.schedules)),
    )


def _target(target: schema.Target) -> Target:
    if target.backlog_per_replica is not None:
        return BacklogPerReplica(target.backlog_per_replica)
    return QueueLatency(target.queue_latency or 0.0, target.on_saturation or OnSaturation.REPORT)


def _rules(rules: schema.Rules) -> ScalingRules:
    return ScalingRules(
        stabilization=float(rules.stabilization_window_seconds),
        policies=tuple(ScalingPolicy(rule.type, rule.value, float(rule.period_seconds)) for rule in rules.policies),
        select=rules.select_policy,
        tolerance=rules.tolerance,
    )
