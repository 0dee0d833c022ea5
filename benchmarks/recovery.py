"""20 workers killed while busy: how soon what they had fetched is ready again, and whether any of it is lost.

Four worker processes with two threads each on a real Redis. Every few seconds one of them gets SIGKILL, as by the OOM
killer. In half of the cases its pod stays: a new worker starts in it at once, and proves the old one dead. In the
other half the pod is gone, and the bench does what the operator does at its next tick, each second: it sends the
script. Once more, at the end, all workers are killed, so that there is none left alive but the operator.

Measured is the time from SIGKILL until nothing is noted as the dead worker's any more: by the same script, all of it
is at the head of its queue. A job is lost if it is never done. Prints one JSON line; exits 1 when a promise is broken.

Dramatiq 2.2 alone, with one idle worker: 849 s on average, 1,915 s at most; with none, never.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from benchmarks import catalogue, crews, jobs
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.recovery import recover

KILLS, WORKERS, THREADS = 20, 4, 2
TICK_S = 1.0
BACKLOG = 40
GIVE_UP_S = 60.0
LOOK_EVERY_S = 0.01
POOL = "bench"
KEYS = wire.Keys()
QUEUES = tuple(queue + suffix for queue in (jobs.SHORT, jobs.LONG) for suffix in ("", wire.DELAYED))
# These jobs are killed by the bench, through no fault of their own.
INNOCENT = {wire.ENV_MOST_KILLS: "1000"}


@dataclass(slots=True)
class Scene:
    """The workers there are, what was sent, and how long each recovery took, in seconds by who saw to it."""

    url: str
    client: redis.Redis
    broker: CrewcallBroker
    folder: Path
    chance: random.Random = field(default_factory=lambda: random.Random(20))
    at_work: list[crews.Crew] = field(default_factory=list)
    sent: int = 0
    started: int = 0
    ticks_since: float = field(default_factory=time.monotonic)
    by_successor: list[float] = field(default_factory=list)
    by_operator: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


def main() -> int:
    with (
        EmbeddedRedis() as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        scene = Scene(server.url, client, CrewcallBroker(url=server.url), Path(folder))
        try:
            figures = _play(scene)
        finally:
            for crew in scene.at_work:
                crew.kill()
            scene.broker.close()
    print(json.dumps(figures))
    return catalogue.exit_status("recovery", figures)


def _play(scene: Scene) -> dict[str, float]:
    for _ in range(WORKERS):
        _hire(scene)
    for kill in range(KILLS):
        _keep_backlog(scene)
        crew, worker = _busy_one(scene)
        if kill % 2:
            scene.by_operator.append(_kill_with_its_pod(scene, crew, worker))
            _hire(scene)
        else:
            scene.by_successor.append(_kill_in_its_pod(scene, crew, worker))
    _keep_backlog(scene)
    _busy_one(scene)
    scene.alone.append(_kill_all(scene))
    for _ in range(WORKERS):
        _hire(scene)
    _until(scene, lambda: not any(scene.client.hlen(KEYS.messages(queue)) for queue in QUEUES), "all jobs to be over")
    return _figures(scene)


def _figures(scene: Scene) -> dict[str, float]:
    took = [*scene.by_successor, *scene.by_operator]
    done = scene.client.hgetall(jobs.DONE)
    return {
        "kills": len(took),
        "jobs": scene.sent,
        "lost": sum(str(job) not in done for job in range(scene.sent)),
        "p50_s": round(statistics.median(took), 3),
        "p99_s": round(statistics.quantiles(took, n=100, method="inclusive")[98], 3),
        "successor_max_s": round(max(scene.by_successor), 3),
        "operator_max_s": round(max(scene.by_operator), 3),
        "alone_s": round(max(scene.alone), 3),
    }


def _hire(scene: Scene, pod: str | None = None) -> None:
    scene.started += 1
    name = pod or f"worker-{scene.started}"
    scene.at_work.append(crews.start(crews.CREWCALL, scene.url, name, THREADS, scene.folder, INNOCENT))


def _keep_backlog(scene: Scene) -> None:
    ready = sum(scene.client.llen(KEYS.ready(queue)) for queue in (jobs.SHORT, jobs.LONG))
    for _ in range(max(0, BACKLOG - ready)):
        actor = scene.chance.choice([jobs.long, jobs.short])
        delay = scene.chance.randint(1_000, 5_000) if scene.chance.random() < 0.1 else None
        scene.broker.enqueue(actor.message(scene.sent, scene.chance.uniform(0.2, 1.0)), delay=delay)
        scene.sent += 1


def _busy_one(scene: Scene) -> tuple[crews.Crew, str]:
    """A worker that runs as many jobs as it can, and its id."""
    found: list[tuple[crews.Crew, str]] = []

    def look() -> bool:
        records = [wire.read_worker(str(id_), text) for id_, text in scene.client.hgetall(KEYS.workers(POOL)).items()]
        busy = {record.pod: record.worker for record in records if record.busy == THREADS}
        found[:] = [(crew, busy[crew.pod]) for crew in scene.at_work if crew.pod in busy]
        return len(found) > WORKERS // 2

    _until(scene, look, "workers to be busy")
    return scene.chance.choice(found)


def _kill_in_its_pod(scene: Scene, crew: crews.Crew, worker: str) -> float:
    """The container is restarted: a new worker in the same pod."""
    killed = _kill(scene, crew)
    _hire(scene, crew.pod)
    _until(scene, lambda: not _held(scene, worker), "the successor to see to it")
    return time.monotonic() - killed


def _kill_with_its_pod(scene: Scene, crew: crews.Crew, worker: str) -> float:
    """The operator sees at its next tick that the pod is gone."""
    killed = _kill(scene, crew)
    _wait_for_the_tick(scene)
    recover(scene.client, KEYS.namespace, POOL, [worker], limit=1000)
    _until(scene, lambda: not _held(scene, worker), "the script to have worked")
    return time.monotonic() - killed


def _kill_all(scene: Scene) -> float:
    """Nobody is left but the operator, which sees at its next tick that all pods are gone; the longest of all."""
    workers = [str(worker) for worker in scene.client.hkeys(KEYS.workers(POOL))]
    killed = min(_kill(scene, crew) for crew in list(scene.at_work))
    _wait_for_the_tick(scene)
    recover(scene.client, KEYS.namespace, POOL, workers, limit=1000)
    _until(scene, lambda: not any(_held(scene, worker) for worker in workers), "the script to have worked")
    took = time.monotonic() - killed
    for queue in QUEUES:
        ready, kept = scene.client.llen(KEYS.ready(queue)), scene.client.hlen(KEYS.messages(queue))
        if ready != kept:
            raise RuntimeError(f"{queue}: {ready} of {kept} messages are ready, though no worker is alive")
    return took


def _kill(scene: Scene, crew: crews.Crew) -> float:
    killed = time.monotonic()
    crew.kill()
    scene.at_work.remove(crew)
    return killed


def _wait_for_the_tick(scene: Scene) -> None:
    """The operator looks each second, whenever the kill was."""
    passed = time.monotonic() - scene.ticks_since
    time.sleep(TICK_S - passed % TICK_S)


def _held(scene: Scene, worker: str) -> int:
    return sum(scene.client.scard(KEYS.acks(worker, queue)) for queue in QUEUES)


def _until(scene: Scene, is_so: Callable[[], object], what: str) -> None:
    end = time.monotonic() + GIVE_UP_S
    while not is_so():
        if time.monotonic() > end:
            logs = "\n".join(log.read_text()[-500:] for log in scene.folder.glob("*.log"))
            raise RuntimeError(f"waited {GIVE_UP_S:g} s for {what}\n{logs}")
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    sys.exit(main())
