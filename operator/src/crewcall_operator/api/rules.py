"""The rules between a WorkerPool's fields.

The CRD states the same rules in CEL. They read the resource as the user wrote it, so that they can speak in the
same breath as complaints about single fields; a field that is of the wrong type or out of bounds is left out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from crewcall_operator.errors import Problem

Spec = Mapping[str, Any]
Rule = Callable[[Spec, Set[str]], Iterator[Problem]]


def broken_rules(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    """What is wrong between the fields of `spec`, where those at `bad_paths` are known to be wrong themselves."""
    for rule in _RULES:
        yield from rule(spec, bad_paths)


def _minimum_is_at_most_maximum(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if bad_paths & {"spec.minReplicas", "spec.maxReplicas"}:
        return
    low, high = spec.get("minReplicas", 0), spec["maxReplicas"]
    if low > high:
        yield Problem("spec.minReplicas", low, f"must be at most maxReplicas, which is {high}")


def _queues_are_distinct(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if "spec.queues" in bad_paths:
        return
    seen = set[str]()
    for index, queue in enumerate(spec["queues"]):
        path = f"spec.queues[{index}]"
        if bad_paths & {path, f"{path}.name"}:
            continue
        name = queue["name"]
        if name in seen:
            yield Problem(f"{path}.name", name, "must be unique, and an earlier queue has it. Remove one")
        if name.endswith((".DQ", ".XQ")):
            yield Problem(
                f"{path}.name", name, "must not end in .DQ or .XQ: Dramatiq keeps delayed and dead jobs there by itself"
            )
        seen.add(name)


def _one_target(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if "target" in spec and "spec.target" not in bad_paths:
        yield from _exactly_one("spec.target", spec["target"], "queueLatency", "backlogPerReplica")


def _saturation_is_looked_for(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if "target" not in spec or any(path.startswith("spec.target") for path in bad_paths):
        return
    target = spec["target"]
    if target.get("onSaturation") is not None and target.get("queueLatency") is None:
        yield Problem(
            "spec.target.onSaturation", target["onSaturation"], "has no meaning without queueLatency. Remove it"
        )


def _one_connection(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if "spec.redis" not in bad_paths:
        yield from _exactly_one("spec.redis", spec["redis"], "url", "urlFrom", "sentinel")


def _one_authority(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if bad_paths & {"spec.redis", "spec.redis.tls", "spec.redis.tls.caFrom"}:
        return
    tls = spec["redis"].get("tls") or {}
    if tls.get("caFrom") is not None:
        yield from _exactly_one("spec.redis.tls.caFrom", tls["caFrom"], "secretKeyRef", "configMapKeyRef")


def _authority_has_tls(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if bad_paths & {"spec.redis", "spec.redis.url", "spec.redis.tls"}:
        return
    url, tls = spec["redis"].get("url"), spec["redis"].get("tls") or {}
    if url is not None and tls.get("caFrom") is not None and not url.startswith("rediss://"):
        yield Problem("spec.redis.tls.caFrom", None, "has no meaning without TLS: write rediss:// in spec.redis.url")


def _one_deployment(spec: Spec, _: Set[str]) -> Iterator[Problem]:
    yield from _exactly_one("spec", spec, "template", "deploymentRef")


def _fallback_has_its_replicas(spec: Spec, bad_paths: Set[str]) -> Iterator[Problem]:
    if bad_paths & {"spec.fallback", "spec.fallback.policy"}:
        return
    fallback = spec.get("fallback", {})
    has_replicas, is_wanted = fallback.get("replicas") is not None, fallback.get("policy") == "Replicas"
    if is_wanted and not has_replicas:
        yield Problem("spec.fallback.replicas", None, "is required where policy is Replicas")
    if has_replicas and not is_wanted:
        yield Problem("spec.fallback.replicas", fallback["replicas"], "has no meaning unless policy is Replicas")


def _exactly_one(path: str, value: Spec, *names: str) -> Iterator[Problem]:
    given = [name for name in names if value.get(name) is not None]
    if len(given) != 1:
        yield Problem(path, None, f"exactly one of {_list(names)} must be set; {_found(given, len(names))}")


def _found(given: Sequence[str], of: int) -> str:
    if not given:
        return "none is"
    if len(given) == 2:
        return f"{'both' if of == 2 else _list(given)} are. Remove one"
    return "all are. Remove all but one"


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


_RULES: Final[tuple[Rule, ...]] = (
    _minimum_is_at_most_maximum,
    _queues_are_distinct,
    _one_target,
    _saturation_is_looked_for,
    _one_connection,
    _one_authority,
    _authority_has_tls,
    _one_deployment,
    _fallback_has_its_replicas,
)
