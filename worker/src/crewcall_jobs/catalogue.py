"""The module that a worker runs: every job type of the catalogue, on the queues sms, email, rules and alerts."""

from __future__ import annotations

import os

from crewcall_jobs import settings
from crewcall_jobs.alerts.job import dispatch_alert
from crewcall_jobs.email.job import send_digest
from crewcall_jobs.rules.job import run_rule
from crewcall_jobs.sms.job import send_sms

__all__ = ["dispatch_alert", "run_rule", "send_digest", "send_sms"]

# A wrong setting ends the worker at its start, in one line, and not each of its jobs.
settings.from_environment(os.environ)
