"""The operator's own HTTP port: /metrics for Prometheus, /healthz and /readyz for the kubelet.

Healthy means that the engine still ticks and that changes of every kind are heard of; ready means that it has looked at
the cluster once. No request changes anything, and no answer holds a secret.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from crewcall_operator.adapters.exposition import exposition
from crewcall_operator.errors import BadSetting

Check = Callable[[], bool]
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serve(
    host: str, port: int, registry: CollectorRegistry, is_healthy: Check, is_ready: Check
) -> AsyncIterator[str]:
    """Listen while the block runs; gives the address as host:port (port 0 picks a free one). Raises `BadSetting`."""
    app = web.Application()
    app.router.add_get("/metrics", _metrics(registry))
    app.router.add_get("/healthz", _probe(is_healthy))
    app.router.add_get("/readyz", _probe(is_ready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, shutdown_timeout=0.5)
        try:
            await site.start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
            allowed = f"nobody can listen there: {why}. Name another HOST:PORT; port 0 picks a free one"
            raise BadSetting("--listen", f"{host}:{port}", allowed) from error
        bound = runner.addresses[0]
        yield f"{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


def _metrics(registry: CollectorRegistry) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        # Thousands of pools take half a second, in which the engine is not to stand still.
        body = await asyncio.to_thread(lambda: exposition(registry.collect()))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer


def _probe(is_fine: Check) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if is_fine() else web.Response(text="not yet\n", status=503)

    return answer
