"""The demo's pool in a real cluster, and the jobs that are sent to it: each leaves a trace in Redis, and is counted."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import redis
from dramatiq.brokers.redis import RedisBroker
from tests.support.cluster import Cluster

from crewcall_worker import wire

EXAMPLE = Path(__file__).parents[2] / "examples" / "workerpool.yaml"
POOL = "demo"
PODS = f"crewcall.dev/pool={POOL}"


class Jobs:
    """Sends the demo's jobs, and finds their traces."""

    def __init__(self, broker: RedisBroker, client: redis.Redis) -> None:
        # Not before a broker is set: actors join the one that there is when they are imported.
        from crewcall_jobs import demo

        self._demo = demo
        self._broker = broker
        self._client = client
        self._run = uuid.uuid4().hex
        self.sent = 0

    def send(self, jobs: int, milliseconds: int) -> None:
        self._broker.declare_queue(self._demo.QUEUE)
        for _ in range(jobs):
            self._broker.enqueue(self._demo.work.message(self._run, self.sent, milliseconds))
            self.sent += 1

    def in_flight(self) -> int:
        """Jobs that workers have fetched and not yet acknowledged."""
        queue = f"dramatiq:{self._demo.QUEUE}"
        return self._client.hlen(f"{queue}.msgs") - self._client.llen(queue)

    def orders(self, pool: str) -> list[str]:
        """The pods of a pool, by its name in keys, that were ordered to drain."""
        return sorted(map(str, self._client.hkeys(wire.Keys().orders(pool))))

    def outcome(self) -> tuple[int, int, int]:
        """Jobs done, not done, and done more than once."""
        traces = self._client.hgetall(self._demo.traces_key(self._run))
        tally = self._demo.tally(self.sent, {str(job): str(times) for job, times in traces.items()})
        return tally.done, tally.lost, tally.duplicated


def asked_for(cluster: Cluster) -> list[int]:
    """The replicas of the pool's Deployment, if there is one."""
    return [one["spec"]["replicas"] for one in cluster.list("deployments", PODS)]


def ready_pods(cluster: Cluster) -> list[str]:
    """The names of the pool's pods that are ready and not about to go."""
    return [
        pod["metadata"]["name"]
        for pod in cluster.list("pods", PODS)
        if "deletionTimestamp" not in pod["metadata"] and is_true(pod, "Ready")
    ]


def is_true(found: dict[str, Any], condition: str) -> bool:
    """Whether an object has the condition."""
    conditions = found.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == (condition, "True") for one in conditions)
