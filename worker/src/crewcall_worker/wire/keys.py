"""Every key in Redis: its name, its type and what is in it.

Dramatiq's own keys keep Dramatiq's meaning (dramatiq/brokers/redis/dispatch.lua), so that plain producers and plain
workers go on working on the same queues. What Crewcall adds is under `crewcall:<dramatiq namespace>:`. Every time is
Redis's own (TIME), in milliseconds since the epoch, a whole number: one clock for all. A pool is what `pool_name` makes
of its name; a worker is its id, which is its Dramatiq broker id. A queue is taken by its plain name, without .DQ or
.XQ, whichever is handed in. `sweep:<pool>` and `plain:<pool>` are two scripts' own, and described at their heads.
"""

from __future__ import annotations

from dataclasses import dataclass

from crewcall_worker.wire.names import DEAD, plain_queue


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of all keys of one Dramatiq namespace, and of Crewcall's channels."""

    namespace: str = "dramatiq"

    # Crewcall's

    @property
    def prefix(self) -> str:
        """What all of Crewcall's keys begin with."""
        return f"crewcall:{self.namespace}:"

    def workers(self, pool: str) -> str:
        """Hash: worker -> JSON, see `WorkerRecord`. Written by the worker each second and on change, with its heartbeat
        in Dramatiq's `__heartbeats__`, which is written for a time to come (`HEARTBEAT_AHEAD_MS`); removed when it
        leaves or is declared dead. A worker without a record here fetches nothing. `process` is the boot id of its
        kernel, "/", the namespace of its process number, and after blanks that number and when it began in ticks
        (/proc): a worker of the same namespace sees by it whether it lives."""
        return f"{self.prefix}workers:{pool}"

    def orders(self, pool: str) -> str:
        """Hash: pod -> "drain"; absent or "run": work. Written by the operator or the local mode."""
        return f"{self.prefix}orders:{pool}"

    def fenced(self, pool: str) -> str:
        """Zset: worker -> when it was declared dead. Kept for a day."""
        return f"{self.prefix}fenced:{pool}"

    def kills(self, queue: str) -> str:
        """Hash: redis_message_id -> how often a worker died with it. Removed with the message."""
        return f"{self.prefix}kills:{plain_queue(queue)}"

    def deliveries(self, queue: str) -> str:
        """Hash: redis_message_id -> how often a worker had begun it and did not finish it: it died, or its time to
        drain was up. Removed with the message."""
        return f"{self.prefix}deliveries:{plain_queue(queue)}"

    def started(self, worker: str) -> str:
        """Set: ids in `kills` that this worker has begun. Expires."""
        return f"{self.prefix}started:{worker}"

    def stats(self, queue: str) -> str:
        """Hash: counters since ever, see `Counter`."""
        return f"{self.prefix}stats:{plain_queue(queue)}"

    def eta(self, queue: str) -> str:
        """Zset: redis_message_id of a delayed message -> when it is due. By it a worker whose memory is full of later
        ones takes what is due soon out of the middle of Dramatiq's list."""
        return f"{self.prefix}eta:{plain_queue(queue)}"

    def trace(self, queue: str) -> str:
        """List: runs of jobs that ended while somebody recorded, see `write_run`. Written by the workers each second,
        taken by the recorder; the last rows are dropped above `MOST_TRACED`. Expires."""
        return f"{self.prefix}trace:{plain_queue(queue)}"

    def recorder(self, queue: str) -> str:
        """String: there while somebody records the queue: for workers that were not there, or did not listen, when it
        was said on the channel. Expires after `RECORDED_FOR_MS`."""
        return f"{self.prefix}recorder:{plain_queue(queue)}"

    def lanes(self, queue: str) -> str:
        """Zset: each lane that is not empty -> when its turn is: priority * `TURNS` + turn, so that priorities go
        strictly and the lanes of one take turns. A lane is named "1:acme" by its priority and its organisation ("" for
        none), see `Lane`."""
        return f"{self.prefix}lanes:{plain_queue(queue)}"

    def lane(self, queue: str, lane: str) -> str:
        """List: ids in this lane, the next one first. The messages are in Dramatiq's `<queue>.msgs`. `lane` is a
        `Lane`'s name; without it, what the keys of all lanes of the queue begin with."""
        return f"{self.prefix}lane:{plain_queue(queue)}:{lane}"

    def waiting(self, queue: str) -> str:
        """Zset: id in any lane of the queue -> when it became ready. What is ready is in here or in Dramatiq's list,
        never in both: from that the head is taken before all lanes, which is where plain producers send to, and what
        was fetched comes back to."""
        return f"{self.prefix}waiting:{plain_queue(queue)}"

    def limits(self, queue: str) -> str:
        """Hash: organisation -> how many of its jobs may be in flight at once; "*": for all others."""
        return f"{self.prefix}limits:{plain_queue(queue)}"

    def taken(self, queue: str, organization: str) -> str:
        """Set: ids of an organisation with a limit that are in flight, or came back to the head. One that is in no
        `<queue>.msgs` any more does not count."""
        return f"{self.prefix}taken:{plain_queue(queue)}:{organization}"

    def full(self, queue: str) -> str:
        """Zset: as `lanes:<queue>`, of organisations at their limit: nobody takes from these."""
        return f"{self.prefix}full:{plain_queue(queue)}"

    def surplus(self, queue: str) -> str:
        """Hash: organisation -> how many of its waiting jobs are beyond its limit; "": of all."""
        return f"{self.prefix}surplus:{plain_queue(queue)}"

    def dedupe(self, queue: str, like: str) -> str:
        """String: id of the job that was enqueued with this key: its like, of the same organisation and type, are not,
        until it expires. `like` is a `likeness`."""
        return f"{self.prefix}dedupe:{plain_queue(queue)}:{like}"

    def sent(self, id_: str) -> str:
        """String: there for 10 s after an enqueue, by the redis_message_id of its first message: by it a producer that
        lost the answer, and asks again, does not enqueue anew. Expires."""
        return f"{self.prefix}sent:{id_}"

    def running(self, queue: str) -> str:
        """Zset: redis_message_id of a job that runs -> since when. Told by its worker each second, so jobs shorter than
        that are seldom in it; that of a dead worker may be there still, which `acks` tells. Expires."""
        return f"{self.prefix}running:{plain_queue(queue)}"

    def runners(self, queue: str) -> str:
        """Hash: redis_message_id of a job in `running` -> its worker. Expires."""
        return f"{self.prefix}runners:{plain_queue(queue)}"

    def completed(self, queue: str) -> str:
        """Zset: id of a typed job that is done -> when. What is older or more than is kept is dropped with the next
        one; expires."""
        return f"{self.prefix}completed:{plain_queue(queue)}"

    def records(self, queue: str) -> str:
        """Hash: id of a job in `completed` -> JSON, see `queues.records`. Goes with it."""
        return f"{self.prefix}records:{plain_queue(queue)}"

    def organization(self, organization: str, day: int) -> str:
        """Hash: "<queue>.enqueued", ".done", ".failed" -> typed jobs of an organisation on that day (UTC, in days since
        the epoch). Expires."""
        return f"{self.prefix}organization:{organization}:{day}"

    def organizations(self, day: int) -> str:
        """Zset: organisation -> its jobs that were over on that day. Expires."""
        return f"{self.prefix}organizations:{day}"

    def rate(self, job: str, key: str) -> str:
        """Hash: a rate limit in use, see `lua/rate.lua`. Expires once it would let anybody start."""
        return f"{self.prefix}rate:{job}:{key}"

    def turns(self, job: str, key: str, organization: str) -> str:
        """String: the first turn in that limit that no job of this organisation has. Expires with it."""
        return f"{self.prefix}turns:{job}:{key}:{organization}"

    @property
    def pools(self) -> str:
        """Zset: pool -> when the operator last told of it. One that it scales no more goes."""
        return f"{self.prefix}pools"

    def pool(self, pool: str) -> str:
        """String: JSON of how the operator found the pool and what it decided, see `PoolRecord`. Written by the
        operator or the local mode when it changes, and each hour. Expires after `POOL_KEPT_MS`."""
        return f"{self.prefix}pool:{pool}"

    def history(self, pool: str) -> str:
        """Stream: how the pool was, one entry each `SAMPLE_EVERY_MS` at most while that changes and one for each
        decision that moves replicas, see `HistoryEntry`; about the last `MOST_HISTORY` are kept. Expires after
        `POOL_KEPT_MS`."""
        return f"{self.prefix}history:{pool}"

    @property
    def pins(self) -> str:
        """Hash: pool -> JSON of who pinned it, to how many replicas, and when, see `Pin`. Written by hand
        (`queues.pins`), read by the operator."""
        return f"{self.prefix}pins"

    def asked(self, pool: str) -> str:
        """Hash: worker -> JSON of who asked it to drain, and when, see `Asked`. Written by hand (`queues.drains`); the
        worker drains while it is there, and its pod is replaced. Goes with the worker; expires."""
        return f"{self.prefix}asked:{pool}"

    @property
    def audit(self) -> str:
        """Stream: who did what with the board: by, action, target, outcome, detail, address. Cut to about 10,000
        entries."""
        return f"{self.prefix}audit"

    def session(self, digest: str) -> str:
        """String: JSON of who is logged in to the board; expires with that. The digest is that of the cookie and of
        what tokens are checked by."""
        return f"{self.prefix}session:{digest}"

    @property
    def retention(self) -> str:
        """String: how long dead letters are kept, in ms, as the worker that began last was told. Absent: for 7 days."""
        return f"{self.prefix}retention"

    @property
    def schedules(self) -> str:
        """Hash: name -> JSON, see `queues.plans`."""
        return f"{self.prefix}schedules"

    @property
    def ticks(self) -> str:
        """Zset: name of a schedule -> its next tick, which is in its queue as a delayed message."""
        return f"{self.prefix}ticks"

    @property
    def planned(self) -> str:
        """Hash: name of a schedule -> JSON: that message, and the tick before, see `queues.plans`."""
        return f"{self.prefix}planned"

    @property
    def paused(self) -> str:
        """Hash: queue that nobody fetches from -> JSON of who paused it, and when."""
        return f"{self.prefix}paused"

    @property
    def pauses(self) -> str:
        """Channel: a queue's plain name: it was paused or resumed."""
        return f"{self.prefix}pauses"

    @property
    def health(self) -> str:
        """String: written by producers that ask whether Redis takes jobs. Expires at once."""
        return f"{self.prefix}health"

    @property
    def queues(self) -> str:
        """Set: every queue that the runtime has seen."""
        return f"{self.prefix}queues"

    @property
    def hints(self) -> str:
        """Channel: a queue's name, with .DQ for delayed messages: it was empty, and has work now."""
        return f"{self.prefix}hints"

    @property
    def orders_changed(self) -> str:
        """Channel: a pod's name: its order has changed. Losing one costs a second, no more."""
        return f"{self.prefix}orders"

    @property
    def recording(self) -> str:
        """Channel: a queue's plain name: somebody records it for the next `RECORDED_FOR_MS`."""
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
