"""Bounds: what a schedule would cost that knows the future, to measure all others by.

`total_work` is the time that threads are busy, packed without a gap: nothing that does all jobs costs less.
`zero_wait` starts each job the moment it is ready: as many replicas as the jobs that then run fill, each asked for
one start-up before it is needed, and kept where its next use is nearer than a start-up. Jobs move freely between
replicas and nothing is ever drained, so no real schedule without waiting reaches it; one with waiting may cost less.
"""

from __future__ import annotations

import math

from crewcall_operator.simulation.setting import Setting
from crewcall_operator.simulation.trace import Trace


def total_work(trace: Trace, setting: Setting) -> float:
    """Replica-hours."""
    return sum(trace.services) / setting.threads / 3600


def zero_wait(trace: Trace, setting: Setting) -> float:
    """Replica-hours."""
    moves = [(at, 1) for at in trace.arrivals]
    moves += [(at + service, -1) for at, service in zip(trace.arrivals, trace.services, strict=True)]
    moves.sort()
    startup, busy, needed, paid = setting.startup, 0, 0, 0.0
    ended: list[float] = []  # when each replica was last needed; a stack, as the last one goes first
    began: list[float] = []
    for at, by in moves:
        busy += by
        now_needed = math.ceil(busy / setting.threads)
        while needed < now_needed:
            # A replica whose last use ended less than a start-up ago was kept, the others were let go.
            was = ended[needed] if needed < len(ended) else -math.inf
            if needed == len(ended):
                ended.append(-math.inf)
                began.append(0.0)
            began[needed] = was if at - was < startup else at - startup
            needed += 1
        while needed > now_needed:
            needed -= 1
            paid += at - began[needed]
            ended[needed] = at
    return paid / 3600
