"""The spans of jobs, as OpenTelemetry's conventions for messaging have them.

Imported only by a process that has set OpenTelemetry up: see `tracing`. The names of attributes are those of
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/; what they do not know begins with "crewcall.".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dramatiq import Message
from dramatiq.broker import MessageProxy
from dramatiq.common import q_name
from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from crewcall_worker.options import ORGANIZATION, PROMOTION, TRACE
from crewcall_worker.outbox import Duplicate
from crewcall_worker.tracing import Messages

T = TypeVar("T")

_TRACER = trace.get_tracer("crewcall")  # of whichever provider is set, also later on


def is_set_up() -> bool:
    """Whether somebody has said what is to become of spans."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def sending(messages: Messages, send: Callable[[Messages], list[T]]) -> list[T]:
    """See `tracing.sending`. What has a context already is on its way back, as a retry or when its delay is over."""
    spans: dict[int, trace.Span] = {}
    traced = list(messages)
    for place, (message, delay) in enumerate(messages):
        if TRACE in message.options or PROMOTION in message.options:
            continue
        span = _TRACER.start_span(f"send {q_name(message.queue_name)}", kind=SpanKind.PRODUCER)
        span.set_attributes(_attributes(message, "send"))
        if delay is not None:
            span.set_attribute("crewcall.delay_ms", delay)
        spans[place] = span
        traced[place] = (message.copy(options={TRACE: _carrier(span)}), delay)
    try:
        outcomes = send(traced)
    except Exception as error:
        for span in spans.values():
            _fail(span, error)
        raise
    else:
        for place, span in spans.items():
            if isinstance(outcome := outcomes[place], Duplicate):
                span.set_attribute("crewcall.duplicate_of", outcome.of)
        return outcomes
    finally:
        for span in spans.values():
            span.end()


class AttemptSpan:
    """An attempt from its begin to its `end`, in one thread. Spans that its job makes are its children."""

    def __init__(self, message: MessageProxy, attempt: int) -> None:
        carrier = message.options.get(TRACE)
        parent = propagate.extract(carrier) if isinstance(carrier, dict) else context.Context()
        self._span = _TRACER.start_span(
            f"process {message.queue_name}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes={**_attributes(message, "process"), "crewcall.attempt": attempt},
        )
        if not isinstance(carrier, dict):
            message.options[TRACE] = _carrier(self._span)  # so that a retry joins it
        self._token = context.attach(trace.set_span_in_context(self._span, parent))

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        return trace.format_span_id(self._span.get_span_context().span_id)

    def end(self, outcome: str, error: BaseException | None) -> None:
        """It is over. Of an error the type is told: its words may be somebody's."""
        self._span.set_attribute("crewcall.outcome", outcome)
        if error is not None:
            _fail(self._span, error)
        context.detach(self._token)
        self._span.end()


def _carrier(span: trace.Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(span))
    return carrier


def _fail(span: trace.Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)


def _attributes(message: Message[Any] | MessageProxy, operation: str) -> dict[str, str]:
    organization = message.options.get(ORGANIZATION)
    return {
        "messaging.system": "dramatiq",
        "messaging.destination.name": q_name(message.queue_name),
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.message.id": message.message_id,
        "crewcall.job": message.actor_name,
        **({"crewcall.organization": organization} if isinstance(organization, str) else {}),
    }
