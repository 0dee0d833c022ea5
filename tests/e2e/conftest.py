"""The cluster that KUBECONFIG names, with the operator installed by the chart and a Redis; skipped where there is none.

IMAGE_PREFIX                what the images' names begin with, as for scripts/images
CREWCALL_E2E_REDIS_IMAGE    an image with `redis-server`, where the cluster cannot pull the default
"""

from __future__ import annotations

import os
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
import redis
import yaml
from dramatiq.brokers.redis import RedisBroker
from tests.support.chart import CHART
from tests.support.cluster import Cluster, eventually
from tests.support.demo_pool import EXAMPLE, PODS, POOL, Jobs
from tests.support.tools import ToolMissing, find_tool

PREFIX = os.environ.get("IMAGE_PREFIX", "localhost/crewcall")
REDIS_IMAGE = os.environ.get("CREWCALL_E2E_REDIS_IMAGE", "docker.io/library/redis:7.4-alpine")
VERSION = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["version"]

#: Applies the demo's pool, with the fields of its spec that are given.
ApplyPool = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A namespace of its own, gone again afterwards; nothing runs in it that the restricted standard forbids."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster; `make kind-up` makes one where Docker is")
    try:
        found = Cluster(find_tool("kubectl"), find_tool("helm"), f"crewcall-e2e-{uuid.uuid4().hex[:8]}")
    except ToolMissing as missing:
        pytest.skip(str(missing))
    found.kubectl("create", "namespace", found.namespace)
    found.kubectl("label", "namespace", found.namespace, "pod-security.kubernetes.io/enforce=restricted")
    try:
        yield found
    finally:
        found.kubectl("delete", "namespace", found.namespace, "--wait=false")


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Iterator[str]:
    """The operator, with rights in the cluster's namespace only, which must be enough; the name of its Deployment."""
    cluster.helm(
        *("install", "crewcall", str(CHART), "--wait", "--timeout", "3m", "--take-ownership"),
        *("--set", f"watchNamespaces={{{cluster.namespace}}}"),
        *("--set", f"image.repository={PREFIX}-operator"),
    )
    try:
        yield "crewcall"
    finally:
        log = cluster.kubectl("logs", "deployment/crewcall")
        sys.stdout.write(log)  # pytest shows it of a failure
        cluster.helm("uninstall", "crewcall", "--wait")
        kept = cluster.kubectl("get", "customresourcedefinitions", "--output", "name")
        assert " 403 " not in log
        assert "/workerpools.crewcall.dev" in kept


@pytest.fixture(scope="session")
def redis_address(cluster: Cluster) -> str:
    """host:port of a Redis for the pods. An address rather than a name: not every small cluster has a DNS."""
    labels = {"app": "redis"}
    container = {
        "name": "redis",
        "image": REDIS_IMAGE,
        "command": ["redis-server", "--save", "", "--protected-mode", "no"],
        "ports": [{"containerPort": 6379}],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "redis"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "enableServiceLinks": False},
                },
            },
        }
    )
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "redis"},
            "spec": {"selector": labels, "ports": [{"port": 6379}]},
        }
    )
    cluster.kubectl("rollout", "status", "deployment/redis", "--timeout=2m")
    return f"{cluster.get('service', 'redis')['spec']['clusterIP']}:6379"


@pytest.fixture
def redis_url(cluster: Cluster, redis_address: str) -> Iterator[str]:
    """The same Redis, as this machine reaches it."""
    assert redis_address
    with cluster.forwarded("service/redis", 6379) as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def worker_image() -> str:
    return f"{PREFIX}-worker:{VERSION}"


@pytest.fixture
def jobs(redis_url: str) -> Iterator[Jobs]:
    broker = RedisBroker(url=redis_url)
    dramatiq.set_broker(broker)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield Jobs(broker, client)
    broker.close()
    broker.client.close()


@pytest.fixture
def apply_pool(cluster: Cluster, operator: str, redis_address: str, worker_image: str) -> Iterator[ApplyPool]:
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
