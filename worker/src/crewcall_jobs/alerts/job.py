"""`alerts.dispatch`: one alert to all of its channels. Five retries, after 10, 30, 60, 120 and 300 s, for those
channels that have not got it yet; a second one with the same key within five minutes is not enqueued."""

from __future__ import annotations

from crewcall_jobs.alerts.payload import Alert
from crewcall_worker.queues import Dedupe, FixedDelays, JobContext, Priority, job

WINDOW = 300.0  # seconds


def key_of(alert: Alert) -> str:
    """An organisation's keys are its own."""
    return f"{alert.organization_id}:{alert.alert_key}"


@job(
    "alerts.dispatch",
    queue="alerts",
    retries=FixedDelays(10, 30, 60, 120, 300),
    priority=Priority.NORMAL,
    dedupe=Dedupe(key=key_of, window=WINDOW),
    stalled_after=180,
    time_limit=600,
    concurrency=10,
)
def dispatch_alert(payload: Alert, context: JobContext) -> None:
    """Deliver it to each channel, once."""
    from crewcall_jobs.alerts.dispatching import dispatch
    from crewcall_jobs.composition import services  # when it runs: who only enqueues needs none of it

    of = services()
    dispatch(payload, context, of.channels, of.deliveries, of.clock)
