"""Workers and the queue: what happens to jobs, as Dramatiq and its workers do it.

Jobs are numbers into the trace. Counters are kept as workers keep them: the time of jobs that still run counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from crewcall_operator.simulation.agenda import Agenda, Event
from crewcall_operator.simulation.replicas import Phase, Replica, Room
from crewcall_operator.simulation.setting import Setting

_UNLIMITED = 1 << 60


class Workers:
    """The queue and who works on it. `chance` gives numbers in [0, 1). `drains` is as in `Care`."""

    def __init__(
        self, services: Sequence[float], setting: Setting, agenda: Agenda, chance: Callable[[], float], *, drains: bool
    ) -> None:
        self._drains = drains
        self._services = services
        self._agenda = agenda
        self._chance = chance
        self._threads = setting.threads
        self._capacity = setting.threads + setting.prefetch
        self._downstream_free = _UNLIMITED if setting.downstream is None else setting.downstream
        self._downstream: deque[tuple[int, Replica]] = deque()
        self._room = Room()
        self._counted_from_zero = 0.0  # thread-seconds, had every running job begun at 0
        self.began: list[float | None] = [None] * len(services)
        self.queue: deque[int] = deque()
        self.due: deque[int] = deque()
        self.is_out = False
        self.arrived = self.started = self.done = self.running = 0
        self.strays = 0  # jobs that dead replicas held
        self.busy_until = 0.0  # when all that has begun is done, had nothing been cut off

    @property
    def busy(self) -> float:
        """Thread-seconds spent on jobs by now."""
        return self._counted_from_zero + self.running * self._agenda.now

    def arrive(self, job: int, *, is_stuck: bool) -> None:
        """A job is ready; where it `is_stuck`, it was delayed, and there is no worker to move it to its queue."""
        self.arrived += 1
        if is_stuck:
            self.due.append(job)
        elif not self.is_out and len(self._room):
            self._take(job, self._room.pick(self._chance()))
        else:
            self.queue.append(job)

    def end(self, job: int, replica: Replica) -> None:
        """A job is done."""
        del replica.running[job]
        self.done += 1
        self.running -= 1
        self.busy_until = max(self.busy_until, self._agenda.now)  # later than expected, where a downstream is full
        self._counted_from_zero += self._agenda.now
        self._downstream_free += 1
        if self._downstream:
            self._let_downstream()
        if replica.phase is Phase.WORKING:
            if replica.held:
                self._start(replica.held.popleft(), replica)
            self.fill(replica)
        elif replica.running and not self._drains:
            self.fill(replica)

    def join(self, replica: Replica) -> None:
        """A replica begins to work, and moves what is due."""
        self.queue.extend(self.due)
        self.due.clear()
        self.fill(replica)

    def fill(self, replica: Replica) -> None:
        """A replica that may have room fetches as much as there is, or waits for more."""
        queue = self.queue
        while len(replica.running) + len(replica.held) < self._capacity:
            if not queue or self.is_out:
                self._room.add(replica)
                return
            self._place(queue.popleft(), replica)
        self._room.remove(replica)

    def give_back(self, replica: Replica) -> None:
        """It fetches no more, and what it has not begun goes back in its order.

        To the head of the queue, by Crewcall's workers; Dramatiq puts it at the tail (its dispatch.lua: requeue).
        """
        self._room.remove(replica)
        if self._drains:
            self.queue.extendleft(reversed(replica.held))
        else:
            self.queue.extend(replica.held)
        replica.held.clear()
        self._offer()

    def lose(self, replica: Replica) -> list[int]:
        """A replica dies: the jobs that it held, which are nobody's until they `come_back`."""
        lost = [*replica.running, *replica.held]
        waiting = {job for job, holder in self._downstream if holder is replica}
        self.running -= len(replica.running)
        self._counted_from_zero += self._agenda.now * len(replica.running)
        self._downstream_free += len(replica.running.keys() - waiting)
        self.strays += len(lost)
        replica.running.clear()
        replica.held.clear()
        self._room.remove(replica)
        self._let_downstream()
        return lost

    def come_back(self, job: int) -> None:
        """A dead replica's job is in its queue again."""
        self.strays -= 1
        self.queue.append(job)
        self._offer()

    def _offer(self) -> None:
        while self.queue and len(self._room) and not self.is_out:
            self._take(self.queue.popleft(), self._room.pick(self._chance()))

    def _take(self, job: int, replica: Replica) -> None:
        self._place(job, replica)
        if len(replica.running) + len(replica.held) >= self._capacity:
            self._room.remove(replica)

    def _place(self, job: int, replica: Replica) -> None:
        if len(replica.running) < self._threads and replica.phase is Phase.WORKING:
            self._start(job, replica)
        else:
            replica.held.append(job)

    def _start(self, job: int, replica: Replica) -> None:
        now = self._agenda.now
        replica.running[job] = now
        self.started += 1
        self.running += 1
        self._counted_from_zero -= now
        if self.began[job] is None:
            self.began[job] = now
            self.busy_until = max(self.busy_until, now + self._services[job])
        if self._downstream_free:
            self._downstream_free -= 1
            self._agenda.plan(now + self._services[job], Event.END, job, replica)
        else:
            self._downstream.append((job, replica))

    def _let_downstream(self) -> None:
        """There is room in the downstream: the next ones that still run go in."""
        while self._downstream and self._downstream_free:
            job, replica = self._downstream.popleft()
            if job in replica.running:
                self._downstream_free -= 1
                self._agenda.plan(self._agenda.now + self._services[job], Event.END, job, replica)
