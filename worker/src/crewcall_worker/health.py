"""Whether a worker is well: a hung one is told from a busy one, and from one whose Redis is away.

A job may take as long as it likes; what must go round is the presence, the steward where there is something for it to
do, and the consumers unless they wait for Redis. No thread that runs jobs may have died.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from crewcall_worker.intake import Intake
from crewcall_worker.presence import Presence
from crewcall_worker.steward import Steward

HUNG_AFTER = 60.0
"""Seconds. One look may take half of it: four tries of 5 s each while a node is lost, and what is between them."""
REDIS_IS_AWAY_AFTER = 3.0


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes ask of one worker; the answers are in words, empty where all is well."""

    intake: Intake
    presence: Presence
    steward: Steward
    steady: Callable[[], float] = time.monotonic

    def is_hung(self) -> str:
        """What has stood still for too long."""
        now = self.steady()
        if now - self.presence.looked_at > HUNG_AFTER:
            return f"the presence has stood still for {now - self.presence.looked_at:.0f} s"
        asked_at = self.steward.unattended_since
        if asked_at is not None and now - asked_at > HUNG_AFTER:
            return f"the worker has not done what it was asked to for {now - asked_at:.0f} s"
        if lost := self.intake.lost_threads():
            return f"{lost} of the threads that run jobs have died; the log says of what"
        if now - self.intake.seen_at > REDIS_IS_AWAY_AFTER:
            return ""  # consumers wait for Redis then, and a restart would only cut off the jobs that run
        for queue, consumer in list(self.intake.consumers.items()):
            if now - consumer.looked_at > HUNG_AFTER:
                return f"the consumer of {queue} has stood still for {now - consumer.looked_at:.0f} s"
        return ""

    def is_starting(self) -> str:
        """What is not there yet."""
        return self.is_hung() or ("" if self.presence.is_known else "Redis has not taken this worker's record yet")
