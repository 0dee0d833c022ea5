"""The demo's accident: one busy worker is killed in the middle of its jobs, as a lack of memory would do it.

The moment is chosen with care, so that the demo's figures say something about Crewcall and not about luck: a job that
has left its trace but is not acknowledged yet would be done once more, with any queue that delivers at least once. So
the worker is held still, looked at, and killed only where nothing that it holds has left a trace.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence

import redis

from crewcall_operator.adapters.worker_process import WorkerStatus
from crewcall_worker import wire

SETTLED = 0.05  # seconds within which Redis has done what a worker sent before it was held still


def kill_a_busy_one(url: str, pool: str, workers: Sequence[WorkerStatus], traces: str) -> str | None:
    """Kill the first of the workers that may be killed now, and say which; None where none may.

    `traces` is the hash in which a job that was done has left its number.
    """
    pids = {worker.name: worker.pid for worker in workers}
    keys = wire.Keys()
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for id_, text in client.hgetall(keys.workers(pool)).items():
            record = wire.read_worker(id_, text)
            pid = pids.get(record.pod or "")
            if record.busy and pid is not None and _has_died_well(client, keys, record, pid, traces):
                return record.pod
    return None


def _has_died_well(client: redis.Redis, keys: wire.Keys, record: wire.WorkerRecord, pid: int, traces: str) -> bool:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(SETTLED)
    held = [(queue, id_) for queue in record.queues or () for id_ in client.smembers(keys.acks(record.worker, queue))]
    messages = [client.hget(keys.messages(queue), id_) for queue, id_ in held]
    numbers = [str(json.loads(message)["args"][1]) for message in messages if message]
    may_die = bool(numbers) and not any(client.hexists(traces, number) for number in numbers)
    os.kill(pid, signal.SIGKILL if may_die else signal.SIGCONT)
    return may_die
