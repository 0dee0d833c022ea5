"""One namespace of a cluster with a Redis behind it: where the operator's tests keep their pools and jobs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dramatiq
import redis
from tests.support.api_cluster import ApiCluster, Object
from tests.support.operator import WATCHING, RunningOperator, operating
from tests.support.rights import RELEASE, granted
from tests.support.waiting import DEADLINE
from tests.support.workerpools import workerpool

#: Short enough for a test: down to the most that was wanted in the last second, and to zero a second later.
BRISK: Mapping[str, Any] = {
    "target": {"backlogPerReplica": 20},
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}},
    "cooldown": "1s",
}


@dataclass(slots=True)
class Shop:
    """Pools are made in `namespace`; jobs go to the Redis at `url`.

    An operator runs with `kubeconfig` and `options`. `cluster` is an administrator's, who is not held to any rules.
    """

    cluster: ApiCluster
    namespace: str
    url: str
    kubeconfig: Path
    options: tuple[str, ...] = ()

    def operating(self, *options: str, until: str = WATCHING) -> AbstractAsyncContextManager[RunningOperator]:
        """An operator of this shop that runs while the block does, which begins once it has logged `until`."""
        return operating(self.kubeconfig, *self.options, *options, until=until)

    async def open_pool(self, name: str = "notifications", **spec: Any) -> Object:
        """Make a pool on this shop's Redis, a brisk one but for what `spec` says."""
        pool = workerpool(name, **{"redis": {"url": self.url}, **BRISK, **spec})
        pool["metadata"]["namespace"] = self.namespace
        return await self.cluster.create(pool)

    async def change_pool(self, change: Mapping[str, Any], name: str = "notifications") -> Object:
        """Change a pool's spec by a merge patch."""
        return await self.cluster.patch("WorkerPool", self.namespace, name, {"spec": change})

    async def status(self, name: str = "notifications") -> dict[str, Any]:
        pool = await self.cluster.get("WorkerPool", self.namespace, name)
        return dict(pool.get("status") or {})

    async def condition(self, type_: str, name: str = "notifications") -> tuple[str, str, str] | None:
        """Status, reason and message of a pool's condition."""
        for found in (await self.status(name)).get("conditions", ()):
            if found["type"] == type_:
                return found["status"], found["reason"], found["message"]
        return None

    async def deployment(self, name: str = "notifications") -> Object | None:
        return await self.cluster.find("Deployment", self.namespace, name)

    async def replicas(self, name: str = "notifications") -> int | None:
        """What is asked of the Deployment; None where there is none."""
        found = await self.deployment(name)
        return None if found is None else found["spec"]["replicas"]

    async def events(self, name: str = "notifications") -> list[tuple[str, str]]:
        """Reason and message of each Event about a pool, oldest first."""
        found = await self.cluster.list("Event", self.namespace)
        mine = [event for event in found if event["involvedObject"].get("name") == name]
        mine = [event for event in mine if event["involvedObject"]["kind"] == "WorkerPool"]
        return [(event["reason"], event["message"]) for event in sorted(mine, key=_version)]

    async def until_replicas(self, wanted: int, name: str = "notifications", within: float = DEADLINE) -> None:
        async def are_there() -> bool:
            return await self.replicas(name) == wanted

        await self.cluster.until(are_there, f"{name} has {wanted} replicas", within)

    async def until_condition(
        self, type_: str, fits: Callable[[str, str, str], bool], name: str = "notifications", within: float = DEADLINE
    ) -> tuple[str, str, str]:
        """The condition, once its status, reason and message fit."""

        async def fitting() -> tuple[str, str, str] | None:
            found = await self.condition(type_, name)
            return found if found is not None and fits(*found) else None

        return await self.cluster.until(fitting, f"condition {type_} of {name}", within)

    def arrive(self, jobs: int, queue: str = "sms") -> None:
        arrive(self.url, jobs, queue)

    def finish(self, queue: str = "sms") -> None:
        """Have all jobs of a queue done at once."""
        with redis.Redis.from_url(self.url) as client:
            client.delete(f"dramatiq:{queue}", f"dramatiq:{queue}.msgs")


async def installed(
    cluster: ApiCluster, namespace: str, url: str, folder: Path, *, everywhere: bool = False, release: str = RELEASE
) -> Shop:
    """A shop whose operators have the rights that the chart grants to a release there, and none beside.

    It serves this namespace, or all of them where it is installed to watch `everywhere`.
    """
    served = () if everywhere else (namespace,)
    token = await granted(cluster, namespace, release=release, served=served)
    kubeconfig = cluster.write_kubeconfig(folder, token=token, namespace=namespace)
    return Shop(cluster, namespace, url, kubeconfig, (f"--lease={release}", *(f"--namespace={it}" for it in served)))


def existing_deployment(namespace: str, name: str, replicas: int) -> Object:
    """A Deployment that somebody else has made."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "worker", "image": "example/worker"}]},
            },
        },
    }


def arrive(url: str, jobs: int, queue: str) -> None:
    """Put jobs into a queue in one transaction, each as Dramatiq's own enqueue puts it."""
    messages = [_job(queue) for _ in range(jobs)]
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=True) as pipeline:
        pipeline.hset(
            f"dramatiq:{queue}.msgs", mapping={job.options["redis_message_id"]: job.encode() for job in messages}
        )
        pipeline.rpush(f"dramatiq:{queue}", *(job.options["redis_message_id"] for job in messages))
        pipeline.execute()


def _job(queue: str) -> dramatiq.Message[None]:
    identity = {"redis_message_id": str(uuid.uuid4())}
    return dramatiq.Message(queue_name=queue, actor_name="work", args=(), kwargs={}, options=identity)


def _version(body: Object) -> int:
    return int(body["metadata"]["resourceVersion"])
