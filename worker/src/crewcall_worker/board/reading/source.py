"""Where the board reads: one Dramatiq namespace of one Redis, and what of it is not for eyes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from crewcall_worker import wire
from crewcall_worker.queues.views import Views


def as_it_is(value: Any) -> Any:
    """Hides nothing."""
    return value


class Source:
    """Shared by all threads of the board. `hide` gets a payload or options, as JSON has it; its answer is shown."""

    def __init__(self, client: redis.Redis, namespace: str = "dramatiq", hide: Callable[[Any], Any] = as_it_is) -> None:
        self.client = client
        self.keys = wire.Keys(namespace)
        self.namespace = namespace
        self.views = Views(client, namespace)
        self.hide = hide

    def now_ms(self) -> int:
        """By Redis's clock, which all times are of."""
        seconds, microseconds = self.client.time()
        return int(seconds * 1000 + microseconds // 1000)


def text(value: str | bytes | None) -> str:
    """What Redis answered as text; "" for nothing."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def number(value: str | bytes | None) -> int:
    """A counter; 0 where there is none, or it is no number."""
    try:
        return int(value or 0)
    except ValueError:
        return 0
