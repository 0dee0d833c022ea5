"""Give the jobs of dead workers back to their queues.

What a worker held and who is to blame for its death is decided in `lua/recover.lua`, in one step and once. This
module is its caller for workers: for those whose pod has a new worker by now, and for those that have gone silent.
The operator and the local mode, which know of pods that are gone, send `wire.RECOVER` themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import redis

from crewcall_worker import process, wire

PLAIN_SILENT_MS = 60_000
"""What Dramatiq's brokers take for the death of a worker by default (dramatiq/brokers/redis.py)."""
PLAIN_FORGOTTEN_MS = 7 * 86_400_000
DEAD_LETTERS_KEPT_MS = 7 * 86_400_000  # as Dramatiq's brokers do (dramatiq/brokers/redis.py)
PREDECESSOR_SILENT_MS = 2_500
"""Between two beats lies a second: a worker that is silent for so long, and replaced, is dead. Several workers may
share a pod, and one of them that starts proves nothing about those that still beat, or whose processes live."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one dead worker's messages; `dead` are the ids of those that had killed too many."""

    worker: str
    returned: int
    dead: tuple[str, ...] = ()


def recover(
    client: redis.Redis,
    namespace: str,
    pool: str,
    workers: Iterable[str],
    *,
    limit: int = wire.MOST_KILLS,
    silent_ms: int = 0,
    tell: Callable[[str], object] = log.warning,
) -> list[Recovered]:
    """Take these workers for dead; a second time changes nothing.

    One for whom the script fails keeps nobody from the others: `tell` gets to know of it.

    With `silent_ms`, only those whose record has not changed for so long; the others are left out of the answer.
    `limit` is how many workers a message may kill before it becomes a dead letter, at least 2: after one death nobody
    knows which of the messages it was. Raises `redis.RedisError`; what is done by then stays done.
    """
    if limit < 2:
        raise ValueError(f"limit is {limit}; it must be at least 2, since one death does not tell which job it was")
    script = client.register_script(wire.RECOVER)
    recovered = []
    for worker in workers:
        try:
            returned, *dead = script(args=[namespace, pool, _raw(worker), limit, silent_ms])
        except redis.ResponseError as error:
            tell(f"Worker {worker} of {pool} may be dead, but what it held cannot be given back: {error}")
            continue
        if returned >= 0:
            recovered.append(Recovered(worker, returned, tuple(_text(item).partition(" ")[2] for item in dead)))
    for gone in recovered:
        log.warning("Worker %s of %s is dead; its %d jobs are back in their queues", gone.worker, pool, gone.returned)
        if gone.dead:
            log.error("Jobs that killed %d workers are dead letters now: %s", limit, ", ".join(gone.dead))
    return recovered


def predecessors(client: redis.Redis, namespace: str, pool: str, worker: str) -> list[str] | None:
    """The workers on record that began earlier than `worker` in its very pod; None while it is not on record itself.

    Not those whose processes can be seen to live, however silent: several may share a pod, and a job that holds the
    interpreter's lock lets none of its worker's threads beat. Raises `redis.RedisError`.
    """
    records = _records(client, namespace, pool)
    own = records.get(worker)
    if own is None or own.pod is None or own.host_started_ms is None:
        return None
    return [
        record.worker
        for record in records.values()
        if record.pod == own.pod
        and record.host_started_ms is not None
        and record.host_started_ms < own.host_started_ms
        and not (record.process and process.lives(record.process))
    ]


def lapsed(
    client: redis.Redis, namespace: str, pool: str, *, lapse_ms: int, period_ms: int, queues: Iterable[str] = ()
) -> list[str]:
    """The workers that have been silent for `lapse_ms`, as `lua/sweep.lua` judges it; none where another process has
    looked within `period_ms`. Enters `queues` in the registry. Raises `redis.RedisError`."""
    script = client.register_script(wire.SWEEP)
    found = script(args=[namespace, pool, lapse_ms, period_ms, DEAD_LETTERS_KEPT_MS, *queues])
    return [_text(worker) for worker in found]


def lapsed_plain(client: redis.Redis, namespace: str, pool: str, *, period_ms: int) -> list[str]:
    """Workers without the runtime that have died, as `lua/sweep_plain.lua` finds them. Raises `redis.RedisError`."""
    script = client.register_script(wire.script("sweep_plain"))
    found = script(args=[namespace, pool, PLAIN_SILENT_MS, period_ms, PLAIN_FORGOTTEN_MS])
    return [_text(worker) for worker in found]


def _records(client: redis.Redis, namespace: str, pool: str) -> dict[str, wire.WorkerRecord]:
    records = {}
    for field, text in client.hgetall(wire.Keys(namespace).workers(pool)).items():
        worker = _text(field)
        try:
            records[worker] = wire.read_worker(worker, text)
        except wire.UnknownRecord as error:
            log.warning("Left alone: %s", error)
    return records


def _text(value: str | bytes) -> str:
    """Anybody may write any bytes there: one strange name shall not keep the jobs of the others."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _raw(name: str) -> bytes:
    return name.encode(errors="surrogateescape")
