"""Who goes and who is called back where workers drain: the production plan, told of simulated replicas.

What the plan knows of a replica is what its pod and its worker's record tell; the jobs themselves it does not see.
"""

from __future__ import annotations

from collections.abc import Sequence

from crewcall_operator.core.observation import Pod, Worker, WorkerState
from crewcall_operator.core.victims import Plan, plan
from crewcall_operator.simulation.replicas import Phase, Replica


def plan_for(replicas: Sequence[Replica], wanted: int, startup: float, now: float) -> Plan:
    """How to come to `wanted` of these."""
    return plan(
        [Pod(it.name, it.phase is not Phase.STARTING, it.asked_at) for it in replicas],
        [_worker(it, now) for it in replicas if it.phase is not Phase.STARTING],
        {it.name: now - it.ordered_at for it in replicas if it.phase is Phase.DRAINING},
        len(replicas),
        wanted,
        startup,
        now,
    )


def _worker(replica: Replica, now: float) -> Worker:
    running = replica.running
    state = WorkerState.DRAINING if replica.phase is Phase.DRAINING else WorkerState.RUNNING
    return Worker(replica.name, replica.name, state, len(running), now - min(running.values()) if running else None)
