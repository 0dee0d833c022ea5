"""Schedules: times in which a pool keeps more replicas than its minReplicas, whatever its backlog.

Pure: the moment is an argument, in seconds since the epoch (UTC). A schedule is in force while the last start is later
than the last end, so that windows over midnight or over a weekend need no rule of their own.

Cron expressions are `cronsim`'s, which does with clock changes what Debian's cron does (docs/adr/0023): a fixed time
that is left out comes when the clock has jumped, one that comes twice counts the first time. Whether an expression and
a time zone can be read at all is seen to by `api.schedules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: Going back, cronsim loses the first half of an hour that comes twice, so one goes back beyond that hour and on from
#: there. No clock is set back by more.
BEYOND_CLOCK_CHANGE = timedelta(hours=3)

GREENWICH = ZoneInfo("UTC")

#: Answers kept: each holds for a minute, and is the same for all pools with the same times.
KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """At least `min_replicas` from `start` to `end`, both cron expressions on the clocks of `timezone`."""

    name: str
    start: str
    end: str
    min_replicas: int
    timezone: ZoneInfo = GREENWICH

    def is_in_force(self, unix: float) -> bool:
        """Whether `unix` lies within it; its first minute does, the one in which it ends does not."""
        return _is_within(self.start, self.end, self.timezone, int(unix // 60))


def in_force(schedules: Iterable[Schedule], unix: float) -> Schedule | None:
    """The one that asks for most at `unix`, the first of them where several do; None where there is none."""
    return max((it for it in schedules if it.is_in_force(unix)), key=lambda it: it.min_replicas, default=None)


def last_before(expression: str, moment: datetime) -> datetime:
    """When the expression was last due up to `moment`, on its time zone's clocks.

    It was: cronsim takes no days that no month has, and looks back 50 years. The rarest, a 29 February on one day of
    the week, comes every 40 years or sooner.
    """
    begin = next(CronSim(expression, moment - BEYOND_CLOCK_CHANGE, reverse=True))
    until = moment.astimezone(UTC)
    *_, last = (begin, *takewhile(lambda due: due.astimezone(UTC) <= until, CronSim(expression, begin)))
    return last.astimezone(UTC)


@lru_cache(maxsize=KEPT)
def _is_within(start: str, end: str, timezone: ZoneInfo, minute: int) -> bool:
    # Expressions name minutes, so that the answer is the same for all of this one.
    moment = datetime.fromtimestamp(minute * 60, timezone)
    return last_before(start, moment) > last_before(end, moment)
