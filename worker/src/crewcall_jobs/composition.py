"""What the jobs work with, put together: once for a process, by the first job that runs.

`compose` makes it of settings, and is all that a test needs; `services` is what the jobs ask, and the only one that
reads the environment.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from crewcall_jobs.alerts.dispatching import Channels
from crewcall_jobs.alerts.job import dispatch_alert
from crewcall_jobs.alerts.payload import Alert
from crewcall_jobs.alerts.webhook import Webhooks
from crewcall_jobs.email.smtp import Mailer, NoMailer, Smtp
from crewcall_jobs.rules.checking import AlertQueue, Checker
from crewcall_jobs.settings import ENV_DATABASE_URL, JobSettings, from_environment
from crewcall_jobs.sms.provider import HttpProvider, NoProvider, SmsProvider
from crewcall_jobs.storage.database import Database, open_database
from crewcall_jobs.storage.deliveries import Deliveries
from crewcall_jobs.storage.housekeeping import Housekeeping
from crewcall_jobs.storage.snapshots import Snapshots
from crewcall_jobs.templates import Templates
from crewcall_jobs.web.browser import Chromium
from crewcall_jobs.web.client import Web
from crewcall_worker.queues import Reject
from crewcall_worker.queues.service import QueueService

PROVIDER_TIMEOUT: Final = 20.0  # seconds
PROVIDER_MOST_BYTES: Final = 1_000_000

Clock = Callable[[], datetime]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """All that the jobs work with."""

    database: Database
    deliveries: Deliveries
    snapshots: Snapshots
    templates: Templates
    mailer: Mailer
    sms: SmsProvider
    channels: Channels
    checker: Checker
    housekeeping: Housekeeping
    clock: Clock


def compose(settings: JobSettings, raise_alert: AlertQueue, clock: Clock) -> Services:
    """Put it together. Raises `BadSetting`, `StorageUnavailable`."""
    database = open_database(settings.database_url)
    deliveries, snapshots = Deliveries(database), Snapshots(database)
    templates = Templates(settings.templates)
    web = Web(settings.web.timeout, settings.web.most_bytes, settings.web.allowed, settings.web.ca)
    mailer = Smtp(settings.smtp, clock) if settings.smtp else NoMailer()
    sms: SmsProvider = NoProvider()
    if settings.sms:  # its address is ours, not a customer's
        to_provider = Web(PROVIDER_TIMEOUT, PROVIDER_MOST_BYTES, None, settings.web.ca)
        sms = HttpProvider(settings.sms, to_provider, clock)
    return Services(
        database=database,
        deliveries=deliveries,
        snapshots=snapshots,
        templates=templates,
        mailer=mailer,
        sms=sms,
        channels=Channels(mailer, Webhooks(settings.webhook_secrets, web, clock), sms, templates),
        checker=Checker(web, Chromium(settings.web), snapshots, raise_alert, clock),
        housekeeping=Housekeeping((deliveries.forget, snapshots.forget), settings.keep_days),
        clock=clock,
    )


class AlertJobs:
    """Enqueues alerts as jobs, as any application does."""

    def __init__(self, queues: QueueService) -> None:
        self._queues = queues

    def __call__(self, alert: Alert) -> str:
        if not self._queues.enabled:
            raise Reject("an alert is to be raised, but there is no Redis: set REDIS_URL")
        return self._queues.enqueue(dispatch_alert, alert).id


_lock = threading.Lock()
_made: list[Services] = []


def services() -> Services:
    """This process's own, of its environment. Raises `BadSetting`, `StorageUnavailable`; the next job tries again
    then."""
    with _lock:
        if not _made:
            settings = from_environment(os.environ)
            made = compose(settings, AlertJobs(QueueService.from_environment()), lambda: datetime.now(UTC))
            if made.database.is_file:
                log.warning(
                    "Results are kept in %s: enough for one worker. For more, name a PostgreSQL in %s",
                    made.database.where,
                    ENV_DATABASE_URL,
                )
            _made.append(made)
    made = _made[0]
    made.housekeeping.see_to_it(made.clock())
    return made
