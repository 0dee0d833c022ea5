"""How long a new replica takes until its worker is there, learned from those that came before.

Pure. From the pod's creation to the first sight of its worker, in seconds; the median of the last few, since one
that waited for a node or an image says little about the next. Of pods whose worker was there when they were first
seen nothing is learned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from statistics import median

from crewcall_operator.core.observation import Pod

#: Start-ups that the median is of.
KEPT = 20

#: Seconds that a start is taken for while none was seen.
UNSEEN = 30.0


@dataclass(frozen=True, slots=True)
class Startups:
    """`lasted` are the last start-ups. Of the pods there are, `awaited` have yet to show a worker, `started` have."""

    default: float = UNSEEN
    lasted: tuple[float, ...] = ()
    awaited: frozenset[str] = frozenset()
    started: frozenset[str] = frozenset()

    @property
    def usual(self) -> float:
        """Seconds that a start takes; `default` where none was seen."""
        return median(self.lasted) if self.lasted else self.default

    def losing_sight(self) -> Startups:
        """Workers cannot be seen: of those that come meanwhile it will not be known when they came."""
        return replace(self, awaited=frozenset())

    def seeing(self, pods: Iterable[Pod], with_worker: Collection[str], now: float) -> Startups:
        """Look at the pods there are, and which of them have a worker that tells of itself."""
        created = {pod.name: pod.created for pod in pods}
        came = self.awaited & created.keys() & set(with_worker)
        started = (self.started | set(with_worker)) & created.keys()
        lasted = (*self.lasted, *sorted(now - created[name] for name in came))[-KEPT:]
        return replace(self, lasted=lasted, awaited=frozenset(created.keys() - started), started=started)
