"""docs/metrics.md and what a scrape really brings: neither may know a family or a word that the other does not."""

from __future__ import annotations

import re
from pathlib import Path

from dramatiq import Message
from dramatiq.broker import MessageProxy
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.pools import pool, seen

from crewcall_operator.adapters.leader_metrics import LeaderMetrics
from crewcall_operator.adapters.measures import Measures
from crewcall_operator.adapters.prometheus import PoolMetrics
from crewcall_operator.core.decision import Decision, Reason
from crewcall_operator.core.estimate import Basis, Estimate
from crewcall_operator.core.leadership import unopposed
from crewcall_operator.core.observation import Fleet
from crewcall_operator.core.policy import QueueLatency
from crewcall_operator.core.victims import Plan
from crewcall_operator.ports import Recovered, Report
from crewcall_worker.attempt import Attempt, Outcome
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.job_metrics import JobMetrics
from crewcall_worker.metrics import StalledMetrics, WorkerMetrics
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, job
from crewcall_worker.queues.running import Run
from crewcall_worker.queues.stalled import Stalled
from crewcall_worker.stats import Stats

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")

Families = dict[str, tuple[str, set[str]]]


def test_the_table_has_every_family_with_its_type_and_labels_and_no_other() -> None:
    assert described(PAGE.partition("## Workers")[0]) == served()


def test_the_table_of_workers_has_every_family_with_its_type_and_labels_and_no_other() -> None:
    assert described(PAGE.partition("## Workers")[2]) == served_by_a_worker()


def test_the_table_of_reasons_has_every_reason_and_no_other() -> None:
    _, _, section = PAGE.partition("## Reasons")

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [reason.value for reason in Reason]


def described(section: str) -> Families:
    """The table's rows, by name."""
    rows = re.findall(r"^\| `(crewcall_\w+)` \| (\w+) \| ([\w, ]+) \|", section, re.MULTILINE)
    return {name: (kind, set(labels.split(", ")) - {"none"}) for name, kind, labels in rows}


def served() -> Families:
    """What is scraped after a tick that found something for every family."""
    metrics, registry = PoolMetrics(), CollectorRegistry()
    registry.register(LeaderMetrics(metrics, unopposed))
    measures = Measures(lambda: 0.0)
    registry.register(measures)
    report = Report(
        pool(target=QueueLatency(30.0)),
        at=0.0,
        observation=seen(ready=3, oldest=1.5),
        fleet=Fleet(current=0, ready=0),
        decision=Decision(1, Reason.ACTIVATED),
        applied=True,
        plan=Plan(1),
        recovered=(Recovered("worker", returned=2),),
        estimate=Estimate(9.8, 0.31, 3.0, 8, 11.0, Basis.COUNTED),
    )
    metrics.report(report)
    measures.report(report)
    measures.api_failed("PATCH", 503)
    return families(registry)


def families(registry: CollectorRegistry) -> Families:
    """What a registry serves; the parts of a histogram go by its own name."""
    scraped = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        family.name if family.type == "histogram" else sample.name: (family.type, set(sample.labels) - {"le"})
        for family in scraped
        for sample in family.samples
    }


def a_job() -> JobType[Payload]:
    """A job type that expects to take 300 s at most."""

    def send(payload: Payload, context: JobContext) -> None: ...

    made: JobType[Payload] = job("metrics.send", queue="sms", stalled_after=300.0)(send)
    del CATALOGUE["metrics.send"]
    return made


def served_by_a_worker() -> Families:
    """What is scraped from a worker that has begun a job."""
    broker, registry = CrewcallBroker(url="redis://127.0.0.1:1/0"), CollectorRegistry()
    stats = Stats(broker, broker.outbox.clock)
    registry.register(WorkerMetrics(stats))
    jobs = JobMetrics()
    registry.register(jobs)
    jobs.count(Attempt("sms.send", "one", "sms", 1), Outcome.DONE, 0.1)
    message = MessageProxy(Message("sms", "send", (), {}, {"redis_message_id": "one"}))
    run = Run(message, "one", "sms", began=0.0)
    stats.begin(run)
    stalled = Stalled(lambda _: a_job())
    stalled.look([run], now=301.0)
    registry.register(StalledMetrics(stalled))
    return families(registry)
