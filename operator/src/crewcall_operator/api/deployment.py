"""The Deployment of a pool that brings its own template, built without a client: values in, values out.

What Crewcall adds to the user's template, and only where the user has not set it: the environment that the worker
reads (`crewcall_worker.wire`), the hook that drains before SIGTERM, and the time that this may take. Sending any
of it to the API server is the adapter's part.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from crewcall_operator.api import names, redis_access
from crewcall_operator.api.pool import Pool
from crewcall_worker import wire

Json = dict[str, Any]

WORKER: Final = "worker"
"""The container that runs the jobs; where none has this name it is the first."""

DRAIN: Final = ["crewcall-worker", "drain", "--wait"]

EXIT_MARGIN: Final = 5.0
"""Seconds between the end of the worker's own timeout and the kubelet's SIGKILL, to hand back what is unfinished."""


def deployment(pool: Pool) -> Json:
    """The Deployment to create, with no replicas: their number is a decision, never a default."""
    template = pod_template(pool)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": pool.key.name,
            "namespace": pool.key.namespace,
            "labels": _labels(pool),
            "annotations": {names.ANNOTATION_TEMPLATE_HASH: template_hash(template)},
            "ownerReferences": [_owner(pool)],
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": pod_labels(pool)}, "template": template},
    }


def pod_template(pool: Pool) -> Json:
    """The user's PodTemplateSpec with what a worker needs filled in."""
    template = copy.deepcopy(dict(pool.template or {}))
    metadata = template["metadata"] = dict(template.get("metadata") or {})
    metadata["labels"] = _labels(pool) | (metadata.get("labels") or {}) | pod_labels(pool)
    spec = template["spec"]
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = math.ceil(pool.grace_period)
    container = _worker_container(template)
    container["env"] = _added_environment(pool, container) + (container.get("env") or [])
    redis_access.mount_authorities(pool.redis, spec, container)
    lifecycle = container["lifecycle"] = container.get("lifecycle") or {}
    if not lifecycle.get("preStop"):
        lifecycle["preStop"] = {"exec": {"command": list(DRAIN)}}
    return template


def environment(pool: Pool) -> dict[str, str]:
    """What every worker of the pool finds in its environment, wherever it runs.

    Its own name comes on top, and in a cluster what is in Secrets.
    """
    variables = {
        wire.ENV_POOL: pool.key.name,
        wire.ENV_NAMESPACE: pool.key.namespace,
        **({wire.ENV_REDIS_URL: pool.redis.url} if pool.redis.url else {}),
        wire.ENV_REDIS_NAMESPACE: pool.redis.namespace,
        wire.ENV_QUEUES: ",".join(queue.name for queue in pool.policy.queues),
        wire.ENV_SHUTDOWN_TIMEOUT: f"{shutdown_timeout(grace_period(pool)):g}",
    }
    if pool.concurrency is not None:
        variables[wire.ENV_THREADS] = str(pool.concurrency)
    return variables


def grace_period(pool: Pool) -> float:
    """Seconds from the order to stop until a worker is killed: the template's own, or else `drain.gracePeriod`."""
    own = (pool.template or {}).get("spec", {}).get("terminationGracePeriodSeconds")
    return pool.grace_period if own is None else float(own)


def shutdown_timeout(grace: float) -> float:
    """Seconds that a worker gives its running jobs; below `grace` by a margin that a short one shares in."""
    return grace - min(EXIT_MARGIN, grace / 5)


def worker_container(pool: Pool) -> Mapping[str, Any] | None:
    """The container of the user's template that runs the jobs, as the user wrote it; None without a template."""
    return None if pool.template is None else _worker_container(pool.template)


def own_variable(pool: Pool, name: str) -> str | None:
    """What the user's template sets in the worker's environment under this name; None where it says nothing."""
    container = worker_container(pool) or {}
    found = (each.get("value") for each in container.get("env") or () if each["name"] == name)
    return next(found, None)


def pod_labels(pool: Pool) -> dict[str, str]:
    """What the Deployment selects its pods by. A selector can never be changed, so it holds nothing but the pool."""
    return {names.LABEL_POOL: pool.key.name}


def template_hash(template: Mapping[str, Any]) -> str:
    """Equal for equal templates, whatever the order of their keys."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def template_change(pool: Pool, live: Mapping[str, Any]) -> list[Json] | None:
    """The JSON patch that gives the `live` Deployment the pool's template; None where it was last given this one.

    A JSON patch, since a merge patch cannot take away what the user has taken out. It never touches the replicas,
    and applies to any state of this very Deployment: its status changes all the time while pods come and go.
    """
    template = pod_template(pool)
    wanted = template_hash(template)
    annotations = live["metadata"].get("annotations")
    if (annotations or {}).get(names.ANNOTATION_TEMPLATE_HASH) == wanted:
        return None
    hash_path = "/metadata/annotations/" + names.ANNOTATION_TEMPLATE_HASH.replace("/", "~1")
    hashed: Json = {"op": "add", "path": hash_path, "value": wanted}
    if annotations is None:
        hashed = {"op": "add", "path": "/metadata/annotations", "value": {names.ANNOTATION_TEMPLATE_HASH: wanted}}
    return [
        {"op": "test", "path": "/metadata/uid", "value": live["metadata"]["uid"]},
        {"op": "replace", "path": "/spec/template", "value": template},
        hashed,
    ]


def is_owned_by(pool: Pool, live: Mapping[str, Any]) -> bool:
    """Whether this very pool made `live`, and not someone else, or a pool of that name that is gone."""
    owners = live["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == pool.uid for owner in owners)


def not_owned(pool: Pool, live: Mapping[str, Any]) -> str:
    """What to do about a Deployment of the pool's name that it has not made."""
    if names.ANNOTATION_TEMPLATE_HASH in (live["metadata"].get("annotations") or {}):
        return (
            f"Deployment {pool.key} was made for a pool of this name that is gone; delete it, and this pool makes its "
            f"own: kubectl delete deployment {pool.key.name} -n {pool.key.namespace}"
        )
    return (
        f"Deployment {pool.key} exists and is not this pool's; rename the pool, or scale that Deployment by naming it "
        "in spec.deploymentRef"
    )


def controlling_pool(live: Mapping[str, Any]) -> str | None:
    """The name of the WorkerPool that made `live`, whichever it is; None where none has."""
    owners = live["metadata"].get("ownerReferences") or []
    return next((owner["name"] for owner in owners if owner.get("controller") and owner["kind"] == names.KIND), None)


def _labels(pool: Pool) -> dict[str, str]:
    return {
        names.LABEL_NAME: names.APP_NAME,
        names.LABEL_INSTANCE: pool.key.name,
        names.LABEL_MANAGED_BY: names.MANAGER,
        **pod_labels(pool),
    }


def _owner(pool: Pool) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": pool.key.name,
        "uid": pool.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _worker_container(template: Mapping[str, Any]) -> Any:
    containers = template["spec"]["containers"]
    return next((container for container in containers if container["name"] == WORKER), containers[0])


def _added_environment(pool: Pool, container: Mapping[str, Any]) -> list[Json]:
    # Before the user's own variables, so that those may refer to these: $(REDIS_URL).
    taken = {variable["name"] for variable in container.get("env") or []}
    pod: Json = {"name": wire.ENV_POD, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    # Kubernetes would read $(NAME) as a reference, and $$ as a plain $.
    given: list[Json] = [{"name": name, "value": value.replace("$", "$$")} for name, value in environment(pool).items()]
    return [variable for variable in [*given, *redis_access.referred(pool.redis), pod] if variable["name"] not in taken]
