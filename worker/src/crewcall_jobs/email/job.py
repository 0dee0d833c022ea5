"""`email.digest`: one digest to one person. Three retries, with exponential backoff and jitter."""

from __future__ import annotations

from crewcall_jobs.email.payload import Digest
from crewcall_worker.queues import Backoff, JobContext, job


@job(
    "email.digest",
    queue="email",
    retries=Backoff(retries=3, first=15),
    stalled_after=120,
    time_limit=300,
    concurrency=2,
)
def send_digest(payload: Digest, context: JobContext) -> None:
    """Render it and send it, once."""
    from crewcall_jobs.composition import services  # when it runs: who only enqueues needs none of it
    from crewcall_jobs.delivering import deliver_once
    from crewcall_jobs.email.digest import mail_of

    of = services()
    deliver_once(
        of.deliveries, context, "email", lambda: of.mailer.send(mail_of(payload, of.templates), context.id), of.clock
    )
