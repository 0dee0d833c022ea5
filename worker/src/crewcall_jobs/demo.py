"""The demo's jobs: they take a while, and leave a trace by which lost and doubled ones are found.

Each job adds one to its own field of a hash in the Redis it came from. Who sent the jobs knows how many fields there
must be, each of them one: `tally` compares.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import dramatiq
from dramatiq.brokers.redis import RedisBroker

QUEUE = "demo"
TRACES_KEPT = 86_400  # seconds


# At least once rather than at most once: when Redis fails between the work and its trace, a second run shows as
# `duplicated`, while a job without a second try would be lost.
@dramatiq.actor(queue_name=QUEUE, max_retries=3, min_backoff=100, max_backoff=1000)
def work(run: str, job: int, milliseconds: int) -> None:
    """Take so long, then leave the trace that job number `job` of the demo run `run` was done."""
    time.sleep(milliseconds / 1000)
    broker = dramatiq.get_broker()
    if not isinstance(broker, RedisBroker):
        raise TypeError(f"the demo's traces are kept in Redis, but the broker is a {type(broker).__name__}")
    key = traces_key(run)
    with broker.client.pipeline() as pipeline:
        pipeline.hincrby(key, str(job), 1)
        pipeline.expire(key, TRACES_KEPT)
        pipeline.execute()


def traces_key(run: str) -> str:
    """The hash of a demo run: field = job number, value = how often it was done."""
    return f"crewcall:demo:{run}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the jobs sent: each is done or lost; `duplicated` counts those done more than once."""

    jobs: int
    done: int
    lost: int
    duplicated: int


def tally(jobs: int, traces: Mapping[str, str]) -> Tally:
    """Count the jobs numbered 0 to `jobs` - 1 in a run's hash, as redis-py returns it with decode_responses."""
    times = [int(traces.get(str(job), 0)) for job in range(jobs)]
    done = sum(count > 0 for count in times)
    return Tally(jobs=jobs, done=done, lost=jobs - done, duplicated=sum(count > 1 for count in times))
