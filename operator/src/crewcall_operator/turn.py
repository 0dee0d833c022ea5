"""One pool's turn: from what was seen of it to what was done about it, in one report.

The fleet is asked for, the decision taken (`core.decide`), orders given (`foreman`), and the replicas changed where the
number is another one. While somebody is asked, the pool may be removed or replaced: then no more is done in its name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crewcall_operator.api.pool import Pool
from crewcall_operator.core.crew import threads_told
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.estimate import estimate
from crewcall_operator.core.leadership import Leadership
from crewcall_operator.core.leaving import leaving, remaining
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Fleet, Observation
from crewcall_operator.core.policy import Mode, pinned
from crewcall_operator.core.schedule import in_force
from crewcall_operator.errors import QueueUnavailable, TargetUnavailable
from crewcall_operator.foreman import Foreman, plan_for, without_orders
from crewcall_operator.manning import manned
from crewcall_operator.ports import Clock, Report, Scaler
from crewcall_operator.rest import Rest
from crewcall_operator.roster import Roster

#: Seconds for which what was seen is acted on: a target that takes longer to answer is scaled by the next look.
SEEN_FOR = 2.0


@dataclass(frozen=True, slots=True)
class Turn:
    """`wall_clock` tells seconds since the epoch, for schedules. `startup` is for how long, in seconds, a replica is
    thought to start until that was seen. Without the `leadership` nothing is done but looking and deciding.
    """

    scaler: Scaler
    foreman: Foreman
    roster: Roster
    rest: Rest
    clock: Clock
    wall_clock: Clock
    leadership: Leadership
    startup: float

    async def take(self, pool: Pool, answer: Observation | QueueUnavailable) -> Report:
        """Do what `answer` calls for. Does not raise what ports are known to raise: the report tells of it."""
        now = self.clock()
        observed, unavailable = (answer, None) if isinstance(answer, Observation) else (None, answer)
        unread = () if observed is None else observed.unread
        report = Report(pool, now, observed, unavailable, hindered=unread)
        fleet: Fleet | None
        try:
            fleet = await self.scaler.ensure(pool)
        except TargetUnavailable as error:
            report = replace(report, failure=error)
            fleet = error.fleet
        if fleet is None:
            if observed is not None and self.leadership() > 0:
                await self.foreman.let_work(pool, observed.orders)
            return report
        memory = self._recalled(pool, fleet, observed, now)
        staff = remaining(fleet, leaving(fleet, observed))
        observed = manned(pool, staff, observed, memory, now)
        schedule = in_force(pool.policy.schedules, self.wall_clock())
        if observed is not None:
            memory = memory.working(observed, now)  # once, for the decision and all that is remembered of it
        decision = decide(pinned(pool.policy, memory.pin), observed, staff.current, memory, now, schedule)
        steps = plan_for(pool, fleet, observed, memory, decision.replicas, now)
        report = replace(report, observation=observed, fleet=fleet, decision=decision, plan=steps, pin=memory.pin)
        memory = remember(pool.policy, memory, observed, decision, now)
        report = replace(report, flow=memory.flow, estimate=estimate(pool.policy, observed, memory))
        self.roster.keep(pool, memory)
        if not self.leadership() > 0:
            return report  # whoever leads does it
        # The orders first: a drained worker that is needed again is sooner at work than a new one.
        report = await self._ordered(pool, fleet, report)
        try:
            report = replace(report, applied=await self._apply(pool, fleet, report))
        except TargetUnavailable as error:
            report = replace(report, failure=error)
        if observed is not None:
            recovered, trouble = await self.foreman.recover(pool, fleet, observed)
            report = replace(report, recovered=recovered, hindered=(*report.hindered, *trouble))
        return report

    def _recalled(self, pool: Pool, fleet: Fleet, observed: Observation | None, now: float) -> Memory:
        memory = self.roster.memory(pool) or Memory.beginning(now, fleet.current, self.startup)
        memory = self.rest.rested(pool, memory)
        window = pool.policy.behavior.longest_window
        if now - memory.looked_at > self.roster.patience:
            memory = memory.resuming(fleet.current, now, window)
        if others := self.roster.changed_by_others(pool, fleet.current, leads=self.leadership() > 0):
            memory = memory.changing(others, now).trusting(fleet.current, now, window)
        if observed is None:
            return memory
        memory = memory.standing(observed.orders | leaving(fleet, observed), now).pinning(observed)
        if not observed.knows_workers:
            return replace(memory, startups=memory.startups.losing_sight())
        with_worker = frozenset(worker.pod for worker in observed.workers)
        startups = memory.startups.seeing(fleet.pods or (), with_worker, now)
        return replace(memory.hearing(threads_told(observed.workers)), startups=startups)

    async def _ordered(self, pool: Pool, fleet: Fleet, report: Report) -> Report:
        memory = self.roster.memory(pool)
        if report.plan is None or memory is None or not self.roster.is_current(pool):
            return report
        try:
            memory = await self.foreman.order(pool, report.plan, memory)
        except QueueUnavailable as error:
            words = f"orders could not be written: {error}"
            steps = without_orders(report.plan, fleet.current)
            return replace(report, plan=steps, unordered=error, hindered=(*report.hindered, words))
        self.roster.keep(pool, memory)
        known = self.roster.get(pool.key)
        if known is None or (known.uid, known.redis) != (pool.uid, pool.redis):
            await self.foreman.let_work(pool, memory.orders)  # nobody will withdraw what was still being said
        return report

    async def _apply(self, pool: Pool, fleet: Fleet, report: Report) -> bool:
        replicas = report.replicas
        if replicas is None or replicas == fleet.current or pool.policy.mode is not Mode.AUTO:
            return False
        if not self.roster.is_current(pool) or self.clock() - report.at > SEEN_FOR:
            return False
        await self.scaler.scale(pool, replicas, report.plan.remove if report.plan is not None else ())
        self.roster.note_change(pool, replicas - fleet.current, self.clock())
        return True
