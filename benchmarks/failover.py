"""How soon another operator scales on when the one that leads is killed, or told to stop; and that never two write.

Three real operator processes, a real Redis under a load that grows all the time, and the test API server, whose journal
tells who held the lease and who wrote what. The clock runs from the signal until another operator holds the lease *and*
has changed the number of replicas. A double write is one, of whatever kind, by an operator that did not hold the lease
when the server took it. Prints one JSON line; exits 1 when a promise is broken.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import yaml
from tests.support.apiserver import ApiServer, ServerOptions
from tests.support.shop import arrive
from tests.support.succession import Succession
from tests.support.waiting import until

from benchmarks import catalogue
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

OPERATORS = 3
ROUNDS = 10
#: A replica's worth of jobs comes each so many seconds, so that every look has something to change.
GROWS_EVERY = 0.1
JOBS_EACH = 2
DEFINITION = Path(__file__).parents[1] / "crds" / "workerpool.yaml"


def main() -> int:
    figures = asyncio.run(measure())
    print(json.dumps(figures))
    return catalogue.exit_status("failover", figures)


async def measure() -> dict[str, Any]:
    """The longest takeovers of each kind, which of ten are the 99th percentile."""
    took: dict[signal.Signals, list[float]] = {signal.SIGKILL: [], signal.SIGTERM: []}
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(EmbeddedRedis())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api = await stack.enter_async_context(ApiServer(ServerOptions(runs_controllers=False)))
        api.create("customresourcedefinitions.apiextensions.k8s.io", yaml.safe_load(DEFINITION.read_text()))
        api.create("workerpools.crewcall.dev", _pool(redis.url))
        succession = Succession(api, folder, stack)
        for _ in range(OPERATORS):
            await succession.start()
        load = asyncio.create_task(_grow(redis.url))
        for number in range(2 * ROUNDS):
            way = (signal.SIGTERM, signal.SIGKILL)[number % 2]
            took[way].append(await _take_over(succession, way))
            print(f"{way.name}: another one scales on after {took[way][-1]:.3f} s", file=sys.stderr)
            await succession.start()
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load
        return {
            "killed_p99_s": round(max(took[signal.SIGKILL]), 3),
            "clean_p99_s": round(max(took[signal.SIGTERM]), 3),
            "double_writes": len(succession.strays()),
            "writes": len(succession.writes()),
        }


async def _take_over(succession: Succession, way: signal.Signals) -> float:
    """Seconds from the signal to the leader until another one leads and scales."""
    await until(lambda: succession.leader and len(succession.standbys) == OPERATORS - 1, "one leads, the others watch")
    leader, began = succession.leader, time.monotonic()
    await until(lambda: _scaled(succession, began, of=leader), "the leader scales", 30.0)
    process = succession.operators[leader].process
    began = time.monotonic()
    process.send_signal(way)
    await until(lambda: _scaled(succession, began, not_of=leader), "another one scales", 30.0)
    await process.wait()
    return max(_scaled(succession, began, not_of=leader)[0], _held(succession, began)) - began


def _scaled(succession: Succession, since: float, of: str = "", not_of: str = "") -> list[float]:
    """When replicas were changed by this operator, or by another one than that."""
    return [
        entry.answered_at
        for entry in succession.writes(since)
        if entry.subresource == "scale" and of in ("", entry.token) and entry.token != not_of
    ]


def _held(succession: Succession, since: float) -> float:
    return next(at for at, token in succession.tenures() if at >= since and token)


async def _grow(url: str) -> None:
    while True:
        await asyncio.to_thread(arrive, url, JOBS_EACH, "jobs")
        await asyncio.sleep(GROWS_EVERY)


def _pool(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": "growing", "namespace": "default"},
        "spec": {
            "redis": {"url": url},
            "queues": [{"name": "jobs"}],
            "maxReplicas": 10_000,
            "target": {"backlogPerReplica": JOBS_EACH},
            "behavior": {"scaleUp": {"tolerance": 0}},
            "template": {"spec": {"containers": [{"name": "worker", "image": "worker"}]}},
        },
    }


if __name__ == "__main__":
    sys.exit(main())
