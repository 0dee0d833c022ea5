"""The server in a thread of its own, for what cannot share its event loop: benchmarks, and tests of processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from tests.support.apiserver.server import ApiServer, ServerOptions

T = TypeVar("T")


class ServerThread:
    """An `ApiServer` in another thread. A context manager; `call` runs a coroutine beside the server.

    Reading `server.journal` from outside is safe; anything that writes is to go through `call`.
    """

    def __init__(self, options: ServerOptions | None = None) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="apiserver", daemon=True)
        self.server: ApiServer

    def __enter__(self) -> ServerThread:
        self._thread.start()
        self.server = self.call(self._make())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.server.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _make(self) -> ApiServer:
        return await ApiServer(self._options).__aenter__()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop and wait for what it gives."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()
