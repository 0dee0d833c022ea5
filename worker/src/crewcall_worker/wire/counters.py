"""What is counted of a queue, and the histogram of its jobs' waiting times."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

WAIT_BUCKETS_MS: Final = (
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    60_000,
    120_000,
    300_000,
    600_000,
)
"""Upper ends of the histogram of waiting times; `wait_le_inf` holds the rest. Each job counts in one bucket."""


class Counter(StrEnum):
    """The fields of `stats:<queue>`; beside them `wait_field(...)` for each bucket. All only ever rise."""

    ENQUEUED = "enqueued"
    """Jobs that became ready: sent without a delay, or due after one. A retry is one more."""
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    """Jobs that failed for good; also those that never started, being too old or of an actor that nobody knows."""
    RETRIED = "retried"
    """Jobs that failed and will run again."""
    POSTPONED = "postponed"
    """Jobs that were fetched before their rate limit let them start: they are delayed, and become ready once more."""
    REPEATED = "repeated"
    """Typed jobs that were done once more, as far as Redis remembers the first time: their worker died, or was taken
    for dead, before they were acknowledged."""
    BUSY_MS = "busy_ms"
    """Time that threads spent on jobs, also on those that are not finished yet."""
    WAIT_MS_SUM = "wait_ms_sum"
    """From `ready_at` to the start, of all jobs that have a `ready_at`."""


def wait_field(bucket_ms: int | None) -> str:
    """The counter of jobs that waited up to `bucket_ms` and longer than the bucket before; None: the last bucket."""
    return f"wait_le_{'inf' if bucket_ms is None else bucket_ms}"


def wait_bucket(wait_ms: float) -> int | None:
    """The bucket that a waiting time belongs to."""
    return next((bucket for bucket in WAIT_BUCKETS_MS if wait_ms <= bucket), None)
