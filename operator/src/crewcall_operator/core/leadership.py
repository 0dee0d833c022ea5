"""Leadership: which of several operators may write, agreed on by one Lease that they all read and write.

Pure: no I/O, no clock. `Candidate` is what one operator knows; each method gives the candidate that follows, and `step`
says what to ask of the API server next. Asking it is `adapters/election.py`'s part.

The rules are those of client-go (`tools/leaderelection`, doc.go and leaderelection.go):

- Nobody compares clocks. A lease is taken for over once it has been *seen unchanged* for as long as it says, by the
  watcher's own clock, counted from when its present version was first seen.
- Every write names the version that it follows, so that of two at once the server takes one.
- Who leads stops by itself in good time: `Terms.deadline` after it *began to ask* for the last renewal that it was
  granted, whatever became of later ones. Others have seen that renewal no earlier, and wait for `Terms.lease`. The
  ratio of the two is how much faster than the slowest one a clock may run; the difference is for what was sent just
  before.

Beyond client-go: a lease that was deleted is waited for as if it were still there, by those who have seen it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import NamedTuple

#: Tells for how many more seconds this process may write: 0 where another may be writing.
Leadership = Callable[[], float]


def unopposed() -> float:
    """The leadership of an operator that is the only one: for ever."""
    return math.inf


@dataclass(frozen=True, slots=True)
class Terms:
    """In seconds. A lease says that it lasts for `lease`; its holder writes for `deadline` and renews every `renewal`.

    A request is given up after `attempt`, and one that failed is tried again after `retry`: between a renewal and the
    deadline there is time for a second one.
    """

    lease: int = 6
    deadline: float = 4.5
    renewal: float = 2.0
    attempt: float = 1.0
    retry: float = 0.5


class Record(NamedTuple):
    """What a Lease says: who holds it (empty: nobody), for how many seconds from now, and its version."""

    holder: str
    duration: float
    version: int


class Step(StrEnum):
    """What to do next."""

    LOOK = "read"
    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"


class View(Enum):
    """What is known of the Lease as it is now."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    THERE = "there"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One operator, by the name `me`. Times are on its own clock, which never goes back.

    `seen` is the last version that was seen, since `seen_at`; it is still there where `view` says so. `granted_at` is
    when the write was begun that made it leader, or kept it so; None where it does not lead.
    """

    me: str
    terms: Terms = Terms()
    view: View = View.UNKNOWN
    seen: Record | None = None
    seen_at: float = 0.0
    granted_at: float | None = None
    not_before: float = -math.inf

    def may_write_for(self, now: float) -> float:
        """Seconds for which it may go on writing; 0 where it may not."""
        return 0.0 if self.granted_at is None else max(0.0, self.granted_at + self.terms.deadline - now)

    def step(self, now: float) -> tuple[Step, float]:
        """What to do next, and when: at `now` or earlier means at once. Whatever is heard meanwhile may change it."""
        leads = self.may_write_for(now) > 0.0
        if self.view is View.UNKNOWN:
            return Step.LOOK, self.not_before
        free_at = self._free_at()
        if self.view is View.ABSENT:
            return Step.CREATE, max(free_at, self.not_before)
        if leads and self.granted_at is not None:
            return Step.RENEW, max(self.granted_at + self.terms.renewal, self.not_before)
        return Step.TAKE, max(free_at, self.not_before)

    def looked(self, found: Record | None, now: float) -> Candidate:
        """Asked for the Lease and was told; None where there is none."""
        if found is None:
            return replace(self, view=View.ABSENT)
        if self.seen is not None and self.seen.version == found.version:
            return replace(self, view=View.THERE)
        return replace(
            self,
            view=View.THERE,
            seen=found,
            seen_at=now,
            granted_at=self.granted_at if found.holder == self.me else None,
        )

    def heard(self, found: Record, now: float) -> Candidate:
        """Was told of a change. An older one than was seen already counts for nothing: watches lag behind."""
        if self.seen is not None and found.version <= self.seen.version:
            return self
        return self.looked(found, now)

    def heard_of_deletion(self, version: int) -> Candidate:
        """Was told that the Lease was deleted, at this version."""
        return self if self.seen is not None and version <= self.seen.version else replace(self, view=View.ABSENT)

    def granted(self, written: Record, asked_at: float, now: float) -> Candidate:
        """The write that was begun at `asked_at` was accepted, and is now this version."""
        if self.seen is not None and written.version < self.seen.version:
            return replace(self, view=View.UNKNOWN)  # what came after it was heard of before its answer
        known = self.looked(written, now)
        return replace(known, granted_at=asked_at if written.holder == self.me else None, not_before=-math.inf)

    def refused(self) -> Candidate:
        """The server has another version than the write was to follow: look, at once."""
        return replace(self, view=View.UNKNOWN, not_before=-math.inf)

    def failed(self, now: float) -> Candidate:
        """The request got no answer, or a bad one. It may have been carried out all the same."""
        return replace(self, not_before=now + self.terms.retry)

    def resigned(self) -> Candidate:
        """Writes no more from here on."""
        return replace(self, granted_at=None)

    def _free_at(self) -> float:
        """When nobody else can be leading any more, as far as was seen."""
        if self.seen is None or self.seen.holder in ("", self.me):
            return -math.inf
        return self.seen_at + self.seen.duration
