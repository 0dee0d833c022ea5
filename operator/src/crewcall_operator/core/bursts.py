"""Bursts: how much came at once in the last half hour, to have at hand what cannot be called in time.

Pure and immutable. Where a replica takes longer to start than jobs may wait, those that come in the first moments of a
burst can only be done in time by replicas that are there already. How large such bursts are is learned from those that
came before, and forgotten after half an hour; the first one of its kind is met unprepared.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

BUCKET = 10.0
REMEMBERED = 1800.0

_MOST = 1 << 62


@dataclass(frozen=True, slots=True)
class Bursts:
    """`buckets` are the arrivals by ten seconds, as (number of the ten seconds, jobs), those without any left out.

    The one that is not over yet is in `last`.
    """

    buckets: tuple[tuple[int, int], ...] = ()
    last: tuple[int, int] = (0, 0)

    def adding(self, jobs: int, now: float) -> Bursts:
        """After `jobs` more by `now`."""
        bucket = int(now // BUCKET)
        if bucket == self.last[0]:
            return Bursts(self.buckets, (bucket, self.last[1] + jobs)) if jobs else self
        oldest = bucket - int(REMEMBERED / BUCKET)
        kept = self.buckets[bisect_right(self.buckets, (oldest, _MOST)) :]
        return Bursts((*kept, self.last) if self.last[1] else kept, (bucket, jobs))

    def size(self, within: float, share: float) -> int:
        """So many jobs come at most within so many seconds, ten at least, as `share` (at most 1) of all jobs see it."""
        return _size(self.buckets, max(1, round(within / BUCKET)), share) if self.buckets else 0


@lru_cache(maxsize=4096)
def _size(buckets: tuple[tuple[int, int], ...], width: int, share: float) -> int:
    """The quantile, each job counted, of the jobs that came in the `width` buckets up to its own."""
    sums, first, total = [], 0, 0
    for number, jobs in buckets:
        total += jobs
        while buckets[first][0] <= number - width:
            total -= buckets[first][1]
            first += 1
        sums.append((total, jobs))
    sizes = sorted(sums)
    seen = accumulate(jobs for _, jobs in sizes)
    wanted = share * sum(jobs for _, jobs in buckets)
    return next(size for (size, _), jobs in zip(sizes, seen, strict=True) if jobs >= wanted)


NO_BURSTS = Bursts()
