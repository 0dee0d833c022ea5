"""Three minutes of random kills, drains, stalls and restarts of Redis, and at the end every job is accounted for."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dramatiq
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support import chaos_jobs
from tests.support.waiting import wait_until
from tests.support.workers import ROOT

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.recovery import recover

POOL, PODS = wire.pool_name("shop", "chaos"), 3
KEYS = wire.Keys()
LAPSE = 3.0
ENOUGH = 60
TO_THE_END = 60.0
QUEUES = tuple(queue + suffix for queue in chaos_jobs.QUEUES for suffix in ("", wire.DELAYED))


@dataclass
class Chaos:
    """The pool, what was sent, and what was done to it."""

    server: EmbeddedRedis
    folder: Path
    chance: random.Random
    client: redis.Redis = field(init=False)
    producer: CrewcallBroker = field(init=False)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    pods: int = 0
    sent: set[int] = field(default_factory=set)
    tried: int = 0
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        once = Retry(NoBackoff(), 0)
        self.client = redis.Redis.from_url(self.server.url, decode_responses=True, retry=once)
        self.producer = CrewcallBroker(client=redis.Redis.from_url(self.server.url, retry=once))

    def hire(self, pod: str | None = None) -> None:
        if pod is None:
            self.pods += 1
            pod = f"pod-{self.pods}"
        environment = {
            "PATH": os.environ["PATH"],
            wire.ENV_REDIS_URL: self.server.url,
            wire.ENV_NAMESPACE: "shop",
            wire.ENV_POOL: "chaos",
            wire.ENV_POD: pod,
            wire.ENV_THREADS: "4",
            wire.ENV_LAPSED_AFTER: str(LAPSE),
            wire.ENV_MOST_KILLS: "1000",  # the jobs are not to blame
        }
        program = str(Path(sys.executable).parent / "crewcall-worker")
        with (self.folder / f"{pod}.log").open("ab") as log:
            self.workers[pod] = subprocess.Popen(
                [program, "run", "tests.support.chaos_jobs"],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self) -> None:
        """One more job, unless the workers have enough to do."""
        try:
            if self.left() >= ENOUGH:
                return
        except redis.RedisError:
            pass
        job, queue = self.tried, self.chance.choice(chaos_jobs.QUEUES)
        self.tried += 1
        seconds = self.chance.choice([0.05, 0.2, 1.0, 3.0])
        delay = self.chance.choice([None, None, None, self.chance.randint(0, 5_000)])
        try:
            self.producer.enqueue(dramatiq.Message(queue, f"work_{queue}", (job, seconds), {}, {}), delay=delay)
        except redis.RedisError:
            return  # nobody was told that it would be done
        self.sent.add(job)

    def happen(self) -> None:
        happening: Callable[[str], None] = self.chance.choice(
            [self.kill, self.kill, self.kill_with_its_pod, self.terminate, self.drain, self.stall, self.restart_redis]
        )
        pod = self.chance.choice(list(self.workers))
        self.events.append(f"{happening.__name__} {pod}")
        happening(pod)

    def kill(self, pod: str) -> None:
        """The container dies, and is started anew in its pod."""
        self._kill(pod)
        self.hire(pod)

    def kill_with_its_pod(self, pod: str) -> None:
        """The node is gone; the operator knows, and another pod is made."""
        self._kill(pod)
        records = self.client.hgetall(KEYS.workers(POOL)).items()
        gone = [str(worker) for worker, text in records if wire.read_worker(str(worker), text).pod == pod]
        recover(self.client, KEYS.namespace, POOL, gone, limit=1000)
        self.hire()

    def terminate(self, pod: str) -> None:
        self.workers[pod].terminate()
        self.until(lambda: self.workers[pod].poll() is not None)
        assert self.workers.pop(pod).returncode == 0, f"{pod} did not finish what it had begun"
        self.hire()

    def drain(self, pod: str) -> None:
        """An order, and its withdrawal before or after the worker is drained."""
        self.client.hset(KEYS.orders(POOL), pod, wire.Order.DRAIN)
        self.wait(self.chance.choice([0.1, 1.5, 5.0]))
        self.client.hdel(KEYS.orders(POOL), pod)

    def stall(self, pod: str) -> None:
        """A node that is overloaded, for shorter or longer than the lapse."""
        os.kill(self.workers[pod].pid, signal.SIGSTOP)
        self.wait(self.chance.choice([1.0, LAPSE + 3.0]))
        os.kill(self.workers[pod].pid, signal.SIGCONT)

    def restart_redis(self, _: str) -> None:
        """For shorter or longer than the lapse; it keeps its data."""
        self.server.stop()
        self.wait(self.chance.choice([0.2, 2.0, LAPSE + 2.0]))
        self.server.start()
        wait_until(self._answers, "Redis to have its data again")

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Meanwhile jobs are sent."""
        end = time.monotonic() + TO_THE_END
        while not is_so():
            assert time.monotonic() < end, self.events
            self.send()
            time.sleep(0.05)

    def left(self) -> int:
        """Jobs that are not done, wherever they are."""
        return sum(self.client.hlen(KEYS.messages(queue)) for queue in QUEUES)

    def close(self) -> None:
        for process in self.workers.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.producer.close()
        self.client.close()

    def _kill(self, pod: str) -> None:
        process = self.workers.pop(pod)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


def play(chaos: Chaos, seconds: float) -> None:
    for _ in range(PODS):
        chaos.hire()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        chaos.wait(chaos.chance.uniform(0.3, 4.0))
        chaos.happen()
    wait_until(lambda: chaos.left() == 0, f"every job to be done, after {chaos.events}", deadline=TO_THE_END)


@pytest.mark.slow
def test_every_job_is_accounted_for_after_three_minutes_of_chaos(tmp_path: Path) -> None:
    with EmbeddedRedis(keeps_data=True) as server:
        chaos = Chaos(server, tmp_path, random.Random(3))  # noqa: S311 - a seed, for a run to be repeated
        try:
            play(chaos, seconds=180.0)

            done = {int(job) for job in chaos.client.hkeys(chaos_jobs.DONE)}
            assert chaos.sent - done == set(), "jobs that were sent and never done"
            assert chaos.client.zcard(KEYS.dead("sms")) + chaos.client.zcard(KEYS.dead("email")) == 0
            # Begun while an earlier worker had it: only if that one had been declared dead.
            fenced = set(chaos.client.zrange(KEYS.fenced(POOL), 0, -1))
            overlaps = [str(line).split() for line in chaos.client.lrange(chaos_jobs.OVERLAPS, 0, -1)]
            assert [line for line in overlaps if line[1] not in fenced] == []
            assert len(done) > 500, "too little was done to prove anything"
        finally:
            chaos.close()
