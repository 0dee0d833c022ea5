"""Connections that keep the board waiting: put out in time, and before anybody else where there are too many.

Uvicorn waits for a request for as long as it takes, and for an answer to be read; its limit of connections lets those
that are idle keep out whoever asks for something, and the probes. Here a connection is either the board's turn, then it
is let alone, however long a stream lasts; or its client's: to send a whole request, or to read. A client has its turn
for some seconds, and is the first to go.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from math import inf
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 500
"""With a body half sent each, they take some 100 MB."""
OTHER_FILES = 100
"""That the board opens besides: connections to Redis, templates."""
PATIENCE = 10.0
"""Seconds that a client has for a request, its head and its body; and for reading something."""

TELL_EVERY = 60.0
"""Seconds between two words in the log about there being too many."""

log = logging.getLogger(__name__)


def most_connections() -> int:
    """How many there may be: asyncio takes in some more before it tells of them, see `backlog`."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(4, min(MOST_CONNECTIONS, (files - OTHER_FILES) // 2))


def backlog() -> int:
    """How many asyncio takes in at once: up to four times, until it has told of them and has closed others."""
    return most_connections() // 4


class Connection(H11Protocol):
    """One of them."""

    waits_since: float | None = None
    """By the loop's clock, since when it is the client's turn; None while it is the board's."""
    _alarm: asyncio.TimerHandle | None = None
    _unread = 0
    _is_over = False
    _told_at: ClassVar[float] = -inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._take_turns()
        if len(self.connections) > most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        self._take_turns()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._take_turns()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._take_turns()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._take_turns()

    def put_out(self) -> None:
        """Close it at once, whatever is unsaid."""
        self._end()
        self.transport.abort()

    def _end(self) -> None:
        self._is_over = True
        self._stop_waiting()

    def _make_room(self) -> None:
        """Put out whose turn has lasted for longest: this one, where it is nobody else's."""
        others = (one for one in self.connections if isinstance(one, Connection))
        min(others, key=lambda one: inf if one.waits_since is None else one.waits_since).put_out()
        if self.loop.time() - Connection._told_at >= TELL_EVERY:
            Connection._told_at = self.loop.time()
            log.warning(
                "There are more than %s connections: whoever keeps the board waiting for longest is put out",
                most_connections(),
            )

    def _take_turns(self) -> None:
        if self._is_the_boards_turn:
            self._stop_waiting()
        elif self.waits_since is None and not self._is_over:
            self.waits_since = self.loop.time()
            self._wait()

    @property
    def _is_the_boards_turn(self) -> bool:
        is_asked = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        return is_asked and not self.flow.write_paused

    def _wait(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._alarm = self.loop.call_later(PATIENCE, self._lose_patience)

    def _stop_waiting(self) -> None:
        self.waits_since = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _lose_patience(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._wait()  # it reads, if slowly
        else:
            self.put_out()
