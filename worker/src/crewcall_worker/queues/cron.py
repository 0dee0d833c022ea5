"""When a cron expression is due, on the clocks of a time zone. Pure; times in ms since the epoch.

Expressions are `cronsim`'s: five fields as Debian's cron has them, or six, of which the first is seconds. What becomes
of times that a clock change leaves out or brings twice is as in Debian's cron, see docs/adr/0023.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

BEHIND = 200
"""Of the times that follow, how many may lie before the moment all the same: the hour that comes twice, by minutes."""
LATEST_MS = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp()) * 1000


def check(expression: str, timezone: str) -> None:
    """Raises `ValueError` where one of them cannot be read, or the expression is never due."""
    if following(expression, timezone, 0) is None:
        raise ValueError(f"cron is {expression!r}; it is never due. Is there such a day?")


@lru_cache(maxsize=1_000)
def following(expression: str, timezone: str, after_ms: int) -> int | None:
    """The first time after that moment; None where there is none. Raises `ValueError` as `check` does."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone is {timezone!r}; expected one of the tz database, such as Europe/Berlin") from None
    if not 0 <= after_ms < LATEST_MS:
        raise ValueError(f"the time is {after_ms} ms; expected one from 1970 to 9000")
    try:
        times = CronSim(expression, datetime.fromtimestamp(after_ms / 1000, zone))
    except CronSimError as error:
        raise ValueError(
            f"cron is {expression!r}: {error}; expected minute, hour, day of month, month and day of week, such as "
            '"0 8 * * MON-FRI", with seconds before them if need be'
        ) from None
    due = (round(time.astimezone(UTC).timestamp() * 1000) for time in islice(times, BEHIND))
    return next((time_ms for time_ms in due if time_ms > after_ms), None)
