"""Spans of jobs, by the SDK's own exporter in memory: what each says, and what none of them ever says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.broker import MessageProxy
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from crewcall_worker import spans, tracing
from crewcall_worker.options import ORGANIZATION, PROMOTION, TRACE
from crewcall_worker.outbox import Duplicate, Enqueued
from crewcall_worker.tracing import Messages

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported; the process has no provider, which could be set only once."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_TRACER", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def message(**options: Any) -> Message[Any]:
    return Message("sms", "sms.send", (), {}, options, message_id="job")


def sent(messages: Messages) -> list[Enqueued | Duplicate]:
    return [Enqueued(message) for message, _ in messages]


def finished(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, ...]:
    return exporter.get_finished_spans()


def test_each_message_of_a_batch_has_a_span_and_carries_its_own_context(exporter: InMemorySpanExporter) -> None:
    outcomes = spans.sending([(message(**{ORGANIZATION: "acme"}), None), (message(), 5_000)], sent)

    first, second = finished(exporter)
    assert [tracing.trace_id_of(MessageProxy(outcome.message)) for outcome in outcomes] == [
        trace.format_trace_id(span.context.trace_id) for span in (first, second) if span.context
    ]
    assert first.attributes == {
        "messaging.system": "dramatiq",
        "messaging.destination.name": "sms",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": "job",
        "crewcall.job": "sms.send",
        "crewcall.organization": "acme",
    }
    assert second.attributes
    assert second.attributes["crewcall.delay_ms"] == 5_000


def test_a_duplicate_says_of_which_job(exporter: InMemorySpanExporter) -> None:
    spans.sending([(message(), None)], lambda messages: [Duplicate(messages[0][0], of="earlier")])

    (span,) = finished(exporter)
    assert span.attributes
    assert span.attributes["crewcall.duplicate_of"] == "earlier"


@pytest.mark.parametrize("options", [{TRACE: {"traceparent": "of before"}}, {PROMOTION: ("worker", "id")}])
def test_what_is_on_its_way_back_is_left_as_it_is(exporter: InMemorySpanExporter, options: dict[str, Any]) -> None:
    (outcome,) = spans.sending([(message(**options), None)], sent)

    assert finished(exporter) == ()
    assert outcome.message.options == options


def test_where_nothing_could_be_sent_every_span_is_over_and_has_the_errors_type_alone(
    exporter: InMemorySpanExporter,
) -> None:
    def fail(messages: Messages) -> list[Enqueued]:
        raise ConnectionError("to +49 30 1234567")

    with pytest.raises(ConnectionError):
        spans.sending([(message(), None), (message(), None)], fail)

    assert [span.attributes["error.type"] for span in finished(exporter) if span.attributes] == ["ConnectionError"] * 2
    assert [span.status.is_ok for span in finished(exporter)] == [False] * 2
    assert not any("1234567" in span.to_json() for span in finished(exporter))


def test_an_attempt_without_a_context_begins_a_trace_that_the_next_one_joins(exporter: InMemorySpanExporter) -> None:
    proxy = MessageProxy(message())
    for number, outcome in ((1, "retried"), (2, "done")):
        attempt = spans.AttemptSpan(proxy, number)
        assert trace.get_current_span().is_recording()
        attempt.end(outcome, ValueError("words") if number == 1 else None)

    first, second = finished(exporter)
    assert first.parent is None
    assert second.parent
    assert first.context
    assert (second.parent.trace_id, second.parent.span_id) == (first.context.trace_id, first.context.span_id)
    assert not trace.get_current_span().is_recording()


@pytest.mark.parametrize("carried", [None, "text", {}, {"traceparent": 1}, {"traceparent": "no-context"}])
def test_what_is_no_context_is_none(carried: object) -> None:
    assert tracing.trace_id_of(MessageProxy(message(**{TRACE: carried}))) is None


@pytest.mark.parametrize(
    "environment",
    [{}, {**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}],
)
def test_nothing_is_exported_or_said_where_nobody_asks_for_it(
    caplog: pytest.LogCaptureFixture, environment: dict[str, str]
) -> None:
    with caplog.at_level(logging.INFO):
        tracing.set_up(environment)()

    assert caplog.text == ""
    assert not spans.is_set_up()


def test_a_missing_package_is_told_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_is_installed", lambda: False)

    tracing.set_up(ENDPOINT)()

    assert [record.message for record in caplog.records] == [
        "No traces are exported: OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed. "
        "Try: pip install 'crewcall[tracing]'"
    ]
