"""The world: one pass over a trace under one autoscaler, event by event.

Everything random comes from the setting's seed: the same trace, setting and autoscaler give the same outcome. What an
autoscaler may know is in its `Look`; how good it was is for `score` to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import heappop
from random import Random

from crewcall_operator.simulation.agenda import Agenda, Event
from crewcall_operator.simulation.deployment import Deployment
from crewcall_operator.simulation.outcome import Change, Outcome
from crewcall_operator.simulation.ports import Autoscaler, Look
from crewcall_operator.simulation.replicas import Phase, Replica
from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace
from crewcall_operator.simulation.workers import Workers

#: Seconds without an arrival, an end, or a job that should still run, after which what is not done yet is given up:
#: such jobs never start, or are cut off each time.
GIVEN_UP_AFTER = 3600.0

#: Seconds before their time from which on delayed jobs can be seen one by one.
SEEN_AHEAD = 60.0


def simulate(trace: Trace, setting: Setting, autoscaler: Autoscaler) -> Outcome:
    """Run the whole trace, until every job is done."""
    return World(trace, setting, autoscaler).run()


class World:
    """The state between two events."""

    def __init__(self, trace: Trace, setting: Setting, autoscaler: Autoscaler) -> None:
        chance = Random(setting.seed).random
        self._autoscaler = autoscaler
        self._ready_at = _held_up(trace.arrivals, setting)
        self._announced = trace.announced
        self._known = 0  # delayed jobs that were announced by now
        self._agenda = Agenda()
        self._workers = Workers(trace.services, setting, self._agenda, chance, drains=autoscaler.care.drains)
        self._deployment = Deployment(self._workers, setting, autoscaler, self._agenda, chance)
        self._changes: list[Change] = []
        for span in setting.outages:
            self._agenda.plan(span.start, Event.OUT)
            self._agenda.plan(span.end, Event.BACK)

    def run(self) -> Outcome:
        """Until every job is done, or given up."""
        agenda, workers = self._agenda, self._workers
        heap, ready_at, jobs = agenda.heap, self._ready_at, len(self._ready_at)
        interval, look_at, arrival, looks = self._autoscaler.interval, 0.0, 0, 0
        self._deployment.begin(self._autoscaler.least)
        while workers.done < jobs:
            next_arrival = ready_at[arrival] if arrival < jobs else math.inf
            next_event = heap[0][0] if heap else math.inf
            if next_arrival <= next_event and next_arrival <= look_at:
                agenda.now = next_arrival
                workers.arrive(arrival, is_stuck=bool(self._announced) and not self._deployment.working)
                arrival += 1
            elif next_event <= look_at:
                agenda.now, _, event, job, replica = heappop(heap)
                if event is not Event.END:
                    self._happen(event, job, replica)
                elif replica is not None and job in replica.running:
                    workers.end(job, replica)
                    if replica.phase is Phase.DRAINING and not replica.running:
                        self._deployment.end_drain(replica)
            else:
                agenda.now = look_at
                if look_at > max(ready_at[-1], workers.busy_until) + GIVEN_UP_AFTER:
                    break
                self._look()
                looks += 1
                look_at = looks * interval  # a sum would drift
        return self._outcome()

    def _happen(self, event: Event, job: int, replica: Replica | None) -> None:
        deployment = self._deployment
        if event is Event.READY and replica is not None:
            deployment.become_ready(replica)
        elif event is Event.GRACE_OVER and replica is not None and replica.phase is Phase.DRAINING:
            deployment.cut_off(replica)
        elif event is Event.RETURN:
            deployment.return_job(job)
        elif event is Event.KILL:
            deployment.kill_any()
        elif event is Event.OUT:
            self._workers.is_out = True
        elif event is Event.BACK:
            self._workers.is_out = False
            for fetching in deployment.fetching:
                self._workers.fill(fetching)

    def _look(self) -> None:
        self._deployment.scale(self._autoscaler.wanted(self._seen()))
        self._note()

    def _note(self) -> None:
        asked, alive = self._deployment.asked, len(self._deployment.replicas)
        last = self._changes[-1] if self._changes else None
        if last is None or last.asked != asked or last.alive != alive:
            self._changes.append(Change(self._agenda.now, asked, alive))

    def _seen(self) -> Look:
        now, workers, deployment = self._agenda.now, self._workers, self._deployment
        starting = draining = held = 0
        for replica in deployment.replicas:
            held += len(replica.held)
            if replica.phase is not Phase.WORKING:
                starting += replica.phase is Phase.STARTING
                draining += replica.phase is Phase.DRAINING
        delayed, due_in = self._delayed() if self._announced else (0, ())
        return Look(
            at=now,
            ready=len(workers.queue),
            held=workers.running + workers.strays + held,
            running=workers.running,
            delayed=delayed,
            due=len(workers.due),
            due_in=due_in,
            asked=deployment.asked,
            working=len(deployment.replicas) - starting,
            draining=draining,
            starting=starting,
            arrived=workers.arrived,
            started=workers.started,
            done=workers.done,
            busy=workers.busy,
            startups=deployment.startups,
            is_blind=workers.is_out,
        )

    def _delayed(self) -> tuple[int, tuple[float, ...]]:
        """How many jobs are not due yet, and in how many seconds the next ones are."""
        now, arrived = self._agenda.now, self._workers.arrived
        while self._known < len(self._announced) and self._announced[self._known] <= now:
            self._known += 1
        coming = self._ready_at[arrived : max(arrived, self._known)]
        return len(coming), tuple(at - now for at in coming if at <= now + SEEN_AHEAD)

    def _outcome(self) -> Outcome:
        self._deployment.pay()
        self._note()
        workers = self._workers
        return Outcome(
            waits=[_wait(began, ready) for began, ready in zip(workers.began, self._ready_at, strict=True)],
            replica_seconds=self._deployment.paid,
            changes=self._changes,
            ended_at=self._agenda.now,
            interrupted=self._deployment.interrupted,
            events=workers.arrived + workers.started + workers.done,
        )


def _held_up(arrivals: Sequence[float], setting: Setting) -> list[float]:
    """When each job becomes ready: what is sent while Redis is away arrives when it is back."""
    ready_at = list(arrivals)
    for span in setting.outages:
        ready_at = [span.end if span.start <= at < span.end else at for at in ready_at]
    return ready_at


def _wait(began: float | None, ready_at: float) -> float:
    return math.inf if began is None else began - ready_at
