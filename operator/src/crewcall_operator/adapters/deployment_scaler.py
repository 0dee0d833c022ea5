"""Deployments as a pool's replicas: made from its template and owned, or one that exists and is only scaled.

What the cluster has is known from the watch, so that a tick asks the API server for nothing. Writes are few: a
Deployment when it is missing, its template when that changed, its scale when the number changed. One Deployment has one
pool: whoever else names it is told so.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from crewcall_operator.adapters.borrowing import Borrowing
from crewcall_operator.adapters.claims import Claims
from crewcall_operator.adapters.deployment_requests import DeploymentRequests
from crewcall_operator.adapters.deployments import Deployments
from crewcall_operator.adapters.failures import Failures
from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.marks import Marks
from crewcall_operator.adapters.pods import Pods
from crewcall_operator.adapters.rivals import Rivals
from crewcall_operator.api.borrowing import noted
from crewcall_operator.api.deployment import controlling_pool, is_owned_by, not_owned, template_change
from crewcall_operator.api.pool import Pool, PoolKey
from crewcall_operator.core.leadership import Leadership, unopposed
from crewcall_operator.core.observation import Fleet
from crewcall_operator.core.policy import Mode
from crewcall_operator.errors import ApiError, TargetUnavailable
from crewcall_operator.ports import Clock


class DeploymentScaler:
    """Implements `ports.Scaler` on the Deployments of a cluster."""

    def __init__(
        self,
        api: KubernetesApi,
        clock: Clock,
        deployments: Deployments,
        pods: Pods,
        rivals: Rivals,
        leadership: Leadership = unopposed,
    ) -> None:
        """`deployments` and `pods` are kept by whoever watches them. Without the `leadership` nothing is made or
        described."""
        self._requests = DeploymentRequests(api, deployments)
        self._leadership = leadership
        self._rivals = rivals
        self._borrowing = Borrowing(api, clock, rivals)
        self._deployments = deployments
        self._pods = pods
        self._marks = Marks(api, pods)
        self._failures = Failures(clock)
        self._claims = Claims()
        self._held: dict[PoolKey, PoolKey] = {}
        self._replicas: dict[PoolKey, int] = {}
        self._described: dict[PoolKey, tuple[Pool, Mapping[str, Any]]] = {}

    def take_on(self, pool: Pool) -> None:
        self._claims.ask(pool, _target(pool))

    async def ensure(self, pool: Pool) -> Fleet:
        target = _target(pool)
        if self._held.get(pool.key) not in (None, target):
            await self._leave(pool)
        live = self._deployments.get(target)
        self._claims.refuse(pool, target, noted(live))
        self._held[pool.key] = target
        recent = self._failures.recent(pool, is_there=live is not None)
        if recent is not None and recent.fleet is None:
            raise recent
        if live is None and pool.template is not None and not self._may_change(pool):
            return Fleet(0, 0)  # not made yet, and not to be made
        if live is None:
            live = self._deployments.saw(await self._found_or_made(pool))
        pods, gone = self._pods.of(pool.key), self._pods.gone(pool.key)
        fleet = Fleet(live["spec"]["replicas"], live["status"]["readyReplicas"], pods, gone)
        if recent is not None:
            raise TargetUnavailable(recent.reason, str(recent), fleet)
        await self._refuse_rivals(pool, target, fleet.current)
        if pool.template is None:
            _refuse_what_another_owns(pool, live)
            if self._may_change(pool) and noted(live) not in ("", pool.uid):
                taken = self._borrowing.taken_over(pool, live)
                self._deployments.saw(await self._attempt(pool, "FailedUpdateScale", taken))
        else:
            await self._describe(pool, live, fleet)
        return fleet

    async def scale(self, pool: Pool, replicas: int, leaving: Collection[str] = ()) -> None:
        target = _target(pool)
        # Mark before shrinking: the ReplicaSet controller ranks pods when it sees the new number, not later.
        await self._marks.put(pool, leaving)
        scaled = await self._attempt(pool, "FailedUpdateScale", self._requests.scale(pool, target, replicas))
        self._replicas[pool.key] = replicas
        live = self._deployments.get(target)
        if live is None:
            return
        if pool.template is None:
            self._deployments.saw(scaled)
            return
        metadata = {**live["metadata"], "resourceVersion": scaled["metadata"]["resourceVersion"]}
        self._deployments.saw({**live, "metadata": metadata, "spec": {"replicas": replicas}})

    async def release(self, pool: Pool) -> None:
        """An owned Deployment is deleted by the cluster with its owner; a borrowed one gets its replicas back."""
        self._described.pop(pool.key, None)
        self._pods.forget(pool.key)
        self._failures.forget(pool.key)
        self._replicas.pop(pool.key, None)
        self._claims.withdraw(pool.key)
        await self._leave(pool)

    def pool_of(self, target: PoolKey) -> PoolKey | None:
        """The pool that scales this Deployment."""
        holder = self._claims.holder(target, noted(self._deployments.get(target)))
        return None if holder is None else holder.key

    async def give_back_what_nobody_borrows(self) -> None:
        """Find Deployments whose pool went when nobody saw it, and give them back."""
        if self._leadership() > 0:
            for target, live in self._deployments.items():
                if not self._is_scaled(target):
                    await self._borrowing.give_back_where_the_pool_is_gone(live)

    async def _refuse_rivals(self, pool: Pool, target: PoolKey, current: int) -> None:
        """Raises `TargetUnavailable` where an autoscaler scales it; asked anew where somebody has just scaled it."""
        before, self._replicas[pool.key] = self._replicas.get(pool.key), current
        if self._may_change(pool):
            if before not in (None, current):
                self._rivals.doubt(target)
            await self._rivals.refuse(target)

    async def _leave(self, pool: Pool) -> None:
        former = self._held.pop(pool.key, None)
        if former is None:
            return
        self._rivals.forget(former)
        live = self._deployments.get(former)
        if live is not None and self._leadership() > 0 and not self._is_scaled(former):
            # Asked again: a pool whose label has changed is gone from here only, and another operator scales it.
            await self._borrowing.give_back_where_the_pool_is_gone(live)

    def _is_scaled(self, target: PoolKey) -> bool:
        """Whether a pool that is known here changes its replicas: then it keeps them, whoever borrowed it before."""
        holder = self._claims.holder(target, noted(self._deployments.get(target)))
        return holder is not None and holder.policy.mode is Mode.AUTO

    def _may_change(self, pool: Pool) -> bool:
        return pool.policy.mode is Mode.AUTO and self._leadership() > 0

    async def _found_or_made(self, pool: Pool) -> dict[str, Any]:
        target = _target(pool)
        if pool.template is None:
            return await self._attempt(pool, "FailedGetScale", self._requests.get(target))
        return await self._attempt(pool, "FailedCreate", self._requests.make(pool))

    async def _describe(self, pool: Pool, live: Mapping[str, Any], fleet: Fleet) -> None:
        """Give the Deployment the pool's template, where it has another one; a refusal leaves it to be scaled."""
        known_pool, known_live = self._described.get(pool.key, (None, None))
        if known_pool is pool and known_live is live:
            return  # compared before: rendering a template is the dear part of a tick
        if not is_owned_by(pool, live):
            raise TargetUnavailable("DeploymentNotOwned", not_owned(pool, live))
        change = template_change(pool, live)
        if change is None or pool.policy.mode is not Mode.AUTO:
            self._described[pool.key] = (pool, live)
            return
        if not self._may_change(pool):
            return
        request = self._requests.change(pool.key, change)
        self._deployments.saw(await self._attempt(pool, "FailedUpdateTemplate", request, fleet))

    async def _attempt(
        self, pool: Pool, reason: str, request: Coroutine[None, None, dict[str, Any]], fleet: Fleet | None = None
    ) -> dict[str, Any]:
        try:
            return await request
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._deployments.missing(_target(pool))
            raise self._failures.note(pool, reason, error, fleet) from error


def _refuse_what_another_owns(pool: Pool, live: Mapping[str, Any]) -> None:
    owner = controlling_pool(live)
    if owner is not None:
        raise TargetUnavailable(
            "AmbiguousTarget",
            f"Deployment {_target(pool)} belongs to WorkerPool {owner}, which scales it; name another Deployment",
        )


def _target(pool: Pool) -> PoolKey:
    return PoolKey(pool.key.namespace, pool.deployment_ref or pool.key.name)
