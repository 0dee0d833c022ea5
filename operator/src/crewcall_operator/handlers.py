"""What kopf calls when the cluster changes: WorkerPools go to the intake, Deployments and pods to where they are kept.

Raw events only (`kopf.on.event`): they put no finalizer and no annotation on anything. All work happens in the
engine's tick.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import kopf

from crewcall_operator.adapters.cluster import Cluster
from crewcall_operator.adapters.deployment_scaler import DeploymentScaler
from crewcall_operator.adapters.deployments import Deployments, deployment_key, version
from crewcall_operator.adapters.log import log
from crewcall_operator.adapters.pods import Pods, pod_key
from crewcall_operator.api.names import GROUP, LABEL_POOL, PLURAL, VERSION
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.errors import ApiError
from crewcall_operator.intake import Intake
from crewcall_operator.watchers import Watchers, named

#: What is watched: group, version and plural.
POOLS, DEPLOYMENTS, PODS = (GROUP, VERSION, PLURAL), ("apps", "v1", "deployments"), ("", "v1", "pods")

#: Seconds between two lists that find what a watch has missed, at the most; and of silence until a list is over.
RELIST, RELIST_LEAST = 180.0, 5.0

#: Seconds before credentials that were refused are tried again.
LOGIN_AGAIN = 1.0


@dataclass(slots=True)
class Watch:
    """Everybody who hears of changes in the cluster."""

    intake: Intake
    deployments: Deployments
    pods: Pods
    scaler: DeploymentScaler
    watchers: Watchers
    _listed_anew: asyncio.Event = field(default_factory=asyncio.Event)
    _logins: Iterator[int] = field(default_factory=itertools.count)

    async def begin(self, namespaces: Sequence[str], selector: str) -> Coroutine[None, None, None]:
        """Start kopf's tasks; gives what looks after them until the watch ends. It raises `WatchEnded`."""
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=_settings(selector),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
        )
        names, where = named((POOLS, DEPLOYMENTS, PODS), namespaces), ", ".join(namespaces) or "all namespaces"
        return self.watchers.run(tasks, names, lambda: log.info("watching WorkerPools in %s", where))

    async def forget_missed_deletions(self, cluster: Cluster) -> None:
        """Let go of what is gone, every few minutes and once all is heard that kopf had to list anew, as it does where
        a watch was broken for long: it never tells of a deletion that it missed."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RELIST):
                    await self._listed_anew.wait()
                    while self._listed_anew.is_set():
                        self._listed_anew.clear()
                        await asyncio.sleep(RELIST_LEAST)
            await self.compare(cluster)

    async def compare(self, cluster: Cluster) -> None:
        """Let go of what is not in the cluster any more."""
        known = self.intake.known
        known_deployments, known_pods = dict(self.deployments.items()), self.pods.names()
        try:
            there = {body["metadata"]["uid"] async for body in cluster.workerpools()}
            # Seen as well, in case the watch is not told of them: an older sight than the last one counts for nothing.
            there_deployments = {deployment_key(it): self.deployments.saw(it) async for it in cluster.deployments()}
            there_pods = {pod_key(body) async for body in cluster.pods()}
        except ApiError as error:
            if error.is_lasting:
                log.warning("cannot list what is there, trying again in %.0f s: %s", RELIST, error)
            else:
                self._listed_anew.set()  # soon again
            return
        before, now = _versions(known_deployments), _versions(there_deployments)
        self.deployments.lost_all({uid for _, uid, _ in before} - {uid for _, uid, _ in now})
        for key in {key for key, _, _ in before ^ now}:
            self._stir(self.scaler.pool_of(key))
        for pool_key, name in known_pods - there_pods:
            self.pods.missing(pool_key, name)
            self._stir(pool_key)
        for key, uid in known.items():
            if uid not in there:
                await self.intake.gone(key, uid)
        await self.scaler.give_back_what_nobody_borrows()

    def _stir(self, pool: PoolKey | None) -> None:
        if pool is not None:
            self.intake.engine.rest.stir(pool)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**words: Any) -> kopf.ConnectionInfo | None:
            # kopf takes refused credentials for refused for ever, and ends. They may be good again, or others by now:
            # a number makes them new ones.
            if number := next(self._logins):
                await asyncio.sleep(LOGIN_AGAIN)
            found = kopf.login_via_client(**words)
            return None if found is None else replace(found, priority=number)

        @kopf.on.event(*POOLS, registry=registry)
        async def workerpool(event: kopf.RawEvent, **_: Any) -> None:
            self._hear(event)
            if event["type"] == "DELETED":
                await self.intake.lost(event["object"])
            else:
                await self.intake.saw(event["object"])

        @kopf.on.event(*DEPLOYMENTS, registry=registry)
        async def deployment(event: kopf.RawEvent, **_: Any) -> None:
            self._hear(event)
            if event["type"] == "DELETED":
                self.deployments.lost(event["object"])
            else:
                self.deployments.saw(event["object"])
            self._stir(self.scaler.pool_of(deployment_key(event["object"])))

        @kopf.on.event(*PODS, registry=registry)
        async def pod(event: kopf.RawEvent, **_: Any) -> None:
            self._hear(event)
            if event["type"] == "DELETED":
                self.pods.lost(event["object"])
            else:
                self.pods.saw(event["object"])
            self._stir(pod_key(event["object"])[0])

        return registry

    def _hear(self, event: kopf.RawEvent) -> None:
        if event["type"] is None:  # of a list, not of a change (kopf docs, "Event-watching handlers")
            self._listed_anew.set()


def _versions(bodies: Mapping[PoolKey, Mapping[str, Any]]) -> set[tuple[PoolKey, str, int]]:
    return {(key, body["metadata"]["uid"], version(body)) for key, body in bodies.items()}


class _NoDiffs(kopf.AnnotationsDiffBaseStorage):
    """Nobody here asks what changed, so no body is copied to find out, and no annotation read, whatever is in it."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None


def _settings(selector: str) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no list and watch of namespaces and definitions: fewer rights
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.posting.enabled = False  # Events are the status writer's
    settings.networking.error_backoffs = itertools.repeat(2.0)  # by default 54 s of errors end the operator
    settings.networking.request_timeout = 30.0
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.label_selectors[PODS] = LABEL_POOL  # the server leaves out all others
    if selector:
        settings.watching.label_selectors[POOLS] = selector
    settings.queueing.exit_timeout = 0.5
    settings.queueing.idle_timeout = 0.2  # a task for each object that something was told of: not 5 s, for thousands
    settings.process.ultimate_exiting_timeout = None  # else it kills this process, also after another watch has begun
    return settings
