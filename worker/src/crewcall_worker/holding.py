"""What a worker holds of one queue: what Redis has noted as fetched by it and not acknowledged, prefetched or running.

How messages come in and go again, so that a fetch whose reply was lost, and a failing Redis, lose nothing. When they do
is for the `consumer` to say. Every call that talks to Redis may raise `redis.RedisError`, and may then be repeated.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from dramatiq.broker import MessageProxy
from dramatiq.errors import DecodeError

from crewcall_worker import job_message
from crewcall_worker.options import REDIS_ID
from crewcall_worker.scripts import Fetched, Refused, Scripts
from crewcall_worker.wire import DELAYED

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A message held: under which worker id it was fetched, and what is known of its past."""

    owner: str
    kills: int
    marked: bool


class Holding:
    """`held`, by redis_message_id, is in the order of fetching. Worker threads remove from it by `settle`; all else is
    for the consumer's own thread."""

    def __init__(self, scripts: Scripts, queue_name: str) -> None:
        self.held: dict[str, Held] = {}
        self.may_have_strays = False
        """Whether a fetch may have taken messages that never came here."""
        self._scripts = scripts
        self._queue_name = queue_name
        self.is_delayed = queue_name.endswith(DELAYED)
        self._fetched: deque[Fetched] = deque()
        self._returning: deque[str] = deque()

    @property
    def is_returning(self) -> bool:
        """Whether there is something to give back that could not be given back yet."""
        return bool(self._returning)

    def fetch(self, owner: str, wanted: int) -> bool:
        """Take up to `wanted` messages off the queue, for `following` to hand out; false where there is none."""
        return self._take_in(owner, lambda held: self._scripts.fetch(owner, self._queue_name, wanted, held))

    def fetch_due(self, owner: str, wanted: int, within_ms: int) -> bool:
        """Take up to `wanted` delayed messages that are due so soon, past all others; false where there is none."""
        return self._take_in(
            owner, lambda held: self._scripts.fetch_due(owner, self._queue_name, wanted, held, within_ms)
        )

    def _take_in(self, owner: str, fetch: Callable[[int], list[Fetched] | Refused]) -> bool:
        self.may_have_strays = True  # until the answer is here
        fetched = fetch(len(self.held))
        self.may_have_strays = False
        if isinstance(fetched, Refused):
            if fetched is Refused.STRAYS:
                self.put_back_strays(owner)
                return self._take_in(owner, fetch)
            return False
        for message in fetched:
            # Held already: it is in the list twice, or it was taken from this worker, declared dead, and has come back
            # to it. It shall not run twice at once; ending it counts for the owner that it has now.
            if message.id not in self.held:
                self._fetched.append(message)
            self.held[message.id] = Held(owner, message.kills, message.marked)
        return bool(fetched)

    def following(self, owner: str) -> MessageProxy | None:
        """The next message that was fetched, in order; None where there is none left."""
        while self._fetched:
            fetched = self._fetched.popleft()
            try:
                message = job_message.decode(fetched.data)
            except DecodeError as error:
                # It is kept as it was: who looks at it reads from it again what is wrong.
                log.warning("Queue %s: %s becomes a dead letter: %s", self._queue_name, fetched.id, error)
                self._scripts.settle(owner, self._queue_name, fetched.id, dead=True, marked=True)
                self.held.pop(fetched.id, None)
            else:
                if message.queue_name != self._queue_name:
                    # Its list was renamed, say. Here it was found, and here it runs; Dramatiq goes by the name.
                    message = message.copy(queue_name=self._queue_name)
                if not self.is_delayed:
                    message.options.pop("eta", None)  # what is in this list is ready, whatever it says of itself
                message.options[REDIS_ID] = fetched.id
                return job_message.Delivery(message)
        return None

    def settle(self, id_: str, worker_id: str, *, dead: bool, text: bytes = b"", organization: str = "") -> None:
        """It is done with, or dead, and then kept as `text`. `worker_id` settles what is not held any more."""
        held = self.held.get(id_)
        owner = held.owner if held else worker_id
        marked = dead or held is None or held.marked
        if marked or self.is_delayed or organization:
            self._scripts.settle(
                owner, self._queue_name, id_, dead=dead, marked=marked, text=text, organization=organization
            )
        else:
            self._scripts.ack(owner, self._queue_name, id_)
        self.held.pop(id_, None)

    def take_out(self, ids: Iterable[str]) -> None:
        """These are to be given back: nobody will begin them."""
        self._returning.extend(ids)

    def give_back(self) -> list[str]:
        """What was taken out, or not handed out yet, goes to the head of the queue, as if it had never been fetched."""
        while self._fetched:
            self._returning.append(self._fetched.popleft().id)
        count = len(self._returning)
        if not count:
            return []
        place = {id_: number for number, id_ in enumerate(list(self.held))}
        ids = sorted((id_ for id_ in list(self._returning)[:count] if id_ in place), key=place.__getitem__)
        for owner, group in groupby(ids, key=lambda id_: self.held[id_].owner):
            self._scripts.give_back(owner, self._queue_name, list(group))
        for _ in range(count):
            self._returning.popleft()
        for id_ in ids:
            self.held.pop(id_, None)
        log.info("Queue %s: gave %d prefetched messages back", self._queue_name, len(ids))
        return ids

    def put_back_strays(self, owner: str) -> None:
        """What a fetch took whose answer never came here goes back."""
        count = self._scripts.give_back_strays(owner, self._queue_name, list(self.held))
        self.may_have_strays = False
        if count:
            log.warning("Queue %s: put back %d messages that had been lost on their way here", self._queue_name, count)

    def forget(self) -> None:
        """Nothing of it is here any more: what Redis has noted all the same are strays."""
        self._fetched.clear()
        self.held.clear()
