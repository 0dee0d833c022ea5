"""Queues for applications: typed jobs, and the service that enqueues them."""

from __future__ import annotations

from crewcall_worker.queues.asynchronous import AsyncQueueService
from crewcall_worker.queues.connection import QueueUnavailable
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
from crewcall_worker.queues.messages import InvalidPayload
from crewcall_worker.queues.payload import OrganizationId, Payload
from crewcall_worker.queues.plans import CatchUp
from crewcall_worker.queues.receipts import Health, NewJob, Outcome, Receipt
from crewcall_worker.queues.retries import Backoff, FixedDelays, RetryPolicy
from crewcall_worker.queues.service import QueueService

__all__ = [
    "CATALOGUE",
    "AsyncQueueService",
    "Backoff",
    "CatchUp",
    "Dedupe",
    "FixedDelays",
    "Health",
    "InvalidPayload",
    "JobContext",
    "JobType",
    "NewJob",
    "OrganizationId",
    "Outcome",
    "Payload",
    "Priority",
    "QueueService",
    "QueueUnavailable",
    "RateLimit",
    "Receipt",
    "Reject",
    "RetryPolicy",
    "TryAgain",
    "job",
]
