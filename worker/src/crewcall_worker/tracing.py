"""Traces of jobs by OpenTelemetry: one from whoever enqueues a job to its end, whatever lies between.

A job carries its trace's context in the options of its message (`options.TRACE`), so it survives delays, retries, dead
letters and dead workers. Enqueuing is one span; each attempt is another, a child of it, whoever runs it. A job that was
sent without a context gets one at its first attempt. Spans name a job and never what it carries, nor an error's words.

It is for processes that have set OpenTelemetry up: a worker by the standard variables (`set_up`), an application by
itself. For all others it comes to one question a second. What spans are made of is in `spans`.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from dramatiq import Message
from dramatiq.broker import MessageProxy

from crewcall_worker.options import TRACE

T = TypeVar("T")

if TYPE_CHECKING:
    from crewcall_worker.spans import AttemptSpan

Messages = Sequence[tuple[Message[Any], int | None]]
"""Messages to enqueue, each with its delay."""

ENV_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
ENV_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
ENV_DISABLED = "OTEL_SDK_DISABLED"
ENV_EXPORTER = "OTEL_TRACES_EXPORTER"
PROTOCOL = "http/protobuf"
EXPORT_WITHIN = 2.0
"""Seconds for the last spans of a worker that leaves: the rest of its grace period is for its jobs."""

LOOK_EVERY = 1.0

log = logging.getLogger(__name__)


class _Look:
    """What the last look said: asking OpenTelemetry each time would be felt where jobs are short."""

    is_on = False
    again_at = 0.0


def is_on() -> bool:
    """Whether this process has set up OpenTelemetry: who has not imported it has not. A set-up is noticed within
    `LOOK_EVERY`."""
    if _Look.is_on or (now := time.monotonic()) < _Look.again_at:
        return _Look.is_on
    _Look.again_at = now + LOOK_EVERY
    if "opentelemetry.trace" in sys.modules:
        from crewcall_worker import spans

        _Look.is_on = spans.is_set_up()
    return _Look.is_on


def sending(messages: Messages, send: Callable[[Messages], list[T]]) -> list[T]:
    """Send messages by `send`, within a span for each of them: what `send` answers."""
    if not is_on():
        return send(messages)
    from crewcall_worker import spans

    return spans.sending(messages, send)


def begin(message: MessageProxy, attempt: int) -> AttemptSpan | None:
    """The span of an attempt that begins in this thread, and is to be ended in it; None where tracing is off."""
    if not is_on():
        return None
    from crewcall_worker import spans

    return spans.AttemptSpan(message, attempt)


def trace_id_of(message: MessageProxy) -> str | None:
    """The trace that a job belongs to, by what it carries (W3C Trace Context): known where tracing is off as well."""
    context = message.options.get(TRACE)
    parent = context.get("traceparent") if isinstance(context, dict) else None
    parts = parent.split("-") if isinstance(parent, str) else []
    return parts[1] if len(parts) >= 4 else None


def set_up(environment: Mapping[str, str]) -> Callable[[], object]:
    """Export the spans of this worker where the standard variables say so; what to call at its end.

    An application's own set-up, or that of `opentelemetry-instrument`, is left as it is.
    """
    endpoint = next((name for name in ENV_ENDPOINTS if environment.get(name)), None)
    is_unwanted = environment.get(ENV_DISABLED, "").lower() == "true" or environment.get(ENV_EXPORTER, "otlp") != "otlp"
    if endpoint is None or is_unwanted or is_on():
        return _nothing
    protocol = next((environment[name] for name in ENV_PROTOCOLS if environment.get(name)), PROTOCOL)
    if protocol != PROTOCOL:
        log.warning("No traces are exported: the protocol is %r; this worker speaks %s alone", protocol, PROTOCOL)
        return _nothing
    if not _is_installed():
        log.warning(
            "No traces are exported: %s is set, but OpenTelemetry is not installed. "
            "Try: pip install 'crewcall[tracing]'",
            endpoint,
        )
        return _nothing
    from crewcall_worker import exporting

    shutdown = exporting.start()
    _Look.is_on = True
    log.info("Traces go to %s", environment[endpoint])
    return lambda: _within(EXPORT_WITHIN, shutdown)


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _within(seconds: float, call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call, name="crewcall-traces", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        log.warning("The last traces were not taken within %g s, and are lost", seconds)


def _nothing() -> None:
    pass
