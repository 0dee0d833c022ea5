"""Hints that there is work: how often a producer may send one, and a worker's ear for them.

They are Redis pub/sub messages: whoever misses one finds the work by looking, a little later. What is on the channels
is in `wire.Keys`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

import redis

from crewcall_worker import wire

BETWEEN_HINTS = 0.1
RECONNECT_AFTER = 0.5
LISTEN_FOR = 0.5

log = logging.getLogger(__name__)


class Pacer:
    """Lets this process hint at one queue ten times a second at most.

    A hint that is not sent is no loss: workers that were woken within the last tenth look more often by themselves.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._next: dict[str, float] = {}

    def may_hint(self, queue: str) -> bool:
        """Whether a hint may be sent now."""
        return self._steady() >= self._next.get(queue, 0.0)

    def has_hinted(self, queue: str) -> None:
        """One was sent."""
        self._next[queue] = self._steady() + BETWEEN_HINTS


class Listener(threading.Thread):
    """Calls `channels[name](word)` for each message; after a connection was lost, each with "": look for yourself."""

    def __init__(self, client: redis.Redis, channels: Mapping[str, Callable[[str], object]]) -> None:
        super().__init__(name="crewcall-hints", daemon=True)
        self._client = client
        self._channels = dict(channels)
        self._stopped = threading.Event()
        self.listening = threading.Event()
        """Set while the subscription stands."""

    def stop(self) -> None:
        """Listen no more; the thread ends within half a second."""
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except redis.RedisError as error:
                log.debug("Hints are not heard: %s", error)
            self.listening.clear()
            self._stopped.wait(RECONNECT_AFTER)

    def _listen(self) -> None:
        with redis.client.PubSub(self._client.connection_pool) as subscription:
            subscription.subscribe(*self._channels)
            while not self._stopped.is_set():
                message = subscription.get_message(timeout=LISTEN_FOR)
                if message is None:
                    continue
                channel = wire.text(message["channel"])
                if message["type"] == "message":
                    self._channels[channel](wire.text(message["data"]))
                elif message["type"] == "subscribe" and message["data"] == len(self._channels):
                    self.listening.set()
                    for hear in self._channels.values():
                        hear("")
