"""How soon 1,000 jobs that arrive at once in an idle pool have called all 50 replicas they need.

A real operator process, a real Redis, and the test API server, whose clock tells when it accepted each change of
replicas. Prints one JSON line, of each figure the worst of all rounds; exits 1 when a promise is broken.

KEDA 2.20-dev on a Kubernetes 1.36 control plane, same pool and same jobs: the first replica after 22 s and all 50
after 82 s with its default poll of 30 s; after 0.2 s and 67 s with a poll of 1 s; in six steps (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from tests.support.api_cluster import ApiCluster, Capabilities
from tests.support.apiserver import ApiServer
from tests.support.operator import operating
from tests.support.shop import arrive
from tests.support.waiting import until

from benchmarks import catalogue
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

JOBS, REPLICAS, JOBS_EACH = 1000, 50, 20
#: Seconds after the last change in which one too many would come.
AFTER_S = 2.4
ROUNDS = 5
NO_PODS = Capabilities(has_pods=False, runs_pods=False)
DEFINITION = Path(__file__).parents[1] / "crds" / "workerpool.yaml"


def main() -> int:
    rounds = [asyncio.run(one_round()) for _ in range(ROUNDS)]
    for figures in rounds:
        print(f"first replica asked for after {figures['first_s']} s, all after {figures['full_s']} s", file=sys.stderr)
    figures = {
        "first_s": max(it["first_s"] for it in rounds),
        "full_s": max(it["full_s"] for it in rounds),
        "replicas": max((it["replicas"] for it in rounds), key=lambda replicas: abs(replicas - REPLICAS)),
        "patches": max(it["patches"] for it in rounds),
    }
    print(json.dumps(figures))
    return catalogue.exit_status("reaction", figures)


async def one_round() -> dict[str, Any]:
    """Seconds from the jobs' arrival to the API server's accepting the first and the last change of replicas."""
    with EmbeddedRedis() as server, tempfile.TemporaryDirectory() as folder:
        async with ApiServer() as api:
            kubeconfig = ApiCluster(api.url, api.token, NO_PODS).write_kubeconfig(Path(folder))
            api.create("customresourcedefinitions.apiextensions.k8s.io", yaml.safe_load(DEFINITION.read_text()))
            api.create("workerpools.crewcall.dev", _pool(server.url))
            async with operating(kubeconfig):
                await until(lambda: _status(api).get("desiredReplicas") == 0, "the operator looks after the idle pool")
                arrival = time.monotonic()
                arrive(server.url, JOBS, "jobs")
                await until(lambda: _asked(api)[-1:] == [REPLICAS], f"{REPLICAS} replicas are asked for")
                await asyncio.sleep(AFTER_S)
            changes = [entry for entry in api.journal.writes("deployments.apps") if entry.subresource == "scale"]
            return {
                "first_s": round(changes[0].answered_at - arrival, 3),
                "full_s": round(changes[-1].answered_at - arrival, 3),
                "replicas": _asked(api)[-1],
                "patches": len(changes),
            }


def _pool(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": "idle", "namespace": "default"},
        "spec": {
            "redis": {"url": url},
            "queues": [{"name": "jobs"}],
            "maxReplicas": REPLICAS,
            "target": {"backlogPerReplica": JOBS_EACH},
            "template": {"spec": {"containers": [{"name": "worker", "image": "worker"}]}},
        },
    }


def _asked(api: ApiServer) -> list[int]:
    """Every number of replicas that was asked for and accepted, in order."""
    writes = api.journal.writes("deployments.apps")
    return [entry.body["spec"]["replicas"] for entry in writes if entry.subresource == "scale"]


def _status(api: ApiServer) -> dict[str, Any]:
    written = api.journal.writes("workerpools.crewcall.dev")
    status: dict[str, Any] = written[-1].body["status"] if written else {}
    return status


if __name__ == "__main__":
    sys.exit(main())
