"""The contract between the operator and the workers: what either side writes and the other reads.

Standard library only, and no I/O but for its own scripts: the operator imports this package and nothing else of the
worker. Everybody imports from here, whichever module inside it has the name.

Environment of a worker process
-------------------------------
The operator (in a pod template) and the local mode (for a process) set these; the worker reads them. A variable
that the user's own template sets is left as it is. How a Redis is named in them is in `redis_address`.

Keys in Redis
-------------
Dramatiq's own keys keep Dramatiq's meaning (dramatiq/brokers/redis/dispatch.lua), so that plain producers and plain
workers go on working on the same queues. What Crewcall adds is under `crewcall:<dramatiq namespace>:`. Every time is
Redis's own (TIME), in milliseconds since the epoch, a whole number: one clock for all. `<queue>` is a queue's plain
name, without .DQ or .XQ; `<pool>` is `pool_name(...)`; `<worker>` is a worker's id, which is its Dramatiq broker id.

========================  =======  ==================================================================================
workers:<pool>            hash     worker -> JSON, see `WorkerRecord`. Written by the worker each second and on change,
                                   with its heartbeat in Dramatiq's `__heartbeats__`, which is written for a time to
                                   come (`HEARTBEAT_AHEAD_MS`); removed when it leaves or is declared dead. A worker
                                   without a record here fetches nothing. `process` is the boot id of its kernel, "/",
                                   the namespace of its process number, and after blanks that number and when it began
                                   in ticks (/proc): a worker of the same namespace sees by it whether it lives.
orders:<pool>             hash     pod -> "drain"; absent or "run": work. Written by the operator or the local mode.
fenced:<pool>             zset     worker -> when it was declared dead. Kept for a day.
kills:<queue>             hash     redis_message_id -> how often a worker died with it. Removed with the message.
deliveries:<queue>        hash     redis_message_id -> how often a worker had begun it and did not finish it: it died,
                                   or its time to drain was up. Removed with the message.
started:<worker>          set      ids in `kills` that this worker has begun. Expires.
stats:<queue>             hash     counters since ever, see `Counter`.
eta:<queue>               zset     redis_message_id of a delayed message -> when it is due. By it a worker whose memory
                                   is full of later ones takes what is due soon out of the middle of Dramatiq's list.
lanes:<queue>             zset     each lane that is not empty -> when its turn is: priority * `TURNS` + turn, so that
                                   priorities go strictly and the lanes of one take turns. A lane is named "1:acme" by
                                   its priority and its organisation ("" for none), see `Lane`.
lane:<queue>:<lane>       list     ids in this lane, the next one first. The messages are in Dramatiq's `<queue>.msgs`.
waiting:<queue>           zset     id in any lane of the queue -> when it became ready. What is ready is in here or in
                                   Dramatiq's list, never in both: from that the head is taken before all lanes, which
                                   is where plain producers send to, and what was fetched comes back to.
limits:<queue>            hash     organisation -> how many of its jobs may be in flight at once; "*": for all others.
taken:<queue>:<id>        set      ids of an organisation with a limit that are in flight, or came back to the head. One
                                   that is in no `<queue>.msgs` any more does not count.
full:<queue>              zset     as `lanes:<queue>`, of organisations at their limit: nobody takes from these.
surplus:<queue>           hash     organisation -> how many of its waiting jobs are beyond its limit; "": of all.
dedupe:<queue>:<likeness> string   id of the job that was enqueued with this key: its like, of the same organisation and
                                   type, are not, until it expires. See `likeness`.
sent:<id>                 string   there for 10 s after an enqueue, by the redis_message_id of its first message: by it
                                   a producer that lost the answer, and asks again, does not enqueue anew. Expires.
paused                    hash     queue that nobody fetches from -> JSON of who paused it, and when.
running:<queue>           zset     redis_message_id of a job that runs -> since when. Told by its worker each second, so
                                   jobs shorter than that are seldom in it; that of a dead worker may be there still,
                                   which `acks` tells. Expires. `runners:<queue>`, a hash, has the worker of each.
completed:<queue>         zset     id of a typed job that is done -> when. What is older or more than is kept is dropped
                                   with the next one; expires. `records:<queue>`, a hash, has the JSON of each, see
                                   `queues.records`.
audit                     stream   who did what with the board: by, action, target, outcome, detail, address. Cut to
                                   about 10,000 entries.
session:<digest>          string   JSON of who is logged in to the board; expires with that. The digest is that of the
                                   cookie and of what tokens are checked by.
retention                 string   how long dead letters are kept, in ms, as the worker that began last was told.
                                   Absent: for 7 days.
organization:<id>:<day>   hash     "<queue>.enqueued", ".done", ".failed" -> typed jobs of an organisation on that day
                                   (UTC, in days since the epoch). Expires.
organizations:<day>       zset     organisation -> its jobs that were over on that day. Expires.
rate:<job>:<key>          hash     a rate limit in use, see `lua/rate.lua`. Expires once it would let anybody start.
turns:<job>:<key>:<id>    string   the first turn in that limit that no job of this organisation has. Expires with it.
schedules                 hash     name -> JSON, see `queues.schedules`.
ticks                     zset     name of a schedule -> its next tick, which is in its queue as a delayed message.
planned                   hash     name of a schedule -> JSON: that message, and the tick before.
trace:<queue>             list     runs of jobs that ended while somebody recorded, see `write_run`. Written by the
                                   workers each second, taken by the recorder; the last rows are dropped above
                                   `MOST_TRACED`. Expires.
recorder:<queue>          string   there while somebody records the queue: for workers that were not there, or did not
                                   listen, when it was said on the channel. Expires after `RECORDED_FOR_MS`.
pools                     zset     pool -> when the operator last told of it. One that it scales no more goes.
pool:<pool>               string   JSON of how the operator found the pool and what it decided, see `PoolRecord`.
                                   Written by the operator or the local mode when it changes, and each hour. Expires
                                   after `POOL_KEPT_MS`.
history:<pool>            stream   how the pool was, one entry each `SAMPLE_EVERY_MS` at most while that changes and one
                                   for each decision that moves replicas, see `HistoryEntry`; about the last
                                   `MOST_HISTORY` are kept. Expires after `POOL_KEPT_MS`.
pins                      hash     pool -> JSON of who pinned it, to how many replicas, and when, see `Pin`. Written by
                                   hand (`queues.pins`), read by the operator.
asked:<pool>              hash     worker -> JSON of who asked it to drain, and when, see `Asked`. Written by hand
                                   (`queues.drains`); the worker drains while it is there, and its pod is replaced. Goes
                                   with the worker; expires.
health                    string   written by producers that ask whether Redis takes jobs. Expires at once.
queues                    set      every queue that the runtime has seen.
sweep:<pool>              hash     at_ms: when silent workers were last looked for; since_ms: until then nobody could.
plain:<pool>              hash     worker without the runtime that looks silent -> its heartbeat, by its own clock, and
                                   since when that has not moved. Removed when it holds nothing.
hints                     channel  a queue's name, with .DQ for delayed messages: it was empty, and has work now.
orders                    channel  a pod's name: its order has changed. Losing one costs a second, no more.
pauses                    channel  a queue's plain name: it was paused or resumed.
recording                 channel  a queue's plain name: somebody records it for the next `RECORDED_FOR_MS`.
========================  =======  ==================================================================================

Message option `ready_at` (ms): when a job became ready, or becomes so.

Scripts for whoever has a Redis client: `RECOVER`, `SWEEP`, `READ_DELAYED`. The head of each tells what it takes and
answers.

Versions: every record has `v`. A reader ignores fields that it does not know and takes None for those that are
missing. A higher `v` than its own means that it cannot understand the record: see `read_worker`.
"""

from __future__ import annotations

from crewcall_worker.wire.answers import number, text
from crewcall_worker.wire.counters import (
    WAIT_BUCKETS_MS,
    Counter,
    wait_bucket,
    wait_field,
)
from crewcall_worker.wire.environment import (
    ENV_CONCURRENCY,
    ENV_KEEP_COMPLETED,
    ENV_KEEP_COMPLETED_MOST,
    ENV_KEEP_DEAD,
    ENV_LAPSED_AFTER,
    ENV_LARGEST_PAYLOAD,
    ENV_LOG_FORMAT,
    ENV_METRICS_PORT,
    ENV_MOST_KILLS,
    ENV_NAMESPACE,
    ENV_POD,
    ENV_POOL,
    ENV_QUEUES,
    ENV_REDIS_NAMESPACE,
    ENV_REDIS_URL,
    ENV_SHUTDOWN_TIMEOUT,
    ENV_THREADS,
)
from crewcall_worker.wire.keys import (
    DEAD,
    DELAYED,
    READY_AT,
    Keys,
    likeness,
    plain_queue,
    pool_name,
    short,
)
from crewcall_worker.wire.lanes import TURNS, Lane, lane_of, read_lane
from crewcall_worker.wire.pools import (
    MOST_HISTORY,
    POOL_KEPT_MS,
    SAMPLE_EVERY_MS,
    Asked,
    HistoryEntry,
    Pin,
    PoolRecord,
    read_asked,
    read_history,
    read_pin,
    read_pool,
    write_asked,
    write_history,
    write_pin,
    write_pool,
)
from crewcall_worker.wire.scripts import (
    READ_DELAYED,
    RECOVER,
    SWEEP,
    Delayed,
    read_delayed,
    script,
)
from crewcall_worker.wire.traces import (
    MOST_TRACED,
    RECORDED_FOR_MS,
    TRACE_KEPT_MS,
    read_run,
    write_run,
)
from crewcall_worker.wire.workers import (
    BEAT_EVERY,
    FENCED_FOR_MS,
    HEARTBEAT_AHEAD_MS,
    LAPSED_AFTER_MS,
    MOST_KILLS,
    WIRE_VERSION,
    Order,
    UnknownRecord,
    WorkerRecord,
    WorkerState,
    read_order,
    read_worker,
    write_worker,
)

__all__ = [
    "BEAT_EVERY",
    "DEAD",
    "DELAYED",
    "ENV_CONCURRENCY",
    "ENV_KEEP_COMPLETED",
    "ENV_KEEP_COMPLETED_MOST",
    "ENV_KEEP_DEAD",
    "ENV_LAPSED_AFTER",
    "ENV_LARGEST_PAYLOAD",
    "ENV_LOG_FORMAT",
    "ENV_METRICS_PORT",
    "ENV_MOST_KILLS",
    "ENV_NAMESPACE",
    "ENV_POD",
    "ENV_POOL",
    "ENV_QUEUES",
    "ENV_REDIS_NAMESPACE",
    "ENV_REDIS_URL",
    "ENV_SHUTDOWN_TIMEOUT",
    "ENV_THREADS",
    "FENCED_FOR_MS",
    "HEARTBEAT_AHEAD_MS",
    "LAPSED_AFTER_MS",
    "MOST_HISTORY",
    "MOST_KILLS",
    "MOST_TRACED",
    "POOL_KEPT_MS",
    "READY_AT",
    "READ_DELAYED",
    "RECORDED_FOR_MS",
    "RECOVER",
    "SAMPLE_EVERY_MS",
    "SWEEP",
    "TRACE_KEPT_MS",
    "TURNS",
    "WAIT_BUCKETS_MS",
    "WIRE_VERSION",
    "Asked",
    "Counter",
    "Delayed",
    "HistoryEntry",
    "Keys",
    "Lane",
    "Order",
    "Pin",
    "PoolRecord",
    "UnknownRecord",
    "WorkerRecord",
    "WorkerState",
    "lane_of",
    "likeness",
    "number",
    "plain_queue",
    "pool_name",
    "read_asked",
    "read_delayed",
    "read_history",
    "read_lane",
    "read_order",
    "read_pin",
    "read_pool",
    "read_run",
    "read_worker",
    "script",
    "short",
    "text",
    "wait_bucket",
    "wait_field",
    "write_asked",
    "write_history",
    "write_pin",
    "write_pool",
    "write_run",
    "write_worker",
]
