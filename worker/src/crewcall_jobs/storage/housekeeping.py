"""Old records go: once an hour in each worker, with whatever job comes first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from crewcall_jobs.storage.database import StorageUnavailable

EVERY: Final = timedelta(hours=1)

log = logging.getLogger(__name__)


class Housekeeping:
    """Has what is older than `keep_days` deleted, by each of `forgetting`, which answers how much it was."""

    def __init__(self, forgetting: Sequence[Callable[[datetime], int]], keep_days: int) -> None:
        self._forgetting, self._kept_for = forgetting, timedelta(days=keep_days)
        self._lock = threading.Lock()
        self._last: datetime | None = None

    def see_to_it(self, now: datetime) -> None:
        """Do it, if an hour has passed since it was done. No job fails for it."""
        with self._lock:
            if self._last is not None and now - self._last < EVERY:
                return
            self._last = now
        try:
            gone = sum(forget(now - self._kept_for) for forget in self._forgetting)
        except StorageUnavailable as error:
            log.warning("Old records stay for another hour: %s", error)
            return
        if gone:
            log.info("Deleted %d records that were older than %d days", gone, self._kept_for.days)
