"""The ledger: how many jobs came to a queue and went, whoever counted them.

Pure and immutable; each look gives the ledger that follows. Workers with the runtime count what they finish, and
producers with it what they send; plain ones count nothing. Dramatiq itself tells at any moment how many jobs are held:
ready, or fetched and not acknowledged (HLEN of a queue's `.msgs`, dramatiq/brokers/redis/dispatch.lua). What came less
what went is what is more there than before, so whatever does not balance was not counted:

more held than counted     Somebody sent jobs without counting: they have come.
fewer, workers that count  Jobs are done and not told of yet, which happens once a second: they are owed. What is owed
                           for long was deleted, or lost with a killed worker: it fades within minutes.
fewer, workers that do not Jobs have ended. Their time is taken to be that of all threads that may have been running;
                           while Redis was silent they may have waited for it as well, and nothing is known of them.

Between two looks jobs that come and go uncounted cancel each other out. Then both are seen as fewer than they were, and
each of them as longer, in the same proportion: the load stays right, and a backlog is taken for more work than it is.
Counters that fell were deleted: what was in them is not known to have happened, and the books begin anew from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from crewcall_operator.core.counters import Counters, Crew
from crewcall_operator.core.observation import QueueState

#: Seconds after which half of what is owed is given up.
OWED_FOR = 60.0

#: Seconds after which an arrival counts half for the question who counts them.
HALF_LIFE = 600.0

#: The share of uncounted arrivals from which on they are told of; counts come a second late, which looks the same.
TOLERATED = 0.1


@dataclass(frozen=True, slots=True)
class Account:
    """One queue's. `last` and `held` are of the last look; `total` is what has happened, completed as above.

    `owed` jobs are gone and not counted yet. Of `arrivals` lately `uncounted` were counted by nobody.
    """

    last: Counters
    held: int
    total: Counters
    owed: float = 0.0
    arrivals: float = 0.0
    uncounted: float = 0.0

    @classmethod
    def beginning(cls, counted: Counters, held: int) -> Account:
        return cls(counted, held, counted)

    def seeing(
        self, counted: Counters, held: int, seconds: float, running: float | None, *, was_silent: bool = False
    ) -> Account:
        """After another look. `running` threads were at it where workers do not count, None where they do."""
        arrived, ended = counted.arrived - self.last.arrived, counted.ended - self.last.ended
        busy = max(0.0, counted.busy - self.last.busy)
        if arrived < 0 or ended < 0:
            return replace(self, last=counted, held=held, owed=0.0)
        surplus = held - self.held - (arrived - ended)
        if running is None:
            balance = surplus - self.owed * 0.5 ** (seconds / OWED_FOR)
            unknown = max(0, math.floor(balance))
            owed = unknown - balance
        else:
            unknown, owed = max(0, surplus), 0.0
            if not was_silent:
                ended += max(0, -surplus)
                busy = running * seconds
        kept = 0.5 ** (seconds / HALF_LIFE)
        return Account(
            counted,
            held,
            Counters(self.total.arrived + arrived + unknown, self.total.ended + ended, self.total.busy + busy),
            owed,
            self.arrivals * kept + arrived + unknown,
            self.uncounted * kept + unknown,
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """A pool's accounts by queue, as of `at`. `was_silent` where Redis has not told of them since, or nobody asked."""

    at: float | None = None
    accounts: Mapping[str, Account] = field(default_factory=dict)
    was_silent: bool = False

    def silent(self) -> Ledger:
        """After Redis was silent, or nobody asked it."""
        return self if self.at is None else replace(self, was_silent=True)

    def seeing(self, queues: Sequence[QueueState], crew: Crew | None, now: float) -> Ledger:
        """After a look at `now`. Where the counters of a queue could not be read, nothing is learned."""
        counters = {queue.name: queue.counters for queue in queues if queue.counters is not None}
        if len(counters) < len(queues) or now == self.at:
            return self
        seconds = 0.0 if self.at is None else now - self.at
        accounts = {}
        fetched = sum(queue.in_flight for queue in queues)
        for queue in queues:
            counted, known, held = counters[queue.name], self.accounts.get(queue.name), queue.ready + queue.in_flight
            running = None
            if crew is not None and not crew.counts:
                # Which queue their threads are at nobody tells: they are spread as what was fetched.
                running = crew.busy * queue.in_flight / fetched if fetched else 0.0
            accounts[queue.name] = (
                Account.beginning(counted, held)
                if known is None
                else known.seeing(counted, held, seconds, running, was_silent=self.was_silent)
            )
        return Ledger(now, accounts)

    @property
    def totals(self) -> dict[str, Counters]:
        """What has happened at each queue since ever."""
        return {name: account.total for name, account in self.accounts.items()}

    @property
    def misses_producers(self) -> bool:
        """Whether jobs come that no producer counts."""
        arrivals = sum(account.arrivals for account in self.accounts.values())
        return sum(account.uncounted for account in self.accounts.values()) > TOLERATED * arrivals


NO_ENTRIES = Ledger()
