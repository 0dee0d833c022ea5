"""What kopf calls when the cluster changes: WorkerPools go to the engine, Deployments and pods to the scaler. Thin.

Raw events only (`kopf.on.event`): they put no finalizer and no annotation on anything. All work happens in the
engine's tick.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import kopf

from crewcall_operator.adapters.cluster import Cluster
from crewcall_operator.adapters.deployments import DeploymentScaler
from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.pods import Pods, pod_key
from crewcall_operator.adapters.status import StatusWriter
from crewcall_operator.api.names import GROUP, LABEL_POOL, PLURAL, VERSION
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.api.spec import read_pool
from crewcall_operator.engine import Engine
from crewcall_operator.errors import ApiError, InvalidSpec

#: Seconds between two lists that find what a watch has missed.
RELIST = 180.0

Identity = tuple[str, int]
"""A pool's uid and generation."""


async def spawn(
    intake: Intake,
    scaler: DeploymentScaler,
    pods: Pods,
    namespaces: Sequence[str],
    selector: str,
    stop: asyncio.Event,
) -> Collection[asyncio.Task[None]]:
    """Start kopf's tasks, to be awaited with `kopf.run_tasks`; they end when `stop` is set."""
    return await kopf.spawn_tasks(
        registry=_registry(intake, scaler, pods),
        settings=_settings(selector),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        stop_flag=stop,
    )


async def forget_missed_deletions(cluster: Cluster, engine: Engine, scaler: DeploymentScaler, pods: Pods) -> None:
    """Every few minutes, let go of what is gone: kopf never tells of a deletion that it missed."""
    while True:
        await asyncio.sleep(RELIST)
        known, known_deployments, known_pods = engine.pools, scaler.known, pods.names()
        try:
            there = {body["metadata"]["uid"] async for body in cluster.workerpools()}
            there_deployments = {body["metadata"]["uid"] async for body in cluster.deployments()}
            there_pods = {pod_key(body) async for body in cluster.pods()}
        except ApiError as error:
            log.warning("cannot list what is there, trying again in %.0f s: %s", RELIST, error)
            continue
        scaler.lost_all(known_deployments - there_deployments)
        for pool_key, name in known_pods - there_pods:
            pods.missing(pool_key, name)
        for pool in known:
            if pool.uid not in there:
                await engine.remove(pool.key, pool.uid)
        await scaler.give_back_what_nobody_borrows()


def _settings(selector: str) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no list and watch of namespaces and definitions: fewer rights
    settings.posting.enabled = False  # Events are the status writer's
    settings.networking.error_backoffs = itertools.repeat(2.0)  # by default 54 s of errors end the operator
    settings.networking.request_timeout = 30.0
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.label_selectors["", "v1", "pods"] = LABEL_POOL  # the server leaves out all others
    if selector:
        settings.watching.label_selectors[GROUP, VERSION, PLURAL] = selector
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = 30.0
    return settings


def _registry(intake: Intake, scaler: DeploymentScaler, pods: Pods) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(kopf.login_via_client)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def workerpool(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED" or "deletionTimestamp" in event["object"]["metadata"]:
            await intake.lost(event["object"])
        else:
            intake.saw(event["object"])

    @kopf.on.event("apps", "v1", "deployments", registry=registry)
    async def deployment(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            scaler.lost(event["object"])
        else:
            scaler.saw(event["object"])
        if (pool := scaler.pool_of(event["object"])) is not None:
            intake.engine.rest.stir(pool)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            pods.lost(event["object"])
        else:
            pods.saw(event["object"])
        if (pool := pod_key(event["object"])[0]) is not None:
            intake.engine.rest.stir(pool)

    return registry


@dataclass(slots=True)
class Intake:
    """From WorkerPools as they are written to pools that are scaled, or to a status that says what is wrong."""

    engine: Engine
    status: StatusWriter
    _rejected: dict[PoolKey, tuple[Identity, InvalidSpec]] = field(default_factory=dict)

    async def lost(self, body: Mapping[str, Any]) -> None:
        self._rejected.pop(_key(body), None)
        await self.engine.remove(_key(body), body["metadata"]["uid"])

    def saw(self, body: Mapping[str, Any]) -> None:
        key, identity = _key(body), (body["metadata"]["uid"], body["metadata"]["generation"])
        self.status.follow(key, body)
        known, invalid = self._rejected.get(key, (None, None))
        if invalid is not None and known == identity:
            self.status.reject(key, body, invalid)  # the operator that led may have gone before it could say so
        elif not self.engine.knows(key, *identity):
            self._take_on(key, identity, body)

    def _take_on(self, key: PoolKey, identity: Identity, body: Mapping[str, Any]) -> None:
        try:
            pool = read_pool(body)
        except InvalidSpec as invalid:
            self._rejected[key] = (identity, invalid)
            log.warning("%s: not scaled, its spec is invalid: %s", key, invalid)
            self.engine.suspend(key)
            self.status.adopt(key, body)
            self.status.reject(key, body, invalid)
        else:
            self._rejected.pop(key, None)
            self.engine.put(pool)
            self.status.adopt(key, body)  # after it: the page of another pool of this name is forgotten there


def _key(body: Mapping[str, Any]) -> PoolKey:
    return PoolKey(body["metadata"]["namespace"], body["metadata"]["name"])
