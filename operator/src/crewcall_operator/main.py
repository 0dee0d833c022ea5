"""The composition root of `crewcall operator`: the only place that reads the clock and builds the adapters.

Read on from here to see how one number gets from Redis to a Deployment: `adapters/redis_queues.py`,
`core/sizing.py`, `core/decide.py`, `turn.py`, `adapters/deployment_scaler.py`.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import time
import uuid
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from kubernetes.client import Configuration
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from crewcall_operator.adapters import probes
from crewcall_operator.adapters.cluster import Cluster
from crewcall_operator.adapters.deployment_scaler import DeploymentScaler
from crewcall_operator.adapters.deployments import Deployments
from crewcall_operator.adapters.election import LeaseElection, NoElection
from crewcall_operator.adapters.key_values import KeyValues
from crewcall_operator.adapters.kubernetes_api import KubernetesApi, home_namespace, load_configuration
from crewcall_operator.adapters.leader_metrics import LeaderMetrics
from crewcall_operator.adapters.lease import Lease
from crewcall_operator.adapters.lease_thread import LeaseThread
from crewcall_operator.adapters.led_orders import LedOrders
from crewcall_operator.adapters.log import LogReporter, log
from crewcall_operator.adapters.measures import MeasuredOrders, MeasuredReader, Measures
from crewcall_operator.adapters.pods import Pods
from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_history import RedisHistory
from crewcall_operator.adapters.redis_orders import RedisOrders
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.adapters.redis_sources import ClusterSources
from crewcall_operator.adapters.redis_stirring import RedisStirring
from crewcall_operator.adapters.rivals import Rivals
from crewcall_operator.adapters.status import StatusWriter
from crewcall_operator.core.leadership import Candidate
from crewcall_operator.engine import Engine
from crewcall_operator.foreman import Foreman
from crewcall_operator.handlers import Watch
from crewcall_operator.intake import Intake
from crewcall_operator.loops import LOOKUPS, Election, Lookups, operate, stop_on_signals
from crewcall_operator.settings import OperatorSettings
from crewcall_operator.watchers import Watchers

#: A loop that has not ticked for so many seconds and intervals is stuck: the kubelet should restart it.
STUCK, INTERVALS = 30.0, 3

#: Seconds after which a thread that computes lets another one go on. A scrape of thousands of pools does, for a second;
#: by default the loop would wait for its turn five times as long, each time that it has waited for a socket.
TURN = 0.001

#: New objects, less those that are gone, after which the youngest are looked through for rings of garbage; those that
#: outlived that are at every second time, and all at every tenth of these. By default it is 700: the lists of a scrape
#: would pass for old ones, and call for a look through all there is, a third of a second with thousands of pools.
YOUNGEST = 10_000


def stuck_after(interval: float) -> float:
    """Seconds without a tick, of which there is one every `interval` seconds, after which the loop is stuck."""
    return STUCK + INTERVALS * interval


async def run(settings: OperatorSettings) -> None:
    """Watch and scale until SIGTERM or SIGINT.

    Raises `kubernetes.config.ConfigException` where no cluster is configured, and `BadSetting`.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    sys.setswitchinterval(TURN)
    gc.set_threshold(YOUNGEST, 1)
    asyncio.get_running_loop().set_default_executor(Lookups(max_workers=LOOKUPS))
    async with AsyncExitStack() as stack:
        configuration = load_configuration()
        election = await _election(settings, configuration, stack)
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
        measured = MeasuredOrders(orders, measures)
        led = LedOrders(measured, election)
        foreman = Foreman(led, time.monotonic)
        history = RedisHistory(time.monotonic, sources=sources)
        stack.push_async_callback(history.aclose)
        reporters = (status, metrics, measures, LogReporter(), history)
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
        watchers = Watchers(time.monotonic)
        address = await stack.enter_async_context(
            probes.serve(
                settings.host,
                settings.port,
                _collected(LeaderMetrics(metrics, election), measures),
                is_healthy=lambda: (
                    not watchers.are_adrift
                    and (
                        engine.ticked_at is None or time.monotonic() - engine.ticked_at < stuck_after(settings.interval)
                    )
                ),
                is_ready=lambda: engine.ticked_at is not None,
            )
        )
        log.info("serving /metrics, /healthz and /readyz on http://%s", address)
        intake = Intake(engine, status, metrics)
        watch = Watch(intake, deployments, pods, scaler, watchers)
        election.on_lead += [engine.take_over, status.take_over]
        hints = RedisHints(lambda: engine.pools, engine.hint, sources)
        await operate(settings, cluster, election, watch, hints, history, stop)
        log.info("stopped; every Deployment keeps the replicas it has")


async def _election(settings: OperatorSettings, configuration: Configuration, stack: AsyncExitStack) -> Election:
    if not settings.elects:
        return NoElection()
    namespace = settings.lease.rpartition("/")[0] or home_namespace()
    me = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"

    def elect(api: KubernetesApi) -> LeaseElection:
        return LeaseElection(Lease(api, namespace, settings.lease_name, _now), Candidate(me), _since_boot)

    return await stack.enter_async_context(LeaseThread(lambda: KubernetesApi(configuration), elect, time.monotonic))


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
