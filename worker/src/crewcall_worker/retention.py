"""How long Redis remembers jobs that are over: completed ones by age and number, dead letters by age.

Both are dropped by whoever writes or looks anyway, and completed ones expire with their queue: no job of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crewcall_worker.variables import seconds, whole
from crewcall_worker.wire import ENV_KEEP_COMPLETED, ENV_KEEP_COMPLETED_MOST, ENV_KEEP_DEAD

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """`completed_for` and `dead_for` in seconds; `completed_most` is for each queue."""

    completed_for: float = DAY
    completed_most: int = 1_000
    dead_for: float = 7 * DAY


def retention_from_environment(environment: Mapping[str, str]) -> Retention:
    """What the variables say. Raises `BadSetting`."""
    default = Retention()
    return Retention(
        completed_for=seconds(environment, ENV_KEEP_COMPLETED, default.completed_for, "such as 86400", at_least=1.0),
        completed_most=whole(environment, ENV_KEEP_COMPLETED_MOST, default.completed_most, 1, 100_000),
        dead_for=seconds(environment, ENV_KEEP_DEAD, default.dead_for, "such as 604800", at_least=1.0),
    )
