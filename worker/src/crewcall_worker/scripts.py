"""What a worker does in Redis, each as one script, so that nobody sees it half done: the .lua files in `lua`.

Each says at its head what it does and takes. Every call may raise `redis.RedisError`; all may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import redis

from crewcall_worker.kept_connections import KeptConnections
from crewcall_worker.wire import (
    DEAD,
    DELAYED,
    FENCED_FOR_MS,
    HEARTBEAT_AHEAD_MS,
    Keys,
    Order,
    plain_queue,
    read_order,
    script,
    text,
)

MOST_FETCHED = 1000
"""Messages by one fetch: more would keep Redis from others for long (and Lua's stack has an end)."""


class Refused(Enum):
    """Why a fetch brought nothing, though there may be messages."""

    UNKNOWN = -1
    """The worker has no record: it has yet to register, or was declared dead."""
    STRAYS = -2
    """More is noted as the worker's than it holds."""
    PAUSED = -3
    """Nobody is to take from this queue."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message off a queue. `marked` where one of its workers died or ran out of time, `kills` where it died."""

    id: str
    data: bytes
    kills: int = 0
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What a worker hears when it tells of itself; the time is Redis's, in ms. Nobody fetches from `paused` queues."""

    now_ms: int
    order: Order
    is_fenced: bool
    paused: frozenset[str] = frozenset()


class Scripts:
    """The scripts of one pool's workers, by what they do."""

    def __init__(self, client: redis.Redis, keys: Keys, pool: str) -> None:
        self._kept = KeptConnections(client)
        self._keys = keys
        self._pool = pool
        self._fetch = client.register_script(script("fetch"))
        self._fetch_due = client.register_script(script("fetch_due"))
        self._ack = client.register_script(script("ack"))
        self._begin = client.register_script(script("begin"))
        self._settle = client.register_script(script("settle"))
        self._give_back = client.register_script(script("give_back"))
        self._give_back_strays = client.register_script(script("give_back_strays"))
        self._beat = client.register_script(script("beat"))
        self._leave = client.register_script(script("leave"))

    def fetch(self, worker: str, queue: str, wanted: int, held: int) -> list[Fetched] | Refused:
        """Up to `wanted` messages, by a worker that holds `held` of this queue."""
        keys, names = self._keys, self._keys_of_a_fetch(worker, queue)
        if not queue.endswith(DELAYED):
            names += [keys.paused, keys.lanes(queue), keys.waiting(queue), keys.limits(queue)]
        args: list[str | int] = [worker, min(wanted, MOST_FETCHED), held, queue, keys.prefix]
        return _read_fetched(self._kept.use(lambda client: self._fetch(keys=names, args=args, client=client)))

    def fetch_due(self, worker: str, queue: str, wanted: int, held: int, within_ms: int) -> list[Fetched] | Refused:
        """Up to `wanted` delayed messages that are due within so many ms, past all others in the list."""
        keys = self._keys
        reply = self._fetch_due(
            keys=[*self._keys_of_a_fetch(worker, queue), keys.eta(queue), keys.heartbeats],
            args=[worker, min(wanted, MOST_FETCHED), held, within_ms, keys.namespace, queue],
        )
        return _read_fetched(reply)

    def _keys_of_a_fetch(self, worker: str, queue: str) -> list[str]:
        keys = self._keys
        return [
            keys.ready(queue),
            keys.messages(queue),
            keys.acks(worker, queue),
            keys.workers(self._pool),
            keys.kills(queue),
            keys.deliveries(queue),
        ]

    def ack(self, worker: str, queue: str, id_: str) -> None:
        """A message of which nothing is counted is done with."""
        keys = (self._keys.acks(worker, queue), self._keys.messages(queue))
        self._kept.use(lambda client: self._ack(keys=keys, args=(id_,), client=client))

    def begin(self, worker: str, id_: str) -> None:
        """Note that a message which is under suspicion is begun."""
        self._begin(keys=[self._keys.started(worker)], args=[id_, FENCED_FOR_MS])

    def settle(
        self,
        worker: str,
        queue: str,
        id_: str,
        *,
        dead: bool,
        marked: bool,
        text: bytes = b"",
        organization: str = "",
    ) -> bool:
        """A message is done with, or dead, and then kept as `text` if that is known; whether it was still this
        worker's. `organization` is whose job it is."""
        keys = self._keys
        is_delayed = queue.endswith(DELAYED)
        return bool(
            self._settle(
                keys=[
                    keys.acks(worker, queue),
                    keys.messages(queue),
                    keys.kills(queue),
                    keys.deliveries(queue),
                    keys.eta(queue),
                    keys.dead(queue),
                    keys.messages(plain_queue(queue) + DEAD),
                ],
                args=[
                    id_,
                    "nack" if dead else "ack",
                    int(marked),
                    int(is_delayed),
                    text,
                    keys.prefix,
                    queue,
                    "" if is_delayed else organization,
                ],
            )
        )

    def give_back(self, worker: str, queue: str, ids: Sequence[str], *, begun: bool = False) -> int:
        """Messages back to the head of their queue, in this order; `begun` ones count as deliveries."""
        keys = self._keys
        names = [keys.acks(worker, queue), keys.ready(queue), keys.messages(queue)]
        count: int = self._give_back(keys=[*names, keys.deliveries(queue)] if begun else names, args=ids)
        return count

    def give_back_strays(self, worker: str, queue: str, held: Iterable[str]) -> int:
        """Back to the queue goes what this worker has fetched but does not hold."""
        keys = self._keys
        count: int = self._give_back_strays(
            keys=[keys.acks(worker, queue), keys.ready(queue), keys.messages(queue)], args=list(held)
        )
        return count

    def beat(self, worker: str, pod: str, record: str) -> Heard:
        """Tell of a worker and hear its orders."""
        keys = self._keys
        pool = self._pool
        now_ms, order, is_fenced, paused = self._beat(
            keys=[
                keys.workers(pool),
                keys.orders(pool),
                keys.fenced(pool),
                keys.heartbeats,
                keys.paused,
                keys.asked(pool),
            ],
            args=[worker, pod, record, HEARTBEAT_AHEAD_MS],
        )
        return Heard(now_ms, read_order(order), bool(is_fenced), frozenset(text(queue) for queue in paused))

    def leave(self, worker: str, queues: Iterable[str]) -> bool:
        """A worker goes home; false where it still has unacknowledged messages, by which it is to be found."""
        keys = self._keys
        acks = [keys.acks(worker, queue + suffix) for queue in queues for suffix in ("", DELAYED)]
        left = [keys.workers(self._pool), keys.heartbeats, keys.asked(self._pool)]
        return bool(self._leave(keys=[*left, *acks], args=[worker]))


def _read_fetched(reply: Any) -> list[Fetched] | Refused:
    if isinstance(reply, int):
        return Refused(reply)
    ids, messages, kills, deliveries = reply
    if not kills:
        return [Fetched(text(id_), data) for id_, data in zip(ids, messages, strict=True) if data is not None]
    return [
        Fetched(text(id_), data, int(killed or 0), marked=killed is not None or delivered is not None)
        for id_, data, killed, delivered in zip(ids, messages, kills, deliveries, strict=True)
        if data is not None
    ]
