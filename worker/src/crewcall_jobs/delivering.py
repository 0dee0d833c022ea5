"""One delivery on one channel, made once: noted before it is forgotten, and skipped by a later try of the same job.

That it is about to be made is noted as well: a database that takes no notes is found out while nothing has been sent,
and not by somebody who gets the same mail at every try. Between the other side's yes and our note of it a worker may
die, or the database: then the next try delivers again. Whoever can tell a repetition gets what it takes: a key that
stays the same (`JobContext.id`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from crewcall_jobs.shown import shown
from crewcall_jobs.storage.deliveries import Deliveries, Delivery, Status
from crewcall_worker.queues import JobContext, Reject, TryAgain

log = logging.getLogger(__name__)


def deliver_once(
    book: Deliveries, context: JobContext, kind: str, send: Callable[[], str], clock: Callable[[], datetime]
) -> None:
    """Deliver the one thing that a job is for. `send` answers what the other side calls it. Raises what `send`
    raises."""
    deliver(book, context, 0, kind, book.of(context.id).get(0), send, clock)


def deliver(
    book: Deliveries,
    context: JobContext,
    channel: int,
    kind: str,
    known: Delivery | None,
    send: Callable[[], str],
    clock: Callable[[], datetime],
) -> None:
    """The same for one of several channels, of which `known` is known. Raises what `send` raises."""
    if known is not None and known.status is Status.DELIVERED:
        log.info("%s %d of job %s was delivered before, as %s", kind, channel, context.id, known.reference)
        return

    def note(status: Status, reference: str = "", error: str = "") -> None:
        tries = (known.tries if known else 0) + 1
        book.note(
            Delivery(context.id, channel, context.organization_id, kind, status, tries, reference[:255], error, clock())
        )

    if known is not None and known.status is Status.SENDING:
        log.warning(
            "%s %d of job %s may have been delivered before: its last try did not end", kind, channel, context.id
        )
    note(Status.SENDING)
    try:
        reference = send()
    except Reject as error:
        note(Status.REFUSED, error=shown(str(error)))
        log.warning("%s %d of job %s was refused: %s", kind, channel, context.id, error)
        raise
    except TryAgain as error:
        note(Status.FAILED, error=shown(str(error)))
        log.warning("%s %d of job %s was not delivered: %s", kind, channel, context.id, error)
        raise
    note(Status.DELIVERED, shown(reference))
    log.info("%s %d of job %s was delivered, as %s", kind, channel, context.id, reference)
