"""One pool in a real cluster: the chart's operator, the worker's image, real pods, and jobs that are never lost."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
import yaml
from dramatiq.brokers.redis import RedisBroker
from tests.support.cluster import Cluster, eventually

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

    def outcome(self) -> tuple[int, int, int]:
        """Jobs done, not done, and done more than once."""
        traces = self._client.hgetall(self._demo.traces_key(self._run))
        tally = self._demo.tally(self.sent, {str(job): str(times) for job, times in traces.items()})
        return tally.done, tally.lost, tally.duplicated


@pytest.fixture
def jobs(redis_url: str) -> Iterator[Jobs]:
    broker = RedisBroker(url=redis_url)
    dramatiq.set_broker(broker)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield Jobs(broker, client)
    broker.close()
    broker.client.close()


@pytest.fixture
def apply_pool(
    cluster: Cluster, operator: str, redis_address: str, worker_image: str
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Applies the example with this cluster's Redis and images, and with the fields given instead of its own."""
    assert operator

    def apply(spec: dict[str, Any]) -> None:
        pool = yaml.safe_load(EXAMPLE.read_text())
        pool["spec"] |= {"redis": {"url": f"redis://{redis_address}/0"}, **spec}
        pool["spec"]["template"]["spec"]["containers"][0]["image"] = worker_image
        cluster.apply(pool)

    yield apply
    cluster.kubectl("delete", "workerpool", POOL, "--ignore-not-found")
    eventually(lambda: not cluster.list("pods", PODS), "the pool's pods are gone with it", within=60)


def test_a_pool_goes_from_zero_to_many_and_back_and_no_job_is_lost(
    cluster: Cluster, apply_pool: Callable[[dict[str, Any]], None], jobs: Jobs
) -> None:
    apply_pool({"maxReplicas": 3})
    eventually(lambda: _deployments(cluster) == [0], "a Deployment without replicas", within=30)

    jobs.send(120, milliseconds=200)

    eventually(lambda: _deployments(cluster) == [3], "120 jobs, 40 a replica: 3 replicas", within=10)
    eventually(lambda: jobs.outcome() == (120, 0, 0), "every job done once", within=120)
    eventually(lambda: _deployments(cluster) == [0], "no replica", within=60)
    eventually(lambda: not cluster.list("pods", PODS), "no pod", within=60)
    assert jobs.outcome() == (120, 0, 0)
    assert {"Activated", "Idle"} <= {event["reason"] for event in cluster.list("events")}


def test_a_pod_that_is_deleted_finishes_its_jobs_first(
    cluster: Cluster, apply_pool: Callable[[dict[str, Any]], None], jobs: Jobs
) -> None:
    apply_pool({"minReplicas": 1, "maxReplicas": 1, "drain": {"gracePeriod": "60s"}})
    (pod,) = eventually(lambda: _ready_pods(cluster), "a ready worker", within=60)

    jobs.send(4, milliseconds=8000)  # as many as it has threads
    eventually(lambda: jobs.in_flight() == 4, "the worker has all of them", within=20)
    cluster.kubectl("delete", "pod", pod, "--wait=false")

    # Another pod is there by then; it would run the jobs again, had they been cut off.
    eventually(lambda: jobs.outcome() == (4, 0, 0), "every job done once", within=60)
    eventually(lambda: pod not in _ready_pods(cluster), "the deleted pod is gone", within=30)


def test_a_wrong_pool_says_so_and_makes_nothing(cluster: Cluster, apply_pool: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(AssertionError, match="minReplicas"):
        apply_pool({"minReplicas": 9, "maxReplicas": 2})

    assert _deployments(cluster) == []


def _deployments(cluster: Cluster) -> list[int]:
    return [one["spec"]["replicas"] for one in cluster.list("deployments", PODS)]


def _ready_pods(cluster: Cluster) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in cluster.list("pods", PODS)
        if {"type": "Ready", "status": "True"}.items() <= _condition(pod, "Ready").items()
    ]


def _condition(pod: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((one for one in pod["status"].get("conditions", []) if one["type"] == kind), {})
