"""The contract between the operator and the workers: what either side writes and the other reads.

Standard library only, and no I/O but for its own scripts: the operator imports this module and nothing else of the
worker.

Environment of a worker process
-------------------------------
The operator (in a pod template) and the local mode (for a process) set these; the worker reads them. A variable
that the user's own template sets is left as it is.

Keys in Redis
-------------
Dramatiq's own keys keep Dramatiq's meaning (dramatiq/brokers/redis/dispatch.lua), so that plain producers and plain
workers go on working on the same queues. What Crewcall adds is under `crewcall:<dramatiq namespace>:`. Every time is
Redis's own (TIME), in milliseconds since the epoch, a whole number: one clock for all. `<queue>` is a queue's plain
name, without .DQ or .XQ; `<pool>` is `pool_name(...)`; `<worker>` is a worker's id, which is its Dramatiq broker id.

========================  =======  ==================================================================================
workers:<pool>            hash     worker -> JSON, see `WorkerRecord`. Written by the worker each second and on change,
                                   with its heartbeat in Dramatiq's `__heartbeats__`; removed when it leaves or is
                                   declared dead. A worker without a record here fetches nothing.
orders:<pool>             hash     pod -> "drain"; absent or "run": work. Written by the operator or the local mode.
fenced:<pool>             zset     worker -> when it was declared dead. Kept for a day.
kills:<queue>             hash     redis_message_id -> how often a worker died with it. Removed with the message.
deliveries:<queue>        hash     redis_message_id -> how often a worker had begun it and did not finish it: it died,
                                   or its time to drain was up. Removed with the message.
started:<worker>          set      ids in `kills` that this worker has begun. Expires.
stats:<queue>             hash     counters since ever, see `Counter`.
eta:<queue>               zset     redis_message_id of a delayed message -> when it is due.
trace:<queue>             list     runs of jobs that ended while somebody recorded, see `write_run`. Written by the
                                   workers each second, taken by the recorder; the last rows are dropped above
                                   `MOST_TRACED`. Expires.
queues                    set      every queue that the runtime has seen.
sweep:<pool>              hash     at_ms: when silent workers were last looked for; since_ms: until then nobody could.
hints                     channel  a queue's name, with .DQ for delayed messages: it was empty, and has work now.
orders                    channel  a pod's name: its order has changed. Losing one costs a second, no more.
recording                 channel  a queue's plain name: somebody records it for the next `RECORDED_FOR_MS`.
========================  =======  ==================================================================================

Message option `ready_at` (ms): when a job became ready, or becomes so.

Scripts for whoever has a Redis client: `RECOVER`, `SWEEP`, `READ_DELAYED`. The head of each tells what it takes and
answers.

Versions: every record has `v`. A reader ignores fields that it does not know and takes None for those that are
missing. A higher `v` than its own means that it cannot understand the record: see `read_worker`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

WIRE_VERSION: Final = 1

ENV_POOL: Final = "CREWCALL_POOL"
"""The WorkerPool's name."""

ENV_NAMESPACE: Final = "CREWCALL_NAMESPACE"
"""The WorkerPool's Kubernetes namespace. Not to be confused with `ENV_REDIS_NAMESPACE`."""

ENV_POD: Final = "CREWCALL_POD"
"""The name of the pod, or of the process in the local mode: which replica this worker is."""

ENV_REDIS_URL: Final = "REDIS_URL"
"""Where the queues live, in redis-py's notation: redis://, rediss:// or unix://."""

ENV_REDIS_NAMESPACE: Final = "CREWCALL_REDIS_NAMESPACE"
"""Dramatiq's key prefix in Redis (`RedisBroker(namespace=...)`)."""

ENV_QUEUES: Final = "CREWCALL_QUEUES"
"""The queues to consume, separated by commas."""

ENV_THREADS: Final = "CREWCALL_THREADS"
"""Jobs to run at once, a whole number. Absent where the pool does not tell: then the worker chooses."""

ENV_SHUTDOWN_TIMEOUT: Final = "CREWCALL_SHUTDOWN_TIMEOUT"
"""Seconds that running jobs are given after SIGTERM, a decimal number; below the pod's grace period."""

ENV_LAPSED_AFTER: Final = "CREWCALL_LAPSED_AFTER"
"""Seconds of silence after which a worker is taken for dead, a decimal number; the same for all of a pool."""

ENV_MOST_KILLS: Final = "CREWCALL_MOST_KILLS"
"""How many workers a job may kill before it becomes a dead letter, a whole number."""

ENV_METRICS_PORT: Final = "CREWCALL_METRICS_PORT"
"""Where the worker serves /metrics, /healthz and /readyz. Absent: nowhere."""

BEAT_EVERY: Final = 1.0
"""Seconds between two records of a worker, if nothing changes."""

LAPSED_AFTER_MS: Final = 30_000
"""A worker whose record is older than this is taken for dead, unless nobody could write for that long. A default."""

MOST_KILLS: Final = 3
"""How many workers a message may kill before it becomes a dead letter. A default."""

FENCED_FOR_MS: Final = 86_400_000
"""How long a worker that was declared dead can find that out."""

RECORDED_FOR_MS: Final = 10_000
"""How long workers write to `trace:<queue>` after a recorder asked for it; it asks anew before that is over."""

MOST_TRACED: Final = 20_000
"""The most runs in `trace:<queue>`; whoever finds as many there has to take it that others are missing."""

TRACE_KEPT_MS: Final = 60_000
"""How long a trace that nobody takes is kept."""

READY_AT: Final = "ready_at"
"""The message option: when the job became or becomes ready, in ms."""

DELAYED, DEAD = ".DQ", ".XQ"
"""What Dramatiq puts behind a queue's name for its delayed messages and its dead letters (dramatiq/common.py)."""


WAIT_BUCKETS_MS: Final = (
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    60_000,
    120_000,
    300_000,
    600_000,
)
"""Upper ends of the histogram of waiting times; `wait_le_inf` holds the rest. Each job counts in one bucket."""


class Counter(StrEnum):
    """The fields of `stats:<queue>`; beside them `wait_field(...)` for each bucket. All only ever rise."""

    ENQUEUED = "enqueued"
    """Jobs that became ready: sent without a delay, or due after one. A retry is one more."""
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    """Jobs that failed for good."""
    RETRIED = "retried"
    """Jobs that failed and will run again."""
    BUSY_MS = "busy_ms"
    """Time that threads spent on jobs, also on those that are not finished yet."""
    WAIT_MS_SUM = "wait_ms_sum"
    """From `ready_at` to the start, of all jobs that have a `ready_at`."""


def wait_field(bucket_ms: int | None) -> str:
    """The counter of jobs that waited up to `bucket_ms` and longer than the bucket before; None: the last bucket."""
    return f"wait_le_{'inf' if bucket_ms is None else bucket_ms}"


def wait_bucket(wait_ms: float) -> int | None:
    """The bucket that a waiting time belongs to."""
    return next((bucket for bucket in WAIT_BUCKETS_MS if wait_ms <= bucket), None)


class Order(StrEnum):
    """What a pod is asked to do."""

    RUN = "run"
    DRAIN = "drain"


class WorkerState(StrEnum):
    """How a worker stands to new work. `DRAINED`: it holds no message of any queue."""

    RUNNING = "running"
    DRAINING = "draining"
    DRAINED = "drained"


def pool_name(namespace: str, name: str) -> str:
    """What a pool is called in keys: pools of different Kubernetes namespaces may share a Redis."""
    return f"{namespace}/{name}" if namespace else name


def plain_queue(queue: str) -> str:
    """The queue's name without .DQ or .XQ."""
    return queue.removesuffix(DELAYED).removesuffix(DEAD)


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of all keys of one Dramatiq namespace; types and meanings are at the head of this module."""

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
        """Zset: broker id -> when it was last heard of, ms. Producers are in it as well."""
        return f"{self.namespace}:__heartbeats__"


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker, as it tells of itself. Times in ms of Redis's clock; None where its version does not tell.

    `threads` is how many jobs it can run at once, `busy` how many it runs, `prefetched` how many more it holds
    (delayed ones not counted), `oldest_ms` when the longest-running of them began (None as well where none runs).
    `host_started_ms` is when its process began, which it keeps when it is fenced and registers anew.
    """

    worker: str
    state: WorkerState | None = None
    pod: str | None = None
    host_started_ms: int | None = None
    threads: int | None = None
    busy: int | None = None
    prefetched: int | None = None
    oldest_ms: int | None = None
    queues: tuple[str, ...] | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Delayed:
    """What `READ_DELAYED` tells of one queue: ETAs in ms, "due" until the horizon that was asked for.

    `unindexed` messages are those of plain producers. `read` of them were looked at this time, from the cursor that
    was sent to before `cursor`; `read_first_ms` and `read_due` tell of these only. Where `cursor` is "0" the scan has
    come to the end of them.
    """

    indexed: int
    first_ms: int | None
    due: int
    unindexed: int
    read_first_ms: int | None
    read_due: int
    read: int
    cursor: str


class UnknownRecord(ValueError):
    """A record that this version cannot read; treat its worker as one without the runtime. The text says why."""


def write_worker(record: WorkerRecord) -> str:
    """The record's JSON, the value in `workers:<pool>`; `at_ms` is added in Redis, by whose clock it is."""
    fields = {name: value for name, value in asdict(record).items() if value is not None and name != "worker"}
    return json.dumps({"v": WIRE_VERSION, **fields}, separators=(",", ":"))


def read_worker(worker: str, text: str | bytes) -> WorkerRecord:
    """The record behind the JSON. Raises `UnknownRecord` where it is of a newer version, or no record at all."""
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise UnknownRecord(f"worker {worker}: its record is no JSON: {error}") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("v"), int):
        raise UnknownRecord(f"worker {worker}: its record has no version; expected an object with v = {WIRE_VERSION}")
    if fields["v"] > WIRE_VERSION:
        raise UnknownRecord(
            f"worker {worker}: its record is of version {fields['v']}; known is {WIRE_VERSION}. Update the reader."
        )
    queues = fields.get("queues")
    return WorkerRecord(
        worker=worker,
        state=_state(fields.get("state")),
        pod=_of(str, fields.get("pod")),
        host_started_ms=_of(int, fields.get("host_started_ms")),
        threads=_of(int, fields.get("threads")),
        busy=_of(int, fields.get("busy")),
        prefetched=_of(int, fields.get("prefetched")),
        oldest_ms=_of(int, fields.get("oldest_ms")),
        queues=tuple(name for name in queues if isinstance(name, str)) if isinstance(queues, list) else None,
        at_ms=_of(int, fields.get("at_ms")),
    )


def read_delayed(answer: Sequence[int | str | bytes]) -> Delayed:
    """One queue's part of the answer to `READ_DELAYED`."""
    indexed, first_ms, due, unindexed, read_first_ms, read_due, read = (int(number) for number in answer[:7])
    cursor = answer[7]
    return Delayed(
        indexed,
        first_ms if first_ms >= 0 else None,
        due,
        unindexed,
        read_first_ms if read_first_ms >= 0 else None,
        read_due,
        read,
        cursor.decode() if isinstance(cursor, bytes) else str(cursor),
    )


def write_run(ready_ms: float, service_ms: float) -> str:
    """A row of `trace:<queue>`: when the job was ready, and for how long it kept its thread busy; whole ms."""
    return f"{ready_ms:.0f} {service_ms:.0f}"


def read_run(row: str | bytes) -> tuple[int, int]:
    """When a job was ready, and how long it ran, in ms; further words are left alone. Raises `UnknownRecord`."""
    text = row.decode(errors="replace") if isinstance(row, bytes) else row
    try:
        ready_ms, service_ms = text.split()[:2]
        return int(ready_ms), int(service_ms)
    except ValueError as error:
        raise UnknownRecord(f'a row of a trace is "{text}"; expected two numbers of ms') from error


def read_order(text: str | bytes | None) -> Order:
    """The order in `orders:<pool>`; anything but "drain" lets the worker work."""
    word = text.decode(errors="replace") if isinstance(text, bytes) else text
    return Order.DRAIN if word == Order.DRAIN else Order.RUN


def script(name: str) -> str:
    """The text of one of the Lua scripts beside this module."""
    return (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")


RECOVER: Final = script("recover")
"""Take one worker for dead: whoever sends it knows that it is. Writes."""

SWEEP: Final = script("sweep")
"""Tell which workers have been silent for too long, by nobody else's fault. Writes."""

READ_DELAYED: Final = script("delayed")
"""Tell when delayed messages are due, those of plain producers included. Reads only."""


def _state(word: object) -> WorkerState | None:
    return next((state for state in WorkerState if state == word), None)


def _of(kind: type[T], value: object) -> T | None:
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
