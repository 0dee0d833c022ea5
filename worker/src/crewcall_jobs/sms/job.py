"""`sms.send`: one text message. Three retries, with exponential backoff and jitter; a provider's Retry-After is
heeded."""

from __future__ import annotations

from crewcall_jobs.sms.payload import Sms
from crewcall_worker.queues import Backoff, JobContext, job


@job("sms.send", queue="sms", retries=Backoff(retries=3), stalled_after=60, time_limit=120, concurrency=5)
def send_sms(payload: Sms, context: JobContext) -> None:
    """Hand it to the provider, once."""
    from crewcall_jobs.composition import services  # when it runs: who only enqueues needs none of it
    from crewcall_jobs.delivering import deliver_once

    of = services()
    deliver_once(
        of.deliveries,
        context,
        "sms",
        lambda: of.sms.send(payload.to, payload.text, payload.sender, context.id),
        of.clock,
    )
