"""What a page of the board takes: with a million jobs in a queue, and with none, in turns of one run.

Two real Redis servers and two boards, each a process of its own as `crewcall-worker board` starts it, with a pool and
hours of its history. In the one a queue has a million ready jobs, half of them typed ones that wait in their
organisations' lanes and half plain ones in Dramatiq's list, and thousands in the other states. In the other the same
queue is empty.

A page's time is from the request to the last byte, over a connection that stays, signed in by a cookie as a browser is.
What it costs Redis is by the server's own account (INFO commandstats): of all commands while the page was asked for,
those within scripts counted twice, for the script's time has them as well. `page_p95_ms` is of all pages together,
`redis_ms_per_page` that of the dearest page. Prints one JSON line; exits 1 when a promise is broken.

BENCH_JOBS    fewer, to try something out
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import redis
from dramatiq.message import Message
from tests.support import board_scene

from benchmarks import catalogue
from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.board.people import Role
from crewcall_worker.board.tokens import issue
from crewcall_worker.queues.records import Finished, write_record

JOBS = int(os.environ.get("BENCH_JOBS", "1000000"))
OTHERS = 5_000
"""Jobs in each of the other states but running."""
RUNNING = 50
TURNS = 20
ORGANIZATIONS = tuple(f"org-{number}" for number in range(10))

QUEUE = "big"
KEYS = wire.Keys()
MARK = "@@id@@"
AT_ONCE = 20_000
#: Jobs by the number, each with an id of its own in its text. KEYS: hash, list, sorted set ("-" for none of these).
#: ARGV: the text, what ids begin with, the first number, the last, the score of number 0.
FILL = """
for number = tonumber(ARGV[3]), tonumber(ARGV[4]) do
    local id = ARGV[2] .. number
    redis.call("HSET", KEYS[1], id, (string.gsub(ARGV[1], "@@id@@", id)))
    if KEYS[2] ~= "-" then redis.call("RPUSH", KEYS[2], id) end
    if KEYS[3] ~= "-" then redis.call("ZADD", KEYS[3], ARGV[5] + number, id) end
end
"""
PROGRAM = Path(sys.executable).with_name("crewcall-worker")


@dataclass(slots=True)
class Cost:
    """What the loads of one page took, each in ms, and what all of them together cost Redis, in ms."""

    took_ms: list[float] = field(default_factory=list)
    redis_ms: float = 0.0

    @property
    def redis_ms_per_page(self) -> float:
        return self.redis_ms / len(self.took_ms)


@dataclass(frozen=True, slots=True)
class Side:
    """One board with its Redis, and what its pages cost so far."""

    client: redis.Redis
    connection: http.client.HTTPConnection
    cookie: str
    costs: dict[str, Cost]

    def load(self, name: str, path: str) -> None:
        before = _busy_ms(self.client)
        begun = time.perf_counter()
        self.connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = self.connection.getresponse()
        answer.read()
        took = time.perf_counter() - begun
        if answer.status >= 500 or answer.status in (401, 403):
            raise RuntimeError(f"{path}: {answer.status}")
        cost = self.costs.setdefault(name, Cost())
        cost.took_ms.append(took * 1000)
        cost.redis_ms += _busy_ms(self.client) - before

    @property
    def p95_ms(self) -> float:
        return _p95([took for cost in self.costs.values() for took in cost.took_ms])

    @property
    def dearest_ms(self) -> float:
        return max(cost.redis_ms_per_page for cost in self.costs.values())


def main() -> int:
    with ExitStack() as stack:
        full, empty = stack.enter_context(_side()), stack.enter_context(_side())
        begun = time.perf_counter()
        fill(full.client, JOBS)
        print(f"filled in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
        for turn in range(1 + TURNS):
            for side in (full, empty):
                if turn == 1:  # in the one before it the board has read its templates, once for all
                    side.costs.clear()
                side.connection.close()  # it may have been idle for too long; the next request opens it anew
                for name, path in pages().items():
                    side.load(name, path)
    _tell(full.costs, empty.costs)
    figures = {
        "jobs": JOBS,
        "page_p95_ms": round(full.p95_ms, 1),
        "redis_ms_per_page": round(full.dearest_ms, 2),
        "empty_page_p95_ms": round(empty.p95_ms, 1),
        "empty_redis_ms_per_page": round(empty.dearest_ms, 2),
    }
    print(json.dumps(figures))
    return catalogue.exit_status("board", figures)


def pages() -> dict[str, str]:
    """Each page's name, and its path."""
    queue = f"/admin/queues/q/{QUEUE}"
    last = JOBS // 2 // len(ORGANIZATIONS)
    job = f"typed-org-3-{last // 2}"
    waiting = f"1/{_score(last // 2):.0f} {job}"
    return {
        "overview": "/admin/queues",
        **{f"queue, {state}": f"{queue}?state={state}" for state in STATES},
        "queue, the middle of its list": f"{queue}?{urlencode({'cursor': f'0/{JOBS // 4}'})}",
        "queue, the middle of its lanes": f"{queue}?{urlencode({'cursor': waiting})}",
        "queue, one organisation": f"{queue}?organization=org-7",
        "queue, one kind that is not there": f"{queue}?job=no.such.job",
        "queue, errors with a word": f"{queue}?state=dead&error=timeout",
        "search by id": f"/admin/queues/search?q={job}",
        "search for what is not there": "/admin/queues/search?q=no-such-job",
        "job": f"/admin/queues/jobs/{quote(job)}?queue={QUEUE}",
        "dead letters": "/admin/queues/dead",
        "pool": f"/admin/queues/pools/{board_scene.POOL}",
    }


STATES = ("ready", "running", "delayed", "failed", "completed", "dead")


def fill(client: redis.Redis, jobs: int) -> None:
    """So many ready jobs, and some of each other kind."""
    _many(client, "plain-", _text("plain.send"), jobs // 2, KEYS.messages(QUEUE), KEYS.ready(QUEUE))
    for turn, organization in enumerate(ORGANIZATIONS):
        lane = wire.Lane(1, organization).name
        text = _text("typed.send", organization_id=organization)
        count = jobs // 2 // len(ORGANIZATIONS)
        names = (KEYS.messages(QUEUE), KEYS.lane(QUEUE, lane), KEYS.waiting(QUEUE))
        _many(client, f"typed-{organization}-", text, count, *names)
        client.zadd(KEYS.lanes(QUEUE), {lane: wire.TURNS + turn})
    error = "ConnectionError: the gateway sms.example:443 refused the connection"
    trace = "Traceback (most recent call last):\n" + '  File "jobs.py", line 12, in send\n    post(it)\n' * 12 + error
    failed = _text("typed.send", organization_id="org-1", retries=3, error=error, traceback=trace)
    delayed = (KEYS.messages(QUEUE + wire.DELAYED), KEYS.ready(QUEUE + wire.DELAYED), KEYS.eta(QUEUE))
    _many(client, "later-", _text("typed.send", organization_id="org-1"), OTHERS, *delayed, ahead_ms=86_400_000)
    _many(client, "again-", failed, OTHERS, *delayed, ahead_ms=86_400_000)
    _many(client, "dead-", failed, OTHERS, KEYS.messages(QUEUE + wire.DEAD), "-", KEYS.dead(QUEUE))
    record = write_record(Finished(_message("typed.send", organization_id="org-1"), 1_000, 2_000, "worker-1"))
    _many(client, "done-", record, OTHERS, KEYS.records(QUEUE), "-", KEYS.completed(QUEUE))
    for number in range(RUNNING):
        board_scene.run(client, QUEUE, "typed.send", number, "w1-3f2a", for_ms=1_000 * number)


def _many(
    client: redis.Redis, prefix: str, text: str, count: int, hash_: str, list_: str, set_: str = "-", ahead_ms: int = 0
) -> None:
    script = client.register_script(FILL)
    for first in range(0, count, AT_ONCE):
        last = min(first + AT_ONCE, count) - 1
        script(keys=[hash_, list_, set_], args=[text, prefix, first, last, int(_score(0)) + ahead_ms])


def _score(number: int) -> float:
    """When the job of that number became ready, or whatever else its state has a time of, in ms."""
    return BEGAN_MS + number


BEGAN_MS = int(time.time() * 1000) - 3_600_000


def _text(job: str, **options: object) -> str:
    return _message(job, **options).encode().decode()


def _message(job: str, **options: object) -> Message[object]:
    payload = {"organization_id": "acme", "to": "+49 30 1234567", "text": "Your parcel comes today. " * 4}
    return Message(QUEUE, job, (), {"payload": payload}, options, message_id=MARK, message_timestamp=BEGAN_MS)


@contextmanager
def _side() -> Iterator[Side]:
    """A Redis, a board on it, somebody signed in; the queue is known, and empty."""
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        client.sadd(KEYS.queues, QUEUE, *(f"queue-{number}" for number in range(20)))
        board_scene.decide(client, wire.PoolRecord(board_scene.POOL, (QUEUE,), "Auto", 0, 50, "", 7, 4, 4, 1, "Idle"))
        board_scene.remember(client, board_scene.POOL)
        secret = secrets.token_hex(32)
        told = {"REDIS_URL": server.url, "CREWCALL_BOARD_JWT_SECRET": secret, "CREWCALL_BOARD_PORT": "0"}
        with _board(told) as (host, port):
            connection = http.client.HTTPConnection(host, port, timeout=60)
            token = issue(secret, "bench", Role.OPERATOR, 3_600)
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/admin/login", urlencode({"token": token}), form)
            answer = connection.getresponse()
            answer.read()
            yield Side(client, connection, str(answer.headers["set-cookie"]).partition(";")[0], {})
            connection.close()


@contextmanager
def _board(environment: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    with subprocess.Popen([PROGRAM, "board"], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr or ():
                if found := re.search(r"The board is at http://([^:/]+):(\d+)", line):
                    yield found[1], int(found[2])
                    return
            raise RuntimeError("the board has not started")
        finally:
            process.terminate()


def _busy_ms(client: redis.Redis) -> float:
    """For how long Redis has worked on commands, but for those that ask it that."""
    told = client.info("commandstats")
    return sum(float(it["usec"]) for name, it in told.items() if not name.startswith("cmdstat_info")) / 1000


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _tell(full: Mapping[str, Cost], empty: Mapping[str, Cost]) -> None:
    """A table of all pages: ms to load, the middle one and the 95th of a hundred, and ms of Redis; then when empty."""
    print(f"{'':36}{'p50':>8}{'p95':>8}{'Redis':>8}   empty:{'p50':>8}{'p95':>8}{'Redis':>8}", file=sys.stderr)
    for name, cost in full.items():
        cells = [
            f"{value:8.2f}"
            for it in (cost, empty[name])
            for value in (statistics.median(it.took_ms), _p95(it.took_ms), it.redis_ms_per_page)
        ]
        print(f"{name:36}{''.join(cells[:3])}{'':9}{''.join(cells[3:])}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
