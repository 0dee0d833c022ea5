"""An alert to all of its channels, each by itself: one that fails holds none of the others up.

There is a record for each channel. A later try delivers to those that have not got it; one that refused for good is
left alone, until somebody retries the whole job by hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from crewcall_jobs.alerts import wording
from crewcall_jobs.alerts.payload import Alert, EmailChannel, SmsChannel, WebhookChannel
from crewcall_jobs.alerts.webhook import Webhooks
from crewcall_jobs.delivering import deliver
from crewcall_jobs.email.smtp import Mailer
from crewcall_jobs.sms.provider import SmsProvider
from crewcall_jobs.storage.database import StorageUnavailable
from crewcall_jobs.storage.deliveries import Deliveries, Delivery, Status
from crewcall_jobs.templates import Templates
from crewcall_worker.queues import JobContext, Reject, TryAgain

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Channels:
    """Who delivers, for each kind of channel."""

    mailer: Mailer
    webhooks: Webhooks
    sms: SmsProvider
    templates: Templates


def dispatch(
    alert: Alert, context: JobContext, channels: Channels, book: Deliveries, clock: Callable[[], datetime]
) -> None:
    """Deliver to each channel that has not got it. Raises `TryAgain` where one is to be tried again, `Reject`
    where none is, but one has refused; and `StorageUnavailable`."""
    known = book.of(context.id)
    refused: list[str] = []
    failed: list[str] = []
    after: list[float] = []
    for number, channel in enumerate(alert.channels):
        before = known.get(number)
        if before is not None and before.status is Status.REFUSED and context.attempt > 1:
            refused.append(_told(before))
            continue
        send = _sender(alert, channel, f"{context.id}-{number}", channels)
        try:
            deliver(book, context, number, channel.kind, before, send, clock)
        except StorageUnavailable:
            raise  # what is not noted would be sent again
        except Reject as error:
            refused.append(f"{channel.kind} {number}: {error}")
        except TryAgain as error:
            failed.append(f"{channel.kind} {number}: {error}")
            after.append(error.after)
        except Exception as error:
            # A defect of ours. It holds none of the others up either, and is told as what it is.
            log.exception("%s %d of job %s was not delivered", channel.kind, number, context.id)
            failed.append(f"{channel.kind} {number}: {type(error).__name__}")
            after.append(0.0)
    if failed:
        what = f"{len(failed)} of {len(alert.channels)} channels to be tried again: {'; '.join(failed)}"
        # The one that is ready first: the others answer as they do, and are tried with it.
        raise TryAgain(what, after=min(after))
    if refused:
        raise Reject(f"{len(refused)} of {len(alert.channels)} channels refused: {'; '.join(refused)}")


def _told(delivery: Delivery) -> str:
    return f"{delivery.kind} {delivery.channel}: {delivery.error}"


def _sender(
    alert: Alert, channel: EmailChannel | WebhookChannel | SmsChannel, key: str, of: Channels
) -> Callable[[], str]:
    match channel:
        case EmailChannel():
            return lambda: of.mailer.send(wording.mail(alert, channel.to, of.templates), key)
        case SmsChannel():
            return lambda: of.sms.send(channel.to, wording.text_message(alert, of.templates), "", key)
        case WebhookChannel():
            return lambda: of.webhooks.post(channel.url, alert.organization_id, wording.webhook_body(alert), key)
