"""What a pool's next decision must remember of the ones before it.

Pure and immutable: each function returns the memory that follows. Times are seconds on one clock.
A run of equal recommendations is kept as one entry, so that an hour of steady load is one entry, not thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from crewcall_operator.core.flow import NOTHING_KNOWN, Flow
from crewcall_operator.core.ledger import NO_ENTRIES, Ledger
from crewcall_operator.core.observation import Observation
from crewcall_operator.core.pin import Pin
from crewcall_operator.core.saturation import UNTRIED, Saturation
from crewcall_operator.core.startups import UNSEEN, Startups

#: The longest period that a scaling policy may have, in seconds, as in the HPA; older changes are forgotten.
LONGEST_PERIOD = 1800.0

#: Seconds without an observation after which it counts anew for how long an order has been standing: while Redis was
#: away, nobody could hear of it.
GAP = 5.0


class Recommendation(NamedTuple):
    """The target asked for `replicas`, last at `until`."""

    until: float
    replicas: int


class Change(NamedTuple):
    """At `at` the replicas were changed by `delta`."""

    at: float
    delta: int


@dataclass(frozen=True, slots=True)
class Memory:
    """`observed_at` is when Redis last answered, `busy_at` when work was last outstanding.

    `orders` are the pods that are asked to drain, each with when that began. `threads` is how many jobs a replica runs
    at once, as its workers told last; None where none ever did. `pin` is the one by hand that was last read.
    """

    recommendations: tuple[Recommendation, ...]
    observed_at: float
    busy_at: float
    changes: tuple[Change, ...] = ()
    orders: Mapping[str, float] = field(default_factory=dict)
    startups: Startups = field(default_factory=Startups)
    flow: Flow = NOTHING_KNOWN
    ledger: Ledger = NO_ENTRIES
    saturation: Saturation = UNTRIED
    threads: int | None = None
    pin: Pin | None = None

    @classmethod
    def beginning(cls, now: float, current: int, startup: float = UNSEEN) -> Memory:
        """Start from what runs: as if it had just been recommended, so that a restart never scales down at once."""
        recommendations = (Recommendation(now, current),)
        return cls(recommendations, observed_at=now, busy_at=now, startups=Startups(default=startup))

    @property
    def looked_at(self) -> float:
        """When something was last recommended, if only to hold."""
        return self.recommendations[-1].until

    def highest_since(self, cutoff: float, at_least: int) -> int:
        """The highest recommendation after `cutoff`, or `at_least` if that is higher."""
        return max([at_least, *(r.replicas for r in self.recommendations if r.until > cutoff)])

    def lowest_since(self, cutoff: float, at_most: int) -> int:
        """The lowest recommendation after `cutoff`, or `at_most` if that is lower."""
        return min([at_most, *(r.replicas for r in self.recommendations if r.until > cutoff)])

    def added_since(self, cutoff: float) -> int:
        """Replicas added after `cutoff` less those removed: what undone gives the replicas at `cutoff`."""
        return sum(change.delta for change in self.changes if change.at > cutoff)

    def recommending(self, replicas: int, now: float, window: float) -> Memory:
        """Remember what the target alone asked for, and nothing older than `window` seconds."""
        kept = tuple(r for r in self.recommendations if r.until > now - window)
        if kept and kept[-1].replicas == replicas:
            kept = kept[:-1]
        return replace(self, recommendations=(*kept, Recommendation(now, replicas)))

    def observing(self, outstanding: int, now: float) -> Memory:
        """Remember that Redis answered."""
        return replace(self, observed_at=now, busy_at=now if outstanding else self.busy_at)

    def losing_sight(self, now: float) -> Memory:
        """Remember that Redis did not answer: there may have been work."""
        return replace(self, busy_at=now, ledger=self.ledger.silent())

    def resuming(self, current: int, now: float, window: float) -> Memory:
        """Remember that nobody has looked for a while: what was asked for meanwhile, and whether, nobody knows."""
        return self.recommending(current, now, window).losing_sight(now)

    def trusting(self, current: int, now: float, window: float) -> Memory:
        """Remember that another made it `current`: where that is more than was asked for here, it has seen more."""
        asked = self.highest_since(now - window, at_least=0)
        return self.recommending(current, now, window) if current > asked else self

    def changing(self, delta: int, now: float) -> Memory:
        """Remember a change of replicas that was carried out."""
        kept = tuple(change for change in self.changes if change.at > now - LONGEST_PERIOD)
        return replace(self, changes=(*kept, Change(now, delta)))

    def standing(self, orders: Iterable[str], now: float) -> Memory:
        """Remember which orders there are in Redis now, before `observing`."""
        known = self.orders if now - self.observed_at <= GAP else {}
        return replace(self, orders={pod: known.get(pod, now) for pod in orders})

    def ordering(self, pods: Iterable[str], now: float) -> Memory:
        """Remember orders that are being given."""
        return replace(self, orders={**self.orders, **dict.fromkeys(pods, now)})

    def hearing(self, threads: int | None) -> Memory:
        """Remember how many jobs a replica runs at once, where its workers tell."""
        return self if threads is None else replace(self, threads=threads)

    def pinning(self, observed: Observation) -> Memory:
        """Remember the pin by hand, or that there is none; where it could not be read it is as it was."""
        return replace(self, pin=observed.pin) if observed.knows_pin else self

    def resting(self, at: float) -> Memory:
        """Remember that nothing happened until `at`, since the last look."""
        *before, last = self.recommendations
        ledger = replace(self.ledger, at=at) if self.ledger.at is not None else self.ledger
        return replace(
            self,
            recommendations=(*before, last._replace(until=at)),
            observed_at=at,
            ledger=ledger,
            flow=self.flow.seeing(ledger.totals, at),
        )

    def working(self, observed: Observation, now: float) -> Memory:
        """Remember what `observed` tells of the work; nothing where it was taken into account, or tells nothing."""
        ledger = self.ledger.seeing(observed.queues, observed.crew, now)
        if ledger is self.ledger:
            return self
        flow = self.flow.seeing(ledger.totals, now, observed.paused)
        saturation = self.saturation.seeing(observed, ledger.totals, now)
        return replace(self, flow=flow, ledger=ledger, saturation=saturation)
