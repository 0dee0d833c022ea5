"""60 scale-downs under load: which jobs are cut off, lost or done twice, and how soon prefetched ones are free again.

Ten worker processes with four threads each on a real Redis, jobs of 0.05 to 20 s in two queues, one in twenty delayed.
About each second one worker is sent home and another started. Crewcall's are sent home as the operator does it: an
order, and SIGTERM once the worker is drained. Plain Dramatiq's get what Kubernetes gives by default: SIGTERM, and
SIGKILL 30 s later.

A job is interrupted if it was begun and not finished, lost if it was never done though its queue was worked on to the
end, duplicated if it was done twice. Prefetched messages are returned once Redis has no more of them noted for the
worker than it has threads. Prints plain Dramatiq's figures and then Crewcall's, one JSON line each; exits 1 when a
promise is broken.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis
from dramatiq.brokers.redis import RedisBroker

from benchmarks import catalogue, crews, jobs
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

SCALE_DOWNS, WORKERS, THREADS = 60, 10, 4
EVERY_S = 1.1
GRACE_S = 30.0
BACKLOG = 120
LOOK_EVERY_S = 0.01
GIVE_UP_S = 240.0
LONGEST_JOB_S, QUIET_S = 20.0, 5.0
POOL = "bench"
KEYS = wire.Keys()
QUEUES = tuple(queue + suffix for queue in (jobs.SHORT, jobs.LONG) for suffix in ("", wire.DELAYED))


@dataclass(slots=True)
class Leaving:
    """A worker that was sent home: when, when its prefetched messages were free, and when it had to be gone."""

    crew: crews.Crew
    worker: str
    at: float
    returned_s: float | None = None
    is_told: bool = False


@dataclass(slots=True)
class Scene:
    """One run: the workers there are, those on their way home, and what was sent."""

    program: str
    url: str
    client: redis.Redis
    broker: RedisBroker
    folder: Path
    chance: random.Random = field(default_factory=lambda: random.Random(60))
    at_work: list[crews.Crew] = field(default_factory=list)
    leaving: list[Leaving] = field(default_factory=list)
    gone: list[Leaving] = field(default_factory=list)
    sent: int = 0
    started: int = 0
    failed_exits: int = 0


def main() -> int:
    plain = run(crews.PLAIN)
    print(json.dumps({"program": "dramatiq", **plain}))
    figures = run(crews.CREWCALL)
    print(json.dumps(figures))
    return catalogue.exit_status("drain", figures)


def run(program: str) -> dict[str, float]:
    """All scale-downs of one kind of worker, and what became of the jobs."""
    with (
        EmbeddedRedis() as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        broker = CrewcallBroker(url=server.url) if program == crews.CREWCALL else RedisBroker(url=server.url)
        scene = Scene(program, server.url, client, broker, Path(folder))
        try:
            return _play(scene)
        finally:
            for crew in [*scene.at_work, *(one.crew for one in scene.leaving)]:
                crew.kill()
            broker.close()


def _play(scene: Scene) -> dict[str, float]:
    for _ in range(WORKERS):
        _hire(scene)
    next_at, end = time.monotonic(), time.monotonic() + GIVE_UP_S
    while len(scene.gone) < SCALE_DOWNS and time.monotonic() < end:
        if len(scene.gone) + len(scene.leaving) < SCALE_DOWNS:
            _keep_backlog(scene)
            if time.monotonic() >= next_at and _send_one_home(scene):
                _hire(scene)
                next_at = time.monotonic() + EVERY_S
        _see_off(scene)
        time.sleep(LOOK_EVERY_S)
    _work_to_the_end(scene)
    return _figures(scene)


def _hire(scene: Scene) -> None:
    scene.started += 1
    pod = f"worker-{scene.started}"
    scene.at_work.append(crews.start(scene.program, scene.url, pod, THREADS, scene.folder))


def _keep_backlog(scene: Scene) -> None:
    if sum(scene.client.llen(KEYS.ready(queue)) for queue in (jobs.SHORT, jobs.LONG)) >= BACKLOG:
        return
    for _ in range(BACKLOG // 2):
        low, high = scene.chance.choices([(0.05, 0.5), (0.5, 3.0), (3.0, LONGEST_JOB_S)], weights=[80, 17, 3])[0]
        seconds = scene.chance.uniform(low, high)
        actor = jobs.long if scene.chance.random() < (0.2 if seconds < 0.5 else 0.8) else jobs.short
        delay = scene.chance.randint(1000, 10_000) if scene.chance.random() < 0.05 else None
        scene.broker.enqueue(actor.message(scene.sent, seconds), delay=delay)
        scene.sent += 1


def _send_one_home(scene: Scene) -> bool:
    """Ask the longest-serving worker that holds more than it can run to go home; false where none does."""
    workers = _workers(scene)
    for crew in scene.at_work:
        worker = workers.get(crew.pod)
        if worker is None or _held(scene, worker) <= THREADS:
            continue
        scene.at_work.remove(crew)
        scene.leaving.append(Leaving(crew, worker, time.monotonic()))
        if scene.program == crews.CREWCALL:
            with scene.client.pipeline() as order:
                order.hset(KEYS.orders(POOL), crew.pod, wire.Order.DRAIN)
                order.publish(KEYS.orders_changed, crew.pod)
                order.execute()
        else:
            crew.terminate()
        return True
    return False


def _see_off(scene: Scene) -> None:
    """Note who has given back its messages, tell the drained to go, and count those that are gone."""
    for one in list(scene.leaving):
        now = time.monotonic()
        if one.returned_s is None and _held(scene, one.worker) <= THREADS:
            one.returned_s = now - one.at
        if scene.program == crews.CREWCALL and not one.is_told and _is_drained(scene, one.worker):
            one.is_told = True
            one.crew.terminate()
        if scene.program == crews.PLAIN and now > one.at + GRACE_S:
            one.crew.kill()
        if one.crew.has_ended():
            scene.failed_exits += one.crew.process.returncode != 0
            scene.client.hdel(KEYS.orders(POOL), one.crew.pod)
            scene.leaving.remove(one)
            scene.gone.append(one)


def _work_to_the_end(scene: Scene) -> None:
    """Until no message is left, or nothing more happens to those that are."""
    end = time.monotonic() + GIVE_UP_S
    before, quiet_since = -1, time.monotonic()
    while time.monotonic() < end:
        left = sum(scene.client.hlen(KEYS.messages(queue)) for queue in QUEUES)
        traces = sum(map(int, scene.client.hvals(jobs.BEGUN))) + sum(map(int, scene.client.hvals(jobs.DONE)))
        if left == 0:
            return
        if traces != before:
            before, quiet_since = traces, time.monotonic()
        elif time.monotonic() - quiet_since > LONGEST_JOB_S + QUIET_S:
            return
        time.sleep(0.1)


def _figures(scene: Scene) -> dict[str, float]:
    begun, done = scene.client.hgetall(jobs.BEGUN), scene.client.hgetall(jobs.DONE)
    times_done = [int(done.get(str(job), 0)) for job in range(scene.sent)]
    returned = [one.returned_s for one in scene.gone if one.returned_s is not None]
    return {
        "scale_downs": len(scene.gone),
        "jobs": scene.sent,
        "interrupted": sum(int(count) - int(done.get(job, 0)) for job, count in begun.items()),
        "lost": times_done.count(0),
        "duplicated": sum(count > 1 for count in times_done),
        "prefetch_return_p50_s": round(statistics.median(returned), 3),
        "prefetch_return_p99_s": round(statistics.quantiles(returned, n=100, method="inclusive")[98], 3),
        "failed_exits": scene.failed_exits,
    }


def _workers(scene: Scene) -> dict[str, str]:
    """Worker ids by pod."""
    if scene.program == crews.PLAIN:
        return {str(pod): str(worker) for pod, worker in scene.client.hgetall(crews.WORKERS).items()}
    records = scene.client.hgetall(KEYS.workers(POOL)).items()
    return {wire.read_worker(str(worker), text).pod or "": str(worker) for worker, text in records}


def _is_drained(scene: Scene, worker: str) -> bool:
    text = scene.client.hget(KEYS.workers(POOL), worker)
    return text is not None and wire.read_worker(worker, text).state is wire.WorkerState.DRAINED


def _held(scene: Scene, worker: str) -> int:
    """How many messages Redis has noted as fetched by this worker and not acknowledged."""
    with scene.client.pipeline(transaction=False) as looks:
        for queue in QUEUES:
            looks.scard(KEYS.acks(worker, queue))
        return sum(looks.execute())


if __name__ == "__main__":
    sys.exit(main())
