"""`rules.run`: one look at one page. Two retries, after 30 s and 2 min. No host is asked more than once a second."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from crewcall_jobs.rules.payload import Rule
from crewcall_worker.queues import FixedDelays, JobContext, RateLimit, job


def host_of(rule: Rule) -> str:
    """Whom a rule asks, whatever organisation it is of and however it writes the name."""
    host = urlsplit(rule.url).hostname or ""
    with suppress(UnicodeError):  # no name that could be asked: the job will tell
        host = host.encode("idna").decode()
    return host.rstrip(".")


@job(
    "rules.run",
    queue="rules",
    retries=FixedDelays(30, 120),
    rate=RateLimit(limit=1, period=1.0, burst=1, key=host_of),
    stalled_after=90,
    time_limit=180,
    concurrency=5,
)
def run_rule(payload: Rule, context: JobContext) -> None:
    """Look, compare, and raise an alert for what has changed."""
    from crewcall_jobs.composition import services  # when it runs: who only enqueues needs none of it
    from crewcall_jobs.rules.checking import check

    check(payload, context, services().checker)
