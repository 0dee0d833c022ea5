"""The Deployment: how replicas come and go when their number changes, and what they cost."""

from __future__ import annotations

from collections.abc import Callable

from crewcall_operator.core.startups import KEPT
from crewcall_operator.core.victims import Plan
from crewcall_operator.simulation.agenda import Agenda, Event
from crewcall_operator.simulation.drain import plan_for
from crewcall_operator.simulation.ports import Autoscaler
from crewcall_operator.simulation.replicas import Phase, Replica
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.workers import Workers

#: Seconds after which it is looked again for somebody who returns the jobs of dead workers.
TRIED_AGAIN = 1.0


class Deployment:
    """`asked` is how many replicas there shall be, `paid` the replica-seconds until the last change.

    `interrupted` jobs were cut off because they took longer than the grace period.
    """

    def __init__(
        self, workers: Workers, setting: Setting, autoscaler: Autoscaler, agenda: Agenda, chance: Callable[[], float]
    ) -> None:
        self._workers = workers
        self._setting = setting
        self._care = autoscaler.care
        self._agenda = agenda
        self._chance = chance
        self._paid_until = 0.0
        self._called = 0
        self.replicas: list[Replica] = []
        self.startups: tuple[float, ...] = ()
        self.asked = 0
        self.paid = 0.0
        self.interrupted = 0
        for at in setting.kills:
            agenda.plan(at, Event.KILL)

    @property
    def working(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.phase is Phase.WORKING]

    @property
    def fetching(self) -> list[Replica]:
        """Plain workers that were told to end go on fetching for as long as they run something."""
        return [it for it in self.replicas if it.phase is Phase.WORKING or (it.running and not self._care.drains)]

    def begin(self, replicas: int) -> None:
        """Have so many at work from the start."""
        self.scale(replicas)
        for replica in self.replicas:
            replica.phase = Phase.WORKING
            self._workers.join(replica)

    def scale(self, wanted: int) -> None:
        """As the Deployment does it when it is told of another number of replicas."""
        if wanted == self.asked == len(self.replicas) and not any(it.phase is Phase.DRAINING for it in self.replicas):
            return
        self.asked = wanted
        serving = [it for it in self.replicas if it.phase is not Phase.DRAINING]
        if self._care.drains and len(serving) != wanted:
            self._carry_out(plan_for(self.replicas, wanted, self._setting.startup, self._agenda.now))
            serving = [it for it in self.replicas if it.phase is not Phase.DRAINING]
        for replica in sorted(serving, key=lambda it: it.youth)[: max(0, len(serving) - wanted)]:
            self._send_home(replica)
        for _ in range(wanted - len(serving)):
            self._call_one()

    def become_ready(self, replica: Replica) -> None:
        if replica.phase is Phase.STARTING:
            replica.phase = Phase.WORKING
            self.startups = (*self.startups, self._agenda.now - replica.asked_at)[-KEPT:]
            self._workers.join(replica)

    def end_drain(self, replica: Replica) -> None:
        """It runs nothing any more: what it has fetched goes back, and it is gone."""
        self._workers.give_back(replica)
        self._remove(replica)

    def cut_off(self, replica: Replica) -> None:
        """It drained for longer than it may."""
        self.interrupted += len(replica.running)
        self._kill(replica)

    def _kill(self, replica: Replica) -> None:
        """It is gone at once; its jobs come back later."""
        for job in self._workers.lose(replica):
            self._agenda.plan(self._agenda.now + self._care.recovery, Event.RETURN, job)
        self._remove(replica)

    def kill_any(self) -> None:
        """One that works dies, and the Deployment replaces it."""
        if working := self.working:
            self._kill(working[int(self._chance() * len(working))])
            self._call_one()

    def return_job(self, job: int) -> None:
        """A dead replica's job goes back to its queue, once somebody is there who does that."""
        if self._workers.is_out or not (self._care.drains or self.working):
            self._agenda.plan(self._agenda.now + TRIED_AGAIN, Event.RETURN, job)
        else:
            self._workers.come_back(job)

    def pay(self) -> None:
        """Add up what is owed until now; before every change of the replicas there are."""
        now = self._agenda.now
        self.paid += len(self.replicas) * (now - self._paid_until)
        self._paid_until = now

    def _carry_out(self, plan: Plan) -> None:
        by_name = {it.name: it for it in self.replicas}
        for replica in (by_name[pod] for pod in plan.kept):
            replica.phase = Phase.WORKING
            self._workers.fill(replica)
        for replica in (by_name[pod] for pod in (*plan.remove, *(order.pod for order in plan.order))):
            self._send_home(replica)

    def _call_one(self) -> None:
        self.pay()
        setting, now = self._setting, self._agenda.now
        shift = setting.startup_shift
        startup = shift[1] if shift is not None and now >= shift[0] else setting.startup
        startup *= 1.0 + setting.startup_jitter * (2.0 * self._chance() - 1.0)
        self._called += 1
        replica = Replica(f"{self._called:06}", now, now + startup)
        self.replicas.append(replica)
        self._agenda.plan(replica.ready_at, Event.READY, replica=replica)

    def _send_home(self, replica: Replica) -> None:
        was_starting, replica.phase = replica.phase is Phase.STARTING, Phase.DRAINING
        replica.ordered_at = self._agenda.now
        if self._care.drains:
            self._workers.give_back(replica)
        if was_starting or not replica.running:
            self.end_drain(replica)
        elif not self._care.drains:
            self._agenda.plan(self._agenda.now + self._care.grace, Event.GRACE_OVER, replica=replica)

    def _remove(self, replica: Replica) -> None:
        self.pay()
        replica.phase = Phase.GONE
        self.replicas.remove(replica)
