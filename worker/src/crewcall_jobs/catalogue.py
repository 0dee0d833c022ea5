"""The module that a worker runs: every job type of the catalogue, on the queues sms, email, rules and alerts."""

from __future__ import annotations

import os

from crewcall_jobs import settings
from crewcall_jobs.alerts.job import dispatch_alert
from crewcall_jobs.email.job import send_digest
from crewcall_jobs.rules.job import run_rule
from crewcall_jobs.sms.job import send_sms
from crewcall_worker.errors import NotInstalled

__all__ = ["dispatch_alert", "run_rule", "send_digest", "send_sms"]

# A wrong setting, or a package that is missing, ends the worker at its start, in one line, and not each of its jobs.
try:
    import crewcall_jobs.composition  # noqa: F401  # all that the jobs take is here, or none of them can run
    from crewcall_jobs.storage import database
except ModuleNotFoundError as error:
    raise NotInstalled((error.name or "").partition(".")[0], "jobs") from error
database.check(settings.from_environment(os.environ).database_url)
