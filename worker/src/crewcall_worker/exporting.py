"""Sending a worker's spans to a collector by OTLP over HTTP. Which one, and how many spans: OpenTelemetry's variables.

Imported only where traces are wanted and the extra `tracing` is installed.
"""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SERVICE = "crewcall-worker"
"""Unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES have another name."""


def start() -> Callable[[], object]:
    """Export from now on; what to call at the end, which sends what is left."""
    told = OTELResourceDetector().detect()
    resource = Resource.create({} if SERVICE_NAME in told.attributes else {SERVICE_NAME: SERVICE})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown
