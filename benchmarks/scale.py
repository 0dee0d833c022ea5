"""What thousands of idle pools cost: 5,000 on 20 Redis servers, and how soon one among them is scaled.

A real operator process, real Redis servers that hold nothing, and the test API server in a thread of this process. The
pools scale Deployments that exist. CPU time and memory are of the operator alone, by /proc. Writes are all that the API
server took but renewals of the lease, which are 30 a minute however many pools there are. The start ends when every
pool has been looked at; that every status is written takes as long as the API server does (`statuses_s`). A Redis is
as busy as the busiest one. In the end a second operator stands by: it watches and looks as well, every 2 s. Prints one
JSON line; exits 1 when a promise is broken.

BENCH_POOLS, BENCH_SERVERS    fewer, to try something out
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import redis
import yaml
from tests.support.api_cluster import ApiCluster, Capabilities
from tests.support.apiserver import Entry, ServerOptions, ServerThread
from tests.support.apiserver.controller import DEPLOYMENTS
from tests.support.operator import RunningOperator, operating
from tests.support.shop import arrive, existing_deployment
from tests.support.succession import LEASES
from tests.support.waiting import until

from benchmarks import catalogue
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis

POOLS = int(os.environ.get("BENCH_POOLS", "5000"))
SERVERS = int(os.environ.get("BENCH_SERVERS", "20"))
#: Seconds in which idle pools are watched, and the pools that are woken one after the other.
IDLE_S, WOKEN = 60.0, 20
#: Seconds in which an operator that stands by is watched.
STANDBY_S = 30.0
#: Seconds after the last status until the watch has brought all of them back.
SETTLED_S = 20.0
NAMESPACE = "default"
DEFINITION = Path(__file__).parents[1] / "crds" / "workerpool.yaml"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Tally:
    """What the API server has taken from the operator: called by its journal with each request that was answered."""

    statuses: set[str] = field(default_factory=set)
    scaled: dict[str, float] = field(default_factory=dict)
    writes: int = 0

    def __call__(self, entry: Entry) -> None:
        if not entry.is_accepted_write or entry.resource == LEASES:
            return
        self.writes += 1
        if entry.subresource == "status":
            self.statuses.add(entry.name)
        elif entry.subresource == "scale" or (
            entry.resource == DEPLOYMENTS and "replicas" in entry.body.get("spec", {})
        ):
            self.scaled.setdefault(entry.name, entry.answered_at)


def main() -> int:
    figures = asyncio.run(measure())
    print(json.dumps(figures))
    return catalogue.exit_status("scale", figures)


async def measure() -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        servers = [stack.enter_context(EmbeddedRedis()) for _ in range(SERVERS)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        thread = stack.enter_context(ServerThread(ServerOptions(runs_controllers=False)))
        thread.call(_fill(thread, [server.url for server in servers]))
        api = ApiCluster(thread.server.url, thread.server.token, Capabilities(has_pods=False, runs_pods=False))
        tally = Tally()
        thread.server.journal.watchers.append(tally)
        began = time.monotonic()
        running = await stack.enter_async_context(operating(api.write_kubeconfig(folder)))
        await _all_looked_at(running)
        start = time.monotonic() - began
        await until(lambda: len(tally.statuses) >= POOLS, "every pool has a status", 600.0)
        statuses = time.monotonic() - began
        await asyncio.sleep(SETTLED_S)
        idle = await _idle(tally, running, servers)
        reactions = [await _woken(tally, servers, number) for number in range(0, POOLS, max(1, POOLS // WOKEN))]
        other = await stack.enter_async_context(operating(api.write_kubeconfig(folder), until="standing by"))
        await asyncio.sleep(SETTLED_S)
        cpu, since = _cpu(other), time.monotonic()
        await asyncio.sleep(STANDBY_S)
        standby = (_cpu(other) - cpu) / (time.monotonic() - since)
        return {
            "pools": POOLS,
            "start_s": round(start, 2),
            "statuses_s": round(statuses, 2),
            **idle,
            "reaction_p99_s": round(max(reactions), 3),
            "standby_cpu_cores": round(standby, 3),
            "standby_rss_mb": round(_rss(other), 1),
        }


async def _idle(tally: Tally, running: RunningOperator, servers: Sequence[EmbeddedRedis]) -> dict[str, float]:
    """What `IDLE_S` seconds cost in which nothing happens."""
    cpu, busy, writes = _cpu(running), _busy(servers), tally.writes
    ticks, began = await _ticks(running), time.monotonic()
    await asyncio.sleep(IDLE_S)
    seconds = time.monotonic() - began
    return {
        "tick_p99_s": _p99(ticks, await _ticks(running)),
        "cpu_cores": round((_cpu(running) - cpu) / seconds, 3),
        "rss_mb": round(_rss(running), 1),
        "idle_writes_per_min": round((tally.writes - writes) * 60.0 / seconds, 1),
        "redis_busy": round(
            max(after - before for before, after in zip(busy, _busy(servers), strict=True)) / seconds, 3
        ),
    }


async def _woken(tally: Tally, servers: Sequence[EmbeddedRedis], number: int) -> float:
    """Seconds from the arrival of work in one of the pools until its replicas were changed."""
    name, began = f"pool-{number}", time.monotonic()
    await asyncio.to_thread(arrive, servers[number % SERVERS].url, 10, f"queue-{number}")
    await until(lambda: name in tally.scaled, f"{name} is scaled", 30.0)
    return tally.scaled[name] - began


async def _fill(thread: ServerThread, urls: Sequence[str]) -> None:
    definition = yaml.safe_load(await asyncio.to_thread(DEFINITION.read_text))
    thread.server.create("customresourcedefinitions.apiextensions.k8s.io", definition)
    for number in range(POOLS):
        thread.server.create("deployments.apps", existing_deployment(NAMESPACE, f"pool-{number}", replicas=0))
        thread.server.create("workerpools.crewcall.dev", _pool(number, urls[number % len(urls)]))


def _pool(number: int, url: str) -> dict[str, Any]:
    return {
        "apiVersion": "crewcall.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": f"pool-{number}", "namespace": NAMESPACE},
        "spec": {
            "redis": {"url": url},
            "queues": [{"name": f"queue-{number}"}],
            "maxReplicas": 10,
            "target": {"backlogPerReplica": 5},
            "deploymentRef": {"name": f"pool-{number}"},
        },
    }


def _cpu(running: RunningOperator) -> float:
    """Seconds of CPU time that the operator has taken (proc_pid_stat(5): utime and stime)."""
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _rss(running: RunningOperator) -> float:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _busy(servers: Sequence[EmbeddedRedis]) -> list[float]:
    """Seconds of CPU time that each Redis has taken."""
    return [_of_redis(server.url, lambda info: info["used_cpu_user"] + info["used_cpu_sys"]) for server in servers]


def _of_redis(url: str, figure: Callable[[Any], float]) -> float:
    with redis.Redis.from_url(url) as client:
        return figure(client.info("cpu"))


async def _ticks(running: RunningOperator) -> dict[float, float]:
    """The buckets of `crewcall_tick_seconds`."""
    text = await _metrics(running)
    found = re.findall(r'^crewcall_tick_seconds_bucket\{le="([^"]+)"\} (\S+)', text, re.MULTILINE)
    return {float(bound): float(count) for bound, count in found}


async def _all_looked_at(running: RunningOperator) -> None:
    looked_at = 0
    while looked_at < POOLS:
        await asyncio.sleep(1.0)  # a scrape of so many pools takes its time as well
        looked_at = (await _metrics(running)).count("\ncrewcall_pool_current_replicas{")


async def _metrics(running: RunningOperator) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://{running.address}/metrics") as answer:
        return await answer.text()


def _p99(before: dict[float, float], after: dict[float, float]) -> float:
    """The upper bound of the bucket in which 99 of 100 ticks in between lie."""
    counts = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = max(counts.values())
    return min(bound for bound, count in counts.items() if count >= 0.99 * total)


if __name__ == "__main__":
    sys.exit(main())
