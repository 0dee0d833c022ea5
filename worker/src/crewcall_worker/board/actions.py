"""What can be done from the board: the only part of it that changes anything but sessions.

Each action is refused to viewers, and to everybody where the board is read only; and each is noted, refused or not: see
`audit`. What is done is in `crewcall_worker.queues`, as the command line does it.

Every call may raise `Forbidden`, `NotThere`, `Conflict` and `redis.RedisError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from crewcall_worker import wire
from crewcall_worker.board.audit import Audit, Outcome
from crewcall_worker.board.doors import Visit
from crewcall_worker.board.problems import Conflict, Forbidden, NotThere, Refusal
from crewcall_worker.board.reading.source import Source
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues.drains import Drains
from crewcall_worker.queues.pauses import Pause, Pauses
from crewcall_worker.queues.pins import Pins

MOST_REPLICAS = 100_000


class Actions:
    """Those of one namespace, for whoever visits."""

    def __init__(self, broker: CrewcallBroker, source: Source, audit: Audit, *, is_read_only: bool = False) -> None:
        self.is_read_only = is_read_only
        self._source = source
        self._keys = source.keys
        self._client = source.client
        self._audit = audit
        self._pauses = Pauses(source.client, source.namespace)
        self._pins = Pins(source.client, source.namespace)
        self._drains = Drains(source.client, source.namespace)

    def may_act(self, visit: Visit) -> bool:
        """Whether a page is to offer actions to this visitor at all."""
        return visit.person.may_act and not self.is_read_only

    def pause(self, visit: Visit, queue: str, reason: str = "") -> Pause:
        """Nobody fetches from the queue any more, until it is resumed. What runs goes on to its end."""
        with self._noted(visit, "pause", f"queue {queue}", reason):
            self._check_queue(queue)
            return self._pauses.pause(queue, by=visit.person.subject, reason=reason)

    def resume(self, visit: Visit, queue: str) -> Pause | None:
        """Let the queue go on; the pause that this ends, None where there was none."""
        with self._noted(visit, "resume", f"queue {queue}"):
            self._check_queue(queue)
            return self._pauses.resume(queue, by=visit.person.subject)

    def pin(self, visit: Visit, pool: str, replicas: int) -> wire.Pin:
        """Hold the pool at so many replicas, within its bounds, until it is unpinned."""
        with self._noted(visit, "pin", f"pool {pool}", f"to {replicas} replicas"):
            if not 0 <= replicas <= MOST_REPLICAS:
                raise Conflict(f"replicas is {replicas}; expected 0 to {MOST_REPLICAS}")
            self._check_pool(pool)
            return self._pins.pin(pool, replicas, by=visit.person.subject)

    def unpin(self, visit: Visit, pool: str) -> bool:
        """Let the load decide again; false where it was not pinned here."""
        with self._noted(visit, "unpin", f"pool {pool}"):
            return self._pins.unpin(pool, by=visit.person.subject)

    def drain(self, visit: Visit, pool: str, worker: str) -> wire.Asked:
        """Have a worker finish what it runs, and take nothing more."""
        with self._noted(visit, "drain", f"worker {worker} of pool {pool}"):
            asked = self._drains.ask(pool, worker, by=visit.person.subject)
            if asked is None:
                raise NotThere(f"pool {pool} has no worker {worker}")
            return asked

    def withdraw(self, visit: Visit, pool: str, worker: str) -> bool:
        """Let a worker that was asked to drain work on; false where it was not."""
        with self._noted(visit, "withdraw", f"worker {worker} of pool {pool}"):
            return self._drains.withdraw(pool, worker, by=visit.person.subject)

    def _check_queue(self, queue: str) -> None:
        if not self._client.sismember(self._keys.queues, queue):
            raise NotThere(f"there is no queue {queue}; nobody has sent anything to it")

    def _check_pool(self, pool: str) -> None:
        if self._client.zscore(self._keys.pools, pool) is None:
            raise NotThere(f"there is no pool {pool}; no operator has told of it")

    @contextmanager
    def _noted(self, visit: Visit, action: str, target: str, detail: str = "") -> Iterator[None]:
        """What is done within is noted with its outcome, and is not begun by whom it is not for."""

        def note(outcome: Outcome, words: str) -> None:
            self._audit.note(visit.person.subject, action, target, outcome, detail=words, address=visit.address)

        if self.is_read_only:
            note(Outcome.REFUSED, "the board is read only")
            raise Forbidden("this board is read only")
        if not visit.person.may_act:
            note(Outcome.REFUSED, f"the role is {visit.person.role}")
            raise Forbidden(f"{visit.person.subject} is a {visit.person.role}; this takes the role operator")
        try:
            yield
        except Refusal as error:
            note(Outcome.FAILED, str(error))
            raise
        except redis.RedisError:
            note(Outcome.FAILED, "Redis did not answer; it may have been done")
            raise
        note(Outcome.DONE, detail)
