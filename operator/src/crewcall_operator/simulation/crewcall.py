"""Crewcall in the simulator: the production decision, fed with what its adapters would have read.

Nothing is decided here. What the operator learns from Redis and from the pods is taken from the `Look`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.decide import decide, remember
from crewcall_operator.core.decision import Decision
from crewcall_operator.core.memory import Memory
from crewcall_operator.core.observation import Observation, QueueState
from crewcall_operator.core.policy import Policy
from crewcall_operator.core.startups import Startups
from crewcall_operator.simulation.ports import DRAINED, Care, Look


@dataclass(slots=True)
class Crewcall:
    """`decide` with its memory. `threads` are those of one replica; `last` is the latest decision."""

    policy: Policy
    threads: int
    interval: float = 1.0
    name: str = "crewcall"
    care: Care = DRAINED
    last: Decision | None = None
    _memory: Memory | None = field(default=None)

    @property
    def least(self) -> int:
        return self.policy.min_replicas

    def wanted(self, look: Look) -> int:
        current = look.working + look.starting
        if self._memory is None:
            self._memory = Memory.beginning(look.at, current)
        if look.startups != self._memory.startups.lasted:
            self._memory = replace(self._memory, startups=Startups(lasted=look.startups))
        observed = None if look.is_blind else self._observe(look, self._memory.startups.usual)
        self.last = decide(self.policy, observed, current, self._memory, look.at)
        self._memory = remember(self.policy, self._memory, observed, self.last, look.at)
        if self.last.replicas != current:
            self._memory = self._memory.changing(self.last.replicas - current, look.at)
        return self.last.replicas

    def _observe(self, look: Look, startup: float) -> Observation:
        queue = QueueState(
            name=self.policy.queues[0].name,
            ready=look.ready,
            in_flight=look.held,
            delayed=look.delayed + look.due,
            due=look.due,
            next_due_in=look.due_in[0] if look.due_in else None,
            due_soon=sum(due_in <= startup for due_in in look.due_in),
            # A delayed job is counted by the worker that moves it to its queue.
            counters=Counters(look.arrived - look.due, look.done, look.busy),
        )
        return Observation((queue,), crew=Crew(look.working, look.starting, self.threads, look.running, startup))
