"""What is seen of a pool that is sized by a promise, in few words: a queue named sms, and replicas of four threads."""

from __future__ import annotations

from dataclasses import replace

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.flow import Flow
from crewcall_operator.core.observation import Observation, QueueState


def crew(
    ready: int = 0, *, pending: int = 0, threads: int = 4, busy: int = 0, startup: float = 10.0, unschedulable: int = 0
) -> Crew:
    return Crew(ready, pending, threads, busy, startup, unschedulable)


PLAIN = replace(crew(2, busy=8), counts=False)
"""Replicas of plain Dramatiq workers, which count nothing; all their threads are busy."""


def counted(
    *,
    ready: int = 0,
    in_flight: int = 0,
    due_soon: int = 0,
    arrived: int = 0,
    ended: int = 0,
    busy: float = 0.0,
    crew: Crew,
) -> Observation:
    """One look, with what workers counted."""
    queue = QueueState(
        "sms", ready=ready, in_flight=in_flight, due_soon=due_soon, counters=Counters(arrived, ended, busy)
    )
    return Observation((queue,), crew=crew)


def flowing(rate: float, service: float, *, seconds: int = 1200, start: float = 0.0) -> Flow:
    """What is known after so many seconds of looks a second apart, of jobs that come and go at `rate`."""
    flow = Flow()
    for second in range(seconds + 1):
        jobs = int(rate * second)
        flow = flow.seeing({"sms": Counters(jobs, jobs, jobs * service)}, start + second)
    return flow
