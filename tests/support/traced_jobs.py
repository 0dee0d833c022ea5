"""A job that fails at its first attempt, in processes that keep their spans and tell them at their end.

As a program it is the application that enqueues the job. Whether and where spans go otherwise is the environment's.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import dramatiq
import redis
from dramatiq.middleware import Middleware
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.support.traces import FAILED, JOB, NUMBER, QUEUE, SPANS_FILE

from crewcall_worker import wire
from crewcall_worker.queues import FixedDelays, JobContext, Payload, job
from crewcall_worker.queues.service import QueueService

log = logging.getLogger("shop.sms")


class Send(Payload):
    """Whom to write to."""

    to: str


@job(JOB, queue=QUEUE, retries=FixedDelays(1.0))
def send(payload: Send, context: JobContext) -> None:
    """Fail at first, with words that are nobody's business, and then write a line."""
    with redis.Redis.from_url(os.environ[wire.ENV_REDIS_URL]) as client:
        with trace.get_tracer("shop").start_as_current_span("call the provider"):
            pass
        if context.attempt == 1:
            client.incr(FAILED)
            raise ConnectionError(f"the provider does not know {payload.to}")
        log.info("The provider has it", extra={"provider": "test"})


EXPORTER = InMemorySpanExporter()


class _AtTheEnd(Middleware):
    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        tell()


def tell() -> None:
    """Write all spans that are over into the file."""
    spans = [json.loads(span.to_json()) for span in EXPORTER.get_finished_spans()]
    Path(os.environ[SPANS_FILE]).write_text(json.dumps(spans))


if SPANS_FILE in os.environ:
    _provider = TracerProvider()
    _provider.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(_provider)
    if __name__ != "__main__":
        dramatiq.get_broker().add_middleware(_AtTheEnd())

if __name__ == "__main__":
    queues = QueueService.from_environment()
    with trace.get_tracer("shop").start_as_current_span("POST /orders"):
        queues.enqueue(send, Send(organization_id="acme", to=NUMBER))
    queues.shutdown()
    if SPANS_FILE in os.environ:
        tell()
