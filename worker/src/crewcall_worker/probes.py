"""The worker's own HTTP port: /metrics for Prometheus, /healthz and /readyz for the kubelet.

It serves from the start of the process to its end: after SIGTERM until the last job is done. No request changes
anything, and no answer holds a secret.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from crewcall_worker.errors import BadSetting
from crewcall_worker.health import Health
from crewcall_worker.wire import ENV_METRICS_PORT

REQUEST_WITHIN = 5.0
TEXT = "text/plain; charset=utf-8"

Check = Callable[[], str]
"""What is wrong, in words; an empty text where all is well."""

ALIVE: dict[str, Check] = {"/healthz": lambda: "", "/readyz": lambda: "the worker has not started yet"}

log = logging.getLogger(__name__)


class Probes:
    """A server on all addresses; port 0 picks a free one, which `port` then is."""

    def __init__(self, port: int) -> None:
        """Serve from now on. Raises `BadSetting` where the port is taken or not to be had."""
        self._registry = CollectorRegistry()
        self._checks = dict(ALIVE)
        ProcessCollector(registry=self._registry)
        try:
            self._server = ThreadingHTTPServer(("", port), _handler(self._registry, self._checks))
        except OSError as error:
            raise BadSetting(ENV_METRICS_PORT, str(port), f"it cannot be listened on: {error}. Name another") from error
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="crewcall-probes", daemon=True).start()

    def show(self, health: Health, *metrics: Collector) -> None:
        """From now on, tell this worker's health and figures."""
        self._checks.update({"/healthz": health.is_hung, "/readyz": health.is_starting})
        for collector in metrics:
            self._registry.register(collector)

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


def _handler(registry: CollectorRegistry, checks: dict[str, Check]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_WITHIN  # seconds for a client to say what it wants

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path in checks:
                wrong = checks[path]()
                status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
                self._answer(status, TEXT, f"{wrong or 'ok'}\n".encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, TEXT, b"Try /metrics, /healthz or /readyz.\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the parent's
            log.debug(format, *args)

    return Handler
