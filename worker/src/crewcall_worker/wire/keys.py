"""The names of all keys; their types and meanings are at the head of the package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

READY_AT: Final = "ready_at"
"""The message option: when the job became or becomes ready, in ms."""

DELAYED, DEAD = ".DQ", ".XQ"
"""What Dramatiq puts behind a queue's name for its delayed messages and its dead letters (dramatiq/common.py)."""

LONGEST_KEY: Final = 100
"""Characters; of a longer one Redis has a digest."""


def pool_name(namespace: str, name: str) -> str:
    """What a pool is called in keys: pools of different Kubernetes namespaces may share a Redis."""
    return f"{namespace}/{name}" if namespace else name


def plain_queue(queue: str) -> str:
    """The queue's name without .DQ or .XQ."""
    return queue.removesuffix(DELAYED).removesuffix(DEAD)


def short(key: str) -> str:
    """A key that somebody has chosen; of a long one its digest."""
    return key if len(key) <= LONGEST_KEY else "~" + hashlib.sha256(key.encode()).hexdigest()


def likeness(organization: str, job: str, key: str) -> str:
    """By what a job is told from its like: those of another organisation or type never are. The lengths keep one text
    from reaching into the next."""
    return f"{len(organization)}:{organization}:{len(job)}:{job}:{short(key)}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of all keys of one Dramatiq namespace; types and meanings are at the head of the package."""

    namespace: str = "dramatiq"

    # Crewcall's

    @property
    def prefix(self) -> str:
        """What all of Crewcall's keys begin with."""
        return f"crewcall:{self.namespace}:"

    def workers(self, pool: str) -> str:
        return f"{self.prefix}workers:{pool}"

    def orders(self, pool: str) -> str:
        return f"{self.prefix}orders:{pool}"

    def fenced(self, pool: str) -> str:
        return f"{self.prefix}fenced:{pool}"

    def kills(self, queue: str) -> str:
        return f"{self.prefix}kills:{plain_queue(queue)}"

    def deliveries(self, queue: str) -> str:
        return f"{self.prefix}deliveries:{plain_queue(queue)}"

    def started(self, worker: str) -> str:
        return f"{self.prefix}started:{worker}"

    def stats(self, queue: str) -> str:
        return f"{self.prefix}stats:{plain_queue(queue)}"

    def eta(self, queue: str) -> str:
        return f"{self.prefix}eta:{plain_queue(queue)}"

    def trace(self, queue: str) -> str:
        return f"{self.prefix}trace:{plain_queue(queue)}"

    def recorder(self, queue: str) -> str:
        return f"{self.prefix}recorder:{plain_queue(queue)}"

    def lanes(self, queue: str) -> str:
        return f"{self.prefix}lanes:{plain_queue(queue)}"

    def lane(self, queue: str, lane: str) -> str:
        """`lane` is a `Lane`'s name; without it, what the keys of all lanes of the queue begin with."""
        return f"{self.prefix}lane:{plain_queue(queue)}:{lane}"

    def waiting(self, queue: str) -> str:
        return f"{self.prefix}waiting:{plain_queue(queue)}"

    def limits(self, queue: str) -> str:
        return f"{self.prefix}limits:{plain_queue(queue)}"

    def taken(self, queue: str, organization: str) -> str:
        return f"{self.prefix}taken:{plain_queue(queue)}:{organization}"

    def full(self, queue: str) -> str:
        return f"{self.prefix}full:{plain_queue(queue)}"

    def surplus(self, queue: str) -> str:
        return f"{self.prefix}surplus:{plain_queue(queue)}"

    def dedupe(self, queue: str, like: str) -> str:
        """`like` is a `likeness`."""
        return f"{self.prefix}dedupe:{plain_queue(queue)}:{like}"

    def sent(self, id_: str) -> str:
        return f"{self.prefix}sent:{id_}"

    def running(self, queue: str) -> str:
        return f"{self.prefix}running:{plain_queue(queue)}"

    def runners(self, queue: str) -> str:
        return f"{self.prefix}runners:{plain_queue(queue)}"

    def completed(self, queue: str) -> str:
        return f"{self.prefix}completed:{plain_queue(queue)}"

    def records(self, queue: str) -> str:
        return f"{self.prefix}records:{plain_queue(queue)}"

    def organization(self, organization: str, day: int) -> str:
        return f"{self.prefix}organization:{organization}:{day}"

    def organizations(self, day: int) -> str:
        return f"{self.prefix}organizations:{day}"

    def rate(self, job: str, key: str) -> str:
        return f"{self.prefix}rate:{job}:{key}"

    def turns(self, job: str, key: str, organization: str) -> str:
        return f"{self.prefix}turns:{job}:{key}:{organization}"

    @property
    def pools(self) -> str:
        return f"{self.prefix}pools"

    def pool(self, pool: str) -> str:
        return f"{self.prefix}pool:{pool}"

    def history(self, pool: str) -> str:
        return f"{self.prefix}history:{pool}"

    @property
    def pins(self) -> str:
        return f"{self.prefix}pins"

    def asked(self, pool: str) -> str:
        return f"{self.prefix}asked:{pool}"

    @property
    def audit(self) -> str:
        return f"{self.prefix}audit"

    def session(self, digest: str) -> str:
        return f"{self.prefix}session:{digest}"

    @property
    def retention(self) -> str:
        return f"{self.prefix}retention"

    @property
    def schedules(self) -> str:
        return f"{self.prefix}schedules"

    @property
    def ticks(self) -> str:
        return f"{self.prefix}ticks"

    @property
    def planned(self) -> str:
        return f"{self.prefix}planned"

    @property
    def paused(self) -> str:
        return f"{self.prefix}paused"

    @property
    def pauses(self) -> str:
        """A channel."""
        return f"{self.prefix}pauses"

    @property
    def health(self) -> str:
        return f"{self.prefix}health"

    @property
    def queues(self) -> str:
        return f"{self.prefix}queues"

    @property
    def hints(self) -> str:
        """A channel."""
        return f"{self.prefix}hints"

    @property
    def orders_changed(self) -> str:
        """A channel."""
        return f"{self.prefix}orders"

    @property
    def recording(self) -> str:
        """A channel."""
        return f"{self.prefix}recording"

    # Dramatiq's: here `queue` is taken as it is, .DQ or .XQ included

    def ready(self, queue: str) -> str:
        """List of ids, the next one first."""
        return f"{self.namespace}:{queue}"

    def messages(self, queue: str) -> str:
        """Hash: id -> message, of all that are ready or fetched; of a .XQ, of the dead letters."""
        return f"{self.namespace}:{queue}.msgs"

    def dead(self, queue: str) -> str:
        """Zset: id of a dead letter -> when it became one, ms."""
        return f"{self.namespace}:{plain_queue(queue)}{DEAD}"

    def acks(self, worker: str, queue: str) -> str:
        """Set of the ids that this worker has fetched and not yet acknowledged."""
        return f"{self.namespace}:__acks__.{worker}.{queue}"

    @property
    def heartbeats(self) -> str:
        """Zset: broker id -> when it was last heard of, ms; for workers with the runtime, later than that by
        `HEARTBEAT_AHEAD_MS`. Producers are in it as well."""
        return f"{self.namespace}:__heartbeats__"
