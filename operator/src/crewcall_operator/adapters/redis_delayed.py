"""When delayed jobs are due, as far as can be told: those of producers with the runtime exactly, others by a scan.

The runtime keeps an index; for messages without an entry the script goes through Dramatiq's hash, so many at a time,
and what one look has not come to stays for the next. Until the first scan is over the figures are at least those of
the part that was read; a finished one holds until the next is. What the script answers is at its head
(`crewcall_worker/lua/delayed.lua`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from crewcall_operator.adapters.redis_link import Call
from crewcall_operator.api.pool import Pool
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire

QUEUES_IN_A_SCRIPT = 100
#: Messages without an index entry that one look reads in one queue.
SCANNED = 200


@dataclass(frozen=True, slots=True)
class Delayed:
    """How many of a queue's delayed jobs are due, and in how many seconds the next is; None where there is none."""

    due: int = 0
    next_due_in: float | None = None


NOTHING_DELAYED = Delayed()


@dataclass(frozen=True, slots=True)
class _Scan:
    """What a scan has come to: its cursor, how many found were due, and when the first of the others is, in ms."""

    cursor: str = "0"
    due: int = 0
    first_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Scans:
    """The scan that is under way, and the last one that came to its end."""

    running: _Scan = _Scan()
    finished: _Scan = _Scan()


class DelayedJobs:
    """What was found on one Redis so far, by queue; the scans go on from look to look.

    `queues` are those with delayed jobs, as "<namespace>:<queue>": asking about all others too would double the cost
    of a look.
    """

    def __init__(self) -> None:
        self.queues: frozenset[str] = frozenset()
        self._scans: dict[str, _Scans] = {}

    def calls(self, pools: Sequence[Pool], keys: Collection[str]) -> list[Call]:
        """What to ask about those queues of these pools that are among `keys`."""
        queues: dict[str, dict[str, None]] = defaultdict(dict)
        for pool in pools if keys else ():
            namespace = pool.redis.namespace
            mine = [queue.name for queue in pool.policy.queues if f"{namespace}:{queue.name}" in keys]
            queues[namespace].update(dict.fromkeys(mine))
        calls = []
        for namespace, names in queues.items():
            asked = list(names)
            for at in range(0, len(asked), QUEUES_IN_A_SCRIPT):
                batch = asked[at : at + QUEUES_IN_A_SCRIPT]
                pairs = [word for name in batch for word in (name, self._cursor(f"{namespace}:{name}"))]
                calls.append(Call(wire.READ_DELAYED, [namespace, "0", str(SCANNED), *pairs]))
        return calls

    def understand(self, calls: Sequence[Call], answers: Sequence[Any], now_ms: int) -> dict[str, Delayed | str]:
        """What the answers say of each "<namespace>:<queue>"; where it was refused, why, in words."""
        found: dict[str, Delayed | str] = {}
        for call, answer in zip(calls, answers, strict=True):
            namespace, _, _, *pairs = call.arguments
            keys = [f"{namespace}:{name}" for name in pairs[::2]]
            if isinstance(answer, QueueUnavailable):
                found.update(dict.fromkeys(keys, f"when delayed jobs are due is not known: {answer}"))
                continue
            for key, figures in zip(keys, answer, strict=True):
                found[key] = self._delayed(key, figures, now_ms)
        return found

    def forget(self, keys: Set[str]) -> None:
        """Nobody asks about these "<namespace>:<queue>" any more."""
        self.queues = self.queues.difference(keys)
        for key in keys & self._scans.keys():
            del self._scans[key]

    def _cursor(self, key: str) -> str:
        return self._scans[key].running.cursor if key in self._scans else "0"

    def _delayed(self, key: str, figures: Sequence[Any], now_ms: int) -> Delayed:
        look = wire.read_delayed(figures)
        due, times = look.due, [] if look.first_ms is None else [look.first_ms]
        if look.unindexed > 0:
            scans = self._scans[key] = _continued(self._scans.get(key, _Scans()), look)
            both = (scans.running, scans.finished)
            times += [scan.first_ms for scan in both if scan.first_ms is not None]
            due += max(scan.due for scan in both)
        else:
            self._scans.pop(key, None)
        return Delayed(due, max(0.0, (min(times) - now_ms) / 1000) if times else None)


def _continued(scans: _Scans, look: wire.Delayed) -> _Scans:
    before = scans.running
    times = [time for time in (before.first_ms, look.read_first_ms) if time is not None]
    running = _Scan(look.cursor, before.due + look.read_due, min(times, default=None))
    if look.cursor == "0":
        return _Scans(finished=running)
    return replace(scans, running=running)
