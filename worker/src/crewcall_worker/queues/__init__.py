"""Queues for applications: typed jobs, and the service that enqueues them."""

from __future__ import annotations

from crewcall_worker.queues.job import (
    CATALOGUE,
    Dedupe,
    JobContext,
    JobType,
    Priority,
    RateLimit,
    Reject,
    TryAgain,
    job,
)
from crewcall_worker.queues.payload import OrganizationId, Payload
from crewcall_worker.queues.retries import Backoff, FixedDelays, RetryPolicy

__all__ = [
    "CATALOGUE",
    "Backoff",
    "Dedupe",
    "FixedDelays",
    "JobContext",
    "JobType",
    "OrganizationId",
    "Payload",
    "Priority",
    "RateLimit",
    "Reject",
    "RetryPolicy",
    "TryAgain",
    "job",
]
