"""Where the board reads: one Dramatiq namespace of one Redis, and what of it is not for eyes."""

from __future__ import annotations

import redis

from crewcall_worker import wire
from crewcall_worker.board.reading.histories import Histories
from crewcall_worker.board.reading.rates import RateBook
from crewcall_worker.board.redaction import Redaction
from crewcall_worker.queues.views import Views

NOTHING_HIDDEN = Redaction()


class Source:
    """Shared by all threads of the board. Jobs come out of `views` without what `hide` takes out of them."""

    def __init__(self, client: redis.Redis, namespace: str = "dramatiq", hide: Redaction = NOTHING_HIDDEN) -> None:
        self.client = client
        self.keys = wire.Keys(namespace)
        self.namespace = namespace
        self.views = Views(client, namespace, show=hide.of_job)
        self.hide = hide
        self.book = RateBook()
        self.histories = Histories(client, self.keys)

    def now_ms(self) -> int:
        """By Redis's clock, which all times are of."""
        seconds, microseconds = self.client.time()
        return int(seconds * 1000 + microseconds // 1000)
