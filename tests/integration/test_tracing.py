"""Traces of real workers: one from the application to the job's end, and all of them at the collector."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.support.redis import RedisServer
from tests.support.traces import FAILED, JOB, NUMBER, SPANS_FILE
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, WorkerProcess, started

from crewcall_worker import wire

CREWCALL_WORKER = str(Path(sys.executable).parent / "crewcall-worker")
MODULE = "tests.support.traced_jobs"
KEYS = wire.Keys()

Span = dict[str, Any]


def enqueue(server: RedisServer, **variables: str) -> None:
    """By an application in a process of its own."""
    environment = {"PATH": os.environ["PATH"], wire.ENV_REDIS_URL: server.url, **variables}
    subprocess.run([sys.executable, "-m", MODULE], cwd=ROOT, env=environment, check=True, timeout=60)


def worker(server: RedisServer, log: Path, **variables: str) -> AbstractContextManager[WorkerProcess]:
    return started([CREWCALL_WORKER, "run", MODULE], {wire.ENV_REDIS_URL: server.url, **variables}, log)


def is_over(server: RedisServer) -> bool:
    return not server.client.exists(KEYS.messages("sms"), KEYS.messages("sms.DQ"))


def told(file: Path) -> list[Span]:
    spans: list[Span] = json.loads(file.read_text())
    return spans


def test_one_trace_leads_from_the_application_through_a_failed_attempt_to_another_workers_success(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("application", "first", "second")]
    enqueue(redis_server, **{SPANS_FILE: str(files[0])})
    for file in files[1:]:
        with worker(redis_server, tmp_path / f"{file.name}.log", **{SPANS_FILE: str(file)}) as running:
            if file is files[1]:
                wait_until(lambda: redis_server.client.get(FAILED), "the first attempt to fail")
            else:
                wait_until(lambda: is_over(redis_server), "the second attempt to succeed")
            running.terminate()
            assert running.exit_status() == 0

    (order, sent), failed, done = (sorted_by_start(told(file)) for file in files)
    names = [[span["name"] for span in spans] for spans in ([order, sent], failed, done)]
    assert names == [["POST /orders", "send sms"], *[["process sms", "call the provider"]] * 2]
    assert {span["context"]["trace_id"] for span in (order, sent, *failed, *done)} == {order["context"]["trace_id"]}
    assert sent["parent_id"] == order["context"]["span_id"]
    assert failed[0]["parent_id"] == done[0]["parent_id"] == sent["context"]["span_id"]
    assert [spans[1]["parent_id"] == spans[0]["context"]["span_id"] for spans in (failed, done)] == [True, True]
    assert [span["kind"] for span in (sent, failed[0], done[0])] == ["SpanKind.PRODUCER", *["SpanKind.CONSUMER"] * 2]
    job = {
        "messaging.system": "dramatiq",
        "messaging.destination.name": "sms",
        "messaging.message.id": sent["attributes"]["messaging.message.id"],
        "crewcall.job": JOB,
        "crewcall.organization": "acme",
    }
    sending = {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    processing = {"messaging.operation.name": "process", "messaging.operation.type": "process"}
    assert [span["attributes"] for span in (sent, failed[0], done[0])] == [
        {**job, **sending},
        {**job, **processing, "crewcall.attempt": 1, "crewcall.outcome": "retried", "error.type": "ConnectionError"},
        {**job, **processing, "crewcall.attempt": 2, "crewcall.outcome": "done"},
    ]
    assert [span["status"] for span in (sent, failed[0], done[0])] == [
        {"status_code": "UNSET"},
        {"status_code": "ERROR"},
        {"status_code": "UNSET"},
    ]
    assert not any(NUMBER in file.read_text() for file in files)


def sorted_by_start(spans: list[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: str(span["start_time"]))


class Collector:
    """What an OpenTelemetry collector has been sent: (service, names of spans, ids of traces)."""

    def __init__(self) -> None:
        self.taken: Queue[tuple[str, list[str], set[str]]] = Queue()
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    names = {it.key: it.value.string_value for it in resource.resource.attributes}
                    spans = [span for scope in resource.scope_spans for span in scope.spans]
                    traces = {span.trace_id.hex() for span in spans}
                    taken.put((names["service.name"], [span.name for span in spans], traces))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the parent's
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


def test_a_worker_sends_its_spans_to_the_collector_that_the_standard_variables_name_and_logs_their_trace(
    redis_server: RedisServer, tmp_path: Path, collector: Collector
) -> None:
    enqueue(redis_server)
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, wire.ENV_LOG_FORMAT: "json"}
    with worker(redis_server, tmp_path / "log", **variables) as running:
        wait_until(lambda: is_over(redis_server), "the job to be done")
        running.terminate()
        assert running.exit_status() == 0

    sent = [collector.taken.get(timeout=5) for _ in range(collector.taken.qsize())]
    assert {service for service, _, _ in sent} == {"crewcall-worker"}
    assert sorted(name for _, names, _ in sent for name in names) == [*["call the provider"] * 2, *["process sms"] * 2]
    (trace,) = set[str]().union(*(traces for _, _, traces in sent))
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert {line["trace_id"] for line in lines if "job" in line} == {trace}


def test_a_collector_that_does_not_answer_keeps_no_worker_from_going_home(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    enqueue(redis_server)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent,  # accepts, and nobody serves
        worker(
            redis_server, tmp_path / "log", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.server_address[1]}"
        ) as running,
    ):
        wait_until(lambda: is_over(redis_server), "the job to be done")
        running.terminate()
        assert running.exit_status() == 0

    assert running.says("The last traces were not taken within 2 s, and are lost")


def test_a_protocol_that_is_not_spoken_is_told_of_and_the_jobs_run(redis_server: RedisServer, tmp_path: Path) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    enqueue(redis_server)
    with worker(redis_server, tmp_path / "log", **variables) as running:
        wait_until(lambda: is_over(redis_server), "the job to be done")

    assert running.says("No traces are exported: the protocol is 'grpc'; this worker speaks http/protobuf alone")
