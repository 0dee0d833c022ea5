"""The demo: 400 jobs in two bursts, and a pool that goes 0 -> n -> 0 for them. `make demo` runs it.

In the second burst a busy worker is killed; its jobs come back, and are done by others.

Everything is real: an embedded Redis, a producer that uses Dramatiq as any program would, and what
`crewcall local -f examples/workerpool.yaml` runs, in this very process. It ends by itself, with a picture, and with one
line of JSON on the standard output; every figure in it is measured. The exit status is 0 where all are as promised.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from examples.accident import kill_a_busy_one
from rich.console import Console

from crewcall_operator.api.pool import PoolKey
from crewcall_operator.errors import CrewcallError
from crewcall_operator.local.history import History
from crewcall_operator.local.picture import Mark, draw
from crewcall_operator.local.run import Options, Running, run
from crewcall_worker.wire import pool_name

POOL_FILE = Path(__file__).with_name("workerpool.yaml")
POOL = PoolKey("default", "demo")
PICTURE = Path("build/demo.png")

BURSTS = (160, 240)
MILLISECONDS = (50, 500)
SEED = 7
# All in seconds.
BEFORE, BETWEEN, AFTER = 1.5, 7.5, 1.5
GIVE_UP_AFTER = 65.0
END_AT_ANY_PRICE_AFTER = 85.0
LONGEST_REACTION = 1.2
BOARD_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo promises, as it was measured; `reaction_s` in seconds, None where the pool never scaled up."""

    jobs: int
    done: int
    lost: int
    duplicated: int
    peak_replicas: int
    final_replicas: int | None
    reaction_s: float | None
    plot: str | None

    def broken_promises(self) -> list[str]:
        """In words; none where all is well."""
        kept = {
            f"jobs is {self.jobs}, not {sum(BURSTS)}": self.jobs == sum(BURSTS),
            f"done is {self.done}, not all {self.jobs} jobs": self.done == self.jobs,
            f"lost is {self.lost}, not 0": self.lost == 0,
            f"duplicated is {self.duplicated}, not 0": self.duplicated == 0,
            f"peak_replicas is {self.peak_replicas}, not above 1": self.peak_replicas > 1,
            f"final_replicas is {self.final_replicas}, not 0": self.final_replicas == 0,
            f"reaction_s is {self.reaction_s}, not below {LONGEST_REACTION}": self.reaction_s is not None
            and self.reaction_s < LONGEST_REACTION,
        }
        return [words for words, is_kept in kept.items() if not is_kept]


class Producer:
    """Sends jobs as any Dramatiq program does, and afterwards looks which of them left their traces."""

    def __init__(self, url: str) -> None:
        dramatiq.set_broker(RedisBroker(url=url))
        # Not before the broker is set: an actor belongs to the broker that there is when it is imported.
        from crewcall_jobs import demo

        self._demo = demo
        self._url = url
        self._run = uuid.uuid4().hex
        self._random = random.Random(SEED)
        self.bursts: list[float] = []
        self.jobs = 0

    def send(self, jobs: int) -> None:
        """Send so many jobs, one by one. The burst's time is from before the first of them is in Redis."""
        self.bursts.append(time.monotonic())
        for _ in range(jobs):
            self._demo.work.send(self._run, self.jobs, self._random.randint(*MILLISECONDS))
            self.jobs += 1

    @property
    def traces(self) -> str:
        """The hash in which jobs leave their traces."""
        return self._demo.traces_key(self._run)

    def tally(self) -> dict[str, int]:
        """How many of the jobs sent were done, lost, or done more than once."""
        with redis.Redis.from_url(self._url, decode_responses=True) as client:
            traces = client.hgetall(self.traces)
        return asdict(self._demo.tally(self.jobs, traces))


class Demo:
    """What runs beside the pool, and what it found out."""

    def __init__(self) -> None:
        self.history: History | None = None
        self.producer: Producer | None = None
        self.tally: dict[str, int] = {}
        self.killed: Mark | None = None

    async def play(self, running: Running) -> None:
        """Two bursts and an accident, until the pool is at rest again or it is time to give up."""
        self.history = history = running.history
        self.producer = await asyncio.to_thread(Producer, running.url)
        if running.board is not None:  # its start takes a processor for seconds, and the reaction is measured
            await asyncio.to_thread(running.board.answers_within, BOARD_WITHIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP_AFTER):
                for pause, jobs in zip((BEFORE, BETWEEN), BURSTS, strict=True):
                    await asyncio.sleep(pause)
                    await asyncio.to_thread(self.producer.send, jobs)
                while self.killed is None and not self._is_at_rest(history):
                    await asyncio.sleep(0.02)
                    workers, traces = running.workers(POOL), self.producer.traces
                    name = await asyncio.to_thread(kill_a_busy_one, running.url, pool_name(*POOL), workers, traces)
                    if name is not None:
                        self.killed = Mark(time.monotonic(), "a busy worker is killed")
                while True:
                    await asyncio.sleep(0.1)
                    if self._is_at_rest(history):
                        break
                await asyncio.sleep(AFTER)
        self.tally = await asyncio.to_thread(self.producer.tally)

    def _is_at_rest(self, history: History) -> bool:
        last = history.reports[POOL][-1]
        sent = self.producer.bursts[-1] if self.producer else 0.0
        if last.at <= sent or last.observation is None or last.fleet is None:
            return False
        delayed = sum(queue.delayed for queue in last.observation.queues)
        return last.observation.outstanding + delayed + last.fleet.current == 0

    def marks(self) -> list[Mark]:
        """What was done to the pool, for the picture."""
        sent = zip(self.producer.bursts if self.producer else (), BURSTS, strict=False)
        marks = [Mark(at, f"{jobs} jobs are sent") for at, jobs in sent]
        return marks if self.killed is None else [*marks, self.killed]

    def result(self) -> Result | None:
        """The figures; None where it was interrupted before there were any."""
        if self.history is None or self.producer is None or not self.tally:
            return None
        fleets = [report.fleet for report in self.history.reports[POOL] if report.fleet is not None]
        ups = [entry.at for entry in self.history.applied(POOL) if entry.after > entry.before]
        return Result(
            **self.tally,
            peak_replicas=max((fleet.current for fleet in fleets), default=0),
            final_replicas=fleets[-1].current if fleets else None,
            reaction_s=round(ups[0] - self.producer.bursts[0], 3) if ups else None,
            plot=str(PICTURE),
        )


def main() -> int:
    """Play, draw, tell; the exit status."""
    console = Console(stderr=True)
    last_resort = threading.Timer(END_AT_ANY_PRICE_AFTER, _end_at_any_price)
    last_resort.daemon = True
    last_resort.start()
    demo = Demo()
    try:
        asyncio.run(run(Options(files=(POOL_FILE,), has_board=True), console, beside=demo.play))
    except (CrewcallError, redis.RedisError) as error:
        console.print(f"The demo has come to nothing: {error}", style="red")
        return 1
    result = demo.result()
    if result is None or demo.history is None or demo.producer is None:
        console.print("Interrupted before there was a result.")
        return 1
    try:
        draw(list(demo.history.reports[POOL]), demo.history.applied(POOL), demo.marks(), PICTURE)
    except OSError as error:
        console.print(f"There is no picture: {error}", style="red")
        result = replace(result, plot=None)
    broken = [
        *result.broken_promises(),
        *([] if result.plot else ["no picture"]),
        *([] if demo.killed else ["no worker was busy enough to be killed"]),
    ]
    for words in broken:
        console.print(f"Not as promised: {words}", style="red")
    print(json.dumps(asdict(result)), flush=True)
    return 1 if broken else 0


def _end_at_any_price() -> None:
    # Workers and Redis end too: they hang on a lifeline that is cut with this process.
    print(f"The demo has not ended within {END_AT_ANY_PRICE_AFTER:.0f} s; giving up.", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
