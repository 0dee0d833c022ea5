"""What a scrape says of typed jobs: by job type alone, however many organisations there are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from crewcall_worker.attempt import Attempt, Outcome
from crewcall_worker.job_metrics import BUCKETS_S, JobMetrics


def attempt(job: str = "sms.send", organization: str = "acme") -> Attempt:
    return Attempt(job, "id", "sms", 1, organization)


def scraped(metrics: JobMetrics) -> dict[tuple[str, ...], float]:
    """Every sample that is not 0, by its name and its labels' values."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.value
    }


def test_attempts_are_counted_by_what_became_of_them() -> None:
    metrics = JobMetrics()
    for outcome in (Outcome.RETRIED, Outcome.DONE, Outcome.DONE, Outcome.FAILED):
        metrics.count(attempt(), outcome, 0.2)
    metrics.count(attempt("email.digest"), Outcome.SKIPPED, 0.0)

    name = "crewcall_worker_job_attempts_total"
    assert {key: value for key, value in scraped(metrics).items() if key[0] == name} == {
        (name, "sms.send", "done"): 2,
        (name, "sms.send", "retried"): 1,
        (name, "sms.send", "failed"): 1,
        (name, "email.digest", "skipped"): 1,
    }


def test_how_long_they_took_is_a_histogram_and_what_never_ran_is_not_in_it() -> None:
    metrics = JobMetrics()
    metrics.count(attempt(), Outcome.DONE, 0.1)
    metrics.count(attempt(), Outcome.RETRIED, 1000.0)
    metrics.count(attempt(), Outcome.SKIPPED, 0.0)

    name = "crewcall_worker_job_seconds"
    found = scraped(metrics)
    assert {key[2]: found[key] for key in found if key[0] == f"{name}_bucket"} == {
        **{str(most): 1 for most in BUCKETS_S if most >= 0.1},
        "+Inf": 2,
    }
    assert (found[f"{name}_count", "sms.send"], found[f"{name}_sum", "sms.send"]) == (2, 1000.1)


def test_organisations_make_no_series() -> None:
    metrics = JobMetrics()
    for number in range(100):
        metrics.count(attempt(organization=f"organisation-{number}"), Outcome.DONE, 0.1)

    assert [key for key in scraped(metrics) if "attempts" in key[0]] == [
        ("crewcall_worker_job_attempts_total", "sms.send", "done")
    ]
