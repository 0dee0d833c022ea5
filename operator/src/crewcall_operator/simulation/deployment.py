"""The Deployment: how replicas come and go when their number changes, and what they cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from crewcall_operator.simulation.agenda import Agenda, Event
from crewcall_operator.simulation.ports import Autoscaler
from crewcall_operator.simulation.replicas import Phase, Replica
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.workers import Workers

#: Start-ups that an autoscaler can look back on.
STARTUPS_KEPT = 20

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
        self._autoscaler = autoscaler
        self._agenda = agenda
        self._chance = chance
        self._paid_until = 0.0
        self.replicas: list[Replica] = []
        self.startups: deque[float] = deque(maxlen=STARTUPS_KEPT)
        self.asked = 0
        self.paid = 0.0
        self.interrupted = 0
        for at in setting.kills:
            agenda.plan(at, Event.KILL)

    @property
    def working(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.phase is Phase.WORKING]

    def begin(self, replicas: int) -> None:
        """Have so many at work from the start."""
        self.scale(replicas)
        for replica in self.replicas:
            replica.phase = Phase.WORKING
            self._workers.join(replica)

    def scale(self, wanted: int) -> None:
        """As the Deployment does it when it is told of another number of replicas."""
        if wanted == self.asked == len(self.replicas) and Phase.DRAINING not in {it.phase for it in self.replicas}:
            return
        self.asked = wanted
        serving = [it for it in self.replicas if it.phase is not Phase.DRAINING]
        missing = wanted - len(serving)
        if missing > 0 and self._autoscaler.drains:
            missing -= self._call_back(missing)
        for _ in range(missing):
            self._call_one()
        if missing < 0:
            self._send_home(serving, -missing)

    def become_ready(self, replica: Replica) -> None:
        if replica.phase is Phase.STARTING:
            replica.phase = Phase.WORKING
            self.startups.append(self._agenda.now - replica.asked_at)
            self._workers.join(replica)

    def end_drain(self, replica: Replica) -> None:
        """It runs nothing any more: what it still holds goes back, and it is gone."""
        self._workers.give_back(replica)
        self._remove(replica)

    def cut_off(self, replica: Replica) -> None:
        """It drained for longer than it may."""
        self.interrupted += len(replica.running)
        self._kill(replica)

    def _kill(self, replica: Replica) -> None:
        """It is gone at once; its jobs come back later."""
        for job in self._workers.lose(replica):
            self._agenda.plan(self._agenda.now + self._autoscaler.recovery, Event.RETURN, job)
        self._remove(replica)

    def kill_any(self) -> None:
        """One that works dies, and the Deployment replaces it."""
        if working := self.working:
            self._kill(working[int(self._chance() * len(working))])
            self._call_one()

    def return_job(self, job: int) -> None:
        """A dead replica's job goes back to its queue, once somebody is there who does that."""
        if self._workers.is_out or not (self._autoscaler.drains or self.working):
            self._agenda.plan(self._agenda.now + TRIED_AGAIN, Event.RETURN, job)
        else:
            self._workers.come_back(job)

    def pay(self) -> None:
        """Add up what is owed until now; before every change of the replicas there are."""
        now = self._agenda.now
        self.paid += len(self.replicas) * (now - self._paid_until)
        self._paid_until = now

    def _call_back(self, missing: int) -> int:
        """Have replicas that drain go on. Those with the most to finish first: they would stay the longest anyway."""
        draining = [it for it in self.replicas if it.phase is Phase.DRAINING]
        back = sorted(draining, key=lambda it: it.loss(self._agenda.now), reverse=True)[:missing]
        for replica in back:
            replica.phase = Phase.WORKING
            self._workers.fill(replica)
        return len(back)

    def _call_one(self) -> None:
        self.pay()
        setting, now = self._setting, self._agenda.now
        shift = setting.startup_shift
        startup = shift[1] if shift is not None and now >= shift[0] else setting.startup
        replica = Replica(now, now + startup * (1.0 + setting.startup_jitter * (2.0 * self._chance() - 1.0)))
        self.replicas.append(replica)
        self._agenda.plan(replica.ready_at, Event.READY, replica=replica)

    def _send_home(self, serving: list[Replica], count: int) -> None:
        drains = self._autoscaler.drains
        # A plain Deployment lets those go first that are not ready, then those ready for the shortest time
        # (kubernetes/pkg/controller/controller_utils.go, ActivePodsWithRanks).
        for replica in sorted(serving, key=lambda it: it.loss(self._agenda.now) if drains else it.youth)[:count]:
            was_starting, replica.phase = replica.phase is Phase.STARTING, Phase.DRAINING
            self._workers.leave(replica)
            if drains:
                self._workers.give_back(replica)
            if was_starting or not (replica.running or replica.held):
                self.end_drain(replica)
            elif not drains:
                self._agenda.plan(self._agenda.now + self._autoscaler.grace, Event.GRACE_OVER, replica=replica)

    def _remove(self, replica: Replica) -> None:
        self.pay()
        replica.phase = Phase.GONE
        self.replicas.remove(replica)
