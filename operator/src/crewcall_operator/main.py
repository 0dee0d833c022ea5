"""The composition root of `crewcall operator`: the only place that reads the clock and builds the adapters.

Read on from here to see how one number gets from Redis to a Deployment: `adapters/redis_queues.py`,
`core/sizing.py`, `core/decide.py`, `engine.py`, `adapters/deployments.py`.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
import uuid
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import kopf
from kubernetes.client import Configuration
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from crewcall_operator.adapters import probes
from crewcall_operator.adapters.cluster import Cluster
from crewcall_operator.adapters.deployment_scaler import DeploymentScaler
from crewcall_operator.adapters.deployments import Deployments
from crewcall_operator.adapters.key_values import KeyValues
from crewcall_operator.adapters.kubernetes_api import KubernetesApi, home_namespace, load_configuration
from crewcall_operator.adapters.leader_metrics import LeaderMetrics
from crewcall_operator.adapters.lease import LeaseElection, NoElection
from crewcall_operator.adapters.led_orders import LedOrders
from crewcall_operator.adapters.log import LogReporter, log
from crewcall_operator.adapters.measures import MeasuredOrders, MeasuredReader, Measures
from crewcall_operator.adapters.pods import Pods
from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_orders import RedisOrders
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.adapters.redis_sources import ClusterSources
from crewcall_operator.adapters.redis_stirring import RedisStirring
from crewcall_operator.adapters.rivals import Rivals
from crewcall_operator.adapters.status import StatusWriter
from crewcall_operator.core.leadership import Candidate
from crewcall_operator.engine import Engine
from crewcall_operator.errors import ApiError
from crewcall_operator.foreman import Foreman
from crewcall_operator.handlers import Watch, WatchRefused
from crewcall_operator.intake import Intake
from crewcall_operator.settings import OperatorSettings

#: A loop that has not ticked for so many seconds is stuck: the kubelet should restart it.
STUCK = 30.0

#: Seconds that the last statuses and Events may take when the operator is told to stop.
LAST_WORDS = 1.0

#: Seconds between the end of a watch and the next one.
PAUSE = 1.0

#: Name lookups at a time. By default there are few, and pools whose names hang would use them up for everybody.
LOOKUPS = 64

#: Seconds after which a thread that computes lets another one go on. A scrape of thousands of pools does, for a second;
#: by default the loop would wait for its turn five times as long, each time that it has waited for a socket.
TURN = 0.001

Election = LeaseElection | NoElection
Found = TypeVar("Found")


class _Lookups(ThreadPoolExecutor):
    """Threads for name lookups. Nothing can end a lookup that hangs, so the end does not wait for it."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


async def run(settings: OperatorSettings) -> None:
    """Watch and scale until SIGTERM or SIGINT.

    Raises `kubernetes.config.ConfigException` where no cluster is configured.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    sys.setswitchinterval(TURN)
    asyncio.get_running_loop().set_default_executor(_Lookups(max_workers=LOOKUPS))
    async with AsyncExitStack() as stack:
        configuration = load_configuration()
        election = _election(settings, configuration, stack)
        api = KubernetesApi(configuration, election)
        stack.push_async_callback(api.aclose)
        measures = Measures(time.monotonic)
        api.failed = measures.api_failed
        sources = ClusterSources(KeyValues(api, time.monotonic))
        reader = RedisQueues(time.time, sources=sources)
        stack.push_async_callback(reader.aclose)
        cluster = Cluster(api, settings.namespaces, settings.selector)
        orders = RedisOrders(sources=sources)
        stack.push_async_callback(orders.aclose)
        pods = Pods(time.monotonic, time.time)
        rivals = Rivals(api, time.monotonic, settings.namespaces)
        deployments = Deployments()
        scaler = DeploymentScaler(api, time.monotonic, deployments, pods, rivals, election)
        status = StatusWriter(api, wall_clock=_now, clock=time.monotonic, leadership=election)
        metrics = PoolMetrics()
        measured = MeasuredOrders(orders, orders, measures)
        led = LedOrders(measured, measured, election)
        foreman = Foreman(led, led, time.monotonic)
        reporters = (status, metrics, measures, LogReporter())
        looks = MeasuredReader(reader, measures)
        stirring = RedisStirring(sources=sources)
        stack.push_async_callback(stirring.aclose)
        engine = Engine(
            looks,
            scaler,
            reporters,
            time.monotonic,
            foreman,
            time.time,
            leadership=election,
            stirring=stirring,
        )
        serving = await stack.enter_async_context(AsyncExitStack())
        address = await serving.enter_async_context(
            probes.serve(
                settings.host,
                settings.port,
                _collected(LeaderMetrics(metrics, election), measures),
                is_healthy=lambda: engine.ticked_at is None or time.monotonic() - engine.ticked_at < STUCK,
                is_ready=lambda: engine.ticked_at is not None,
            )
        )
        log.info("serving /metrics, /healthz and /readyz on http://%s", address)
        intake = Intake(engine, status, metrics)
        watch = Watch(intake, deployments, pods, scaler)
        election.on_lead += [engine.take_over, status.take_over]
        hints = RedisHints(lambda: engine.pools, engine.hint, sources)
        while await _unless(stop, cluster.first_look(deployments.saw, pods.saw)):
            if engine.pools:  # of before the watch ended: what went meanwhile nobody has told
                await watch.compare(cluster)
            try:
                await _operate(settings, cluster, election, watch, hints, serving, stop)
                break
            except WatchRefused as refused:
                log.error("the API server ends the watch: %s. Nothing is scaled until it answers again", refused)
                await _unless(stop, asyncio.sleep(PAUSE))
        log.info("stopped; every Deployment keeps the replicas it has")


async def _operate(
    settings: OperatorSettings,
    cluster: Cluster,
    election: Election,
    watch: Watch,
    hints: RedisHints,
    serving: AsyncExitStack,
    stop: asyncio.Event,
) -> None:
    """Run every loop until `stop`, or until one of them fails: then its failure is raised."""
    engine, status = watch.intake.engine, watch.intake.status
    with suppress(ApiError):  # the watch brings them all the same; but who may take over at once shall know them
        async for body in cluster.workerpools():
            watch.intake.saw(body)
    loops = [
        asyncio.create_task(election.run()),
        asyncio.create_task(engine.run(settings.interval)),
        asyncio.create_task(status.run()),
        asyncio.create_task(hints.run()),
        asyncio.create_task(watch.forget_missed_deletions(cluster)),
        asyncio.create_task(stop.wait()),
    ]
    watched = asyncio.Event()
    ours = asyncio.all_tasks()
    tasks = await watch.spawn(settings.namespaces, settings.selector, watched)
    _stop_on_signals(stop)  # once more: kopf has put its own handlers in place of ours
    watching = asyncio.create_task(kopf.run_tasks(tasks, ignored=ours))
    log.info("watching WorkerPools in %s", ", ".join(settings.namespaces) or "all namespaces")
    try:
        done, _ = await asyncio.wait([*loops, watching], return_when=asyncio.FIRST_COMPLETED)
        for finished in done:
            finished.result()
    finally:
        await _cancelled(loops)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await status.flush()
        await election.release()
        if stop.is_set():
            # kopf would wait 5 s for the connection that Prometheus keeps open, as for a task of its own
            await serving.aclose()
        watched.set()
        await asyncio.gather(watching, return_exceptions=True)  # its failure, if any, has been raised above


async def _unless(stop: asyncio.Event, waiting: Coroutine[None, None, Found]) -> Found | None:
    """What `waiting` finds, or None where `stop` came first."""
    task, stopping = asyncio.create_task(waiting), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await _cancelled([stopping])
        return task.result()
    await _cancelled([task])
    return None


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def _election(settings: OperatorSettings, configuration: Configuration, stack: AsyncExitStack) -> Election:
    if not settings.elects:
        return NoElection()
    api = KubernetesApi(configuration)  # of its own: a renewal waits for no connection
    stack.push_async_callback(api.aclose)
    namespace = settings.lease.rpartition("/")[0] or home_namespace()
    me = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    return LeaseElection(api, namespace, settings.lease_name, Candidate(me), _since_boot, _now)


def _now() -> datetime:
    return datetime.now(UTC)


def _since_boot() -> float:
    """Seconds on a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _collected(*collectors: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
