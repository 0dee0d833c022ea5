"""The board's parts, made once and shared by all requests: `request.app.state.board`."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from crewcall_worker.board.actions import Actions
from crewcall_worker.board.audit import Audit
from crewcall_worker.board.doors import Doors
from crewcall_worker.board.reading.source import Source
from crewcall_worker.board.redaction import Redaction
from crewcall_worker.board.sessions import Sessions
from crewcall_worker.board.settings import BoardSettings
from crewcall_worker.board.tokens import make_tokens
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.connection import make_bounded_client

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Board:
    """What pages and the API work with: they read by `source`, and change nothing but by `actions`."""

    settings: BoardSettings
    client: redis.Redis
    source: Source
    doors: Doors
    audit: Audit
    actions: Actions

    @property
    def prefix(self) -> str:
        """What every address of the board begins with, as a browser sees it."""
        return self.settings.prefix

    def close(self) -> None:
        """Close the connections to Redis."""
        self.client.close()


def make_board(settings: BoardSettings) -> Board:
    """Nothing is connected yet. Raises `BadSetting` where the URL is none of a Redis."""
    client = make_bounded_client(settings.redis)
    namespace = settings.redis.redis_namespace
    broker = CrewcallBroker(client=client, namespace=namespace, middleware=[])
    redaction = Redaction(settings.redact)
    source = Source(client, namespace, hide=redaction)
    audit = Audit(client, namespace)
    sessions = Sessions(client, namespace, settings.fingerprint, settings.session_hours * HOUR)
    return Board(
        settings=settings,
        client=client,
        source=source,
        doors=Doors(settings, make_tokens(settings), sessions, audit),
        audit=audit,
        actions=Actions(broker, source, audit, is_read_only=settings.is_read_only),
    )
