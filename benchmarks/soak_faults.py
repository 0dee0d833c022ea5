"""The faults of a soak: what goes wrong, at random, in four places at once.

Each method is one fault with its cure. Those of one place follow each other; different places go wrong together, as
they do. Whoever is blinded by it is told to the judge.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import redis
from tests.support.apiserver import ApiServer, Fault
from tests.support.apiserver.controller import DEPLOYMENTS
from tests.support.apiserver.deletion import Deletion, delete
from tests.support.apiserver.failures import Failure
from tests.support.apiserver.kinds import clone
from tests.support.apiserver.store import Record, event_line
from tests.support.apiserver.writes import Writing
from tests.support.sentinel import Watched
from tests.support.succession import Succession
from tests.support.waiting import until

from benchmarks.soak_judge import Judge, Name
from benchmarks.soak_load import AWAY, PATIENCE
from crewcall_operator.adapters.embedded_redis import HOST, EmbeddedRedis

POOLS = "workerpools.crewcall.dev"

#: For an operator's interpreter: its clock on the wall is off by as many seconds as a file says.
SHIFTED_CLOCK = """
import pathlib, time
shift, told = pathlib.Path(__file__).with_name("shift"), time.time
time.time = lambda: told() + float(shift.read_text())
"""

#: Seconds that a fault may last, its cure included: one that lasts longer is a defect of this soak.
CURED_WITHIN = 90.0

Way = Callable[[], Awaitable[str]]
"""One fault and its cure; gives words for it."""


@dataclass(slots=True)
class Faults:
    """`locks` keep the load away from a Redis that has a fault. `elder` and `younger` are operators' tokens."""

    random: Random
    server: ApiServer
    judge: Judge
    succession: Succession
    mortal: EmbeddedRedis
    frosty: EmbeddedRedis
    watched: Watched
    clock: Path
    elder: str
    younger: str
    locks: dict[str, asyncio.Lock]
    made: dict[Name, dict[str, Any]]
    counted: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def places(self) -> Sequence[Sequence[Way]]:
        return (
            (
                self.api_restarts,
                self.api_resets,
                self.history_expires,
                self.watches_fail,
                self.api_refuses,
                self.api_is_slow,
            ),
            (self.redis_away, self.redis_frozen, self.redis_slow, self.redis_fails_over),
            (self.cut_off, self.token_expires, self.frozen, self.killed, self.ended, self.clock_jumps),
            (self.scaled_by_hand, self.deployment_deleted, self.deleted_unseen, self.namespace_deleted),
        )

    async def go_wrong(self, ways: Sequence[Way], end: float) -> None:
        """One of these after the other until `end`; each is cured before this is over."""
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self.random.uniform(0.5, 6.0)))
            way = self.random.choice(ways)
            async with asyncio.timeout(CURED_WITHIN):
                words = await way()
            name = way.__name__
            self.counted[name] = self.counted.get(name, 0) + 1
            self.say(f"{name}: {words}")

    def say(self, words: str) -> None:
        print(f"{time.monotonic() - self.began:7.1f} s  {words}", flush=True)

    # The API server

    async def api_restarts(self) -> str:
        return await self._api_away(resets=False)

    async def api_resets(self) -> str:
        return await self._api_away(resets=True)

    async def _api_away(self, *, resets: bool) -> str:
        seconds = self.random.uniform(0.2, 8.0)
        await self.server.go_down(resets=resets)
        await asyncio.sleep(seconds)
        await self.server.come_back()
        return f"{seconds:.1f} s"

    async def history_expires(self) -> str:
        self.server.expire(tells_watches=self.random.random() < 0.5)
        self.server.cut_watches()
        return "410 for every watch"

    async def watches_fail(self) -> str:
        self.server.store.cut(last=event_line("ERROR", Record(Failure(500, "InternalError", "etcd is gone").status())))
        return "an error in every watch"

    async def api_refuses(self) -> str:
        status = self.random.choice((401, 429, 500, 503, 504))
        return await self._with(Fault(status=status), self.random.uniform(0.5, 6.0), f"{status} to everything")

    async def api_is_slow(self) -> str:
        delay = self.random.uniform(0.2, 1.5)
        return await self._with(Fault(delay=delay), self.random.uniform(1.0, 6.0), f"{delay:.1f} s for each answer")

    async def _with(self, fault: Fault, seconds: float, words: str) -> str:
        self.server.faults.add(fault)
        await asyncio.sleep(seconds)
        fault.clear()
        self.server.faults.active.remove(fault)
        return f"{words}, for {seconds:.1f} s"

    # Redis

    async def redis_away(self) -> str:
        seconds = self.random.choice((1.0, 3.0, 8.0, 20.0))
        async with self.locks["mortal"]:
            await asyncio.to_thread(self.mortal.stop)
            with self.judge.blinding("mortal"):
                await asyncio.sleep(seconds)
            await asyncio.to_thread(self.mortal.start)
        return f"{seconds:g} s"

    async def redis_frozen(self) -> str:
        seconds = self.random.uniform(0.5, 9.0)
        async with self.locks["frosty"]:
            os.kill(self.frosty.pid, signal.SIGSTOP)
            with self.judge.blinding("frosty"):
                await asyncio.sleep(seconds)
            os.kill(self.frosty.pid, signal.SIGCONT)
        return f"{seconds:.1f} s"

    async def redis_slow(self) -> str:
        pauses = self.random.randint(2, 5)
        with redis.Redis(host=HOST, port=self.frosty.port, socket_timeout=PATIENCE) as client:
            for _ in range(pauses):
                await asyncio.to_thread(client.client_pause, 1_000, True)
                await asyncio.sleep(1.1)
        return f"a second for each answer, {pauses} times"

    async def redis_fails_over(self) -> str:
        async with self.locks["watched"]:
            before = await asyncio.to_thread(self.watched.fail_over)
        return f"from port {before}"

    # The operators

    async def cut_off(self) -> str:
        token = self.random.choice((self.elder, self.younger))
        fault = Fault(hang=True, token=token)
        words = f"{self.judge.operators[token]} hears nothing"
        with self.judge.blinding(token):
            return await self._with(fault, self.random.uniform(1.0, 9.0), words)

    async def token_expires(self) -> str:
        token = self.random.choice((self.elder, self.younger))
        user = self.server.access.tokens.pop(token)
        seconds = self.random.uniform(0.5, 8.0)
        await asyncio.sleep(seconds)
        self.server.access.tokens[token] = user
        return f"401 to {self.judge.operators[token]}, for {seconds:.1f} s"

    async def frozen(self) -> str:
        token = self.random.choice((self.elder, self.younger))
        process = self.succession.operators[token].process
        seconds = self.random.uniform(0.5, 12.0)
        with self.judge.blinding(token):
            process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:  # whatever ends the game is to be told, and not that this one did not end in time
                process.send_signal(signal.SIGCONT)
        return f"{self.judge.operators[token]} stands still for {seconds:.1f} s"

    async def killed(self) -> str:
        return await self._younger_goes(signal.SIGKILL)

    async def ended(self) -> str:
        return await self._younger_goes(signal.SIGTERM)

    async def _younger_goes(self, way: signal.Signals) -> str:
        led = "leading" if self.succession.leader == self.younger else "standing by"
        process = self.succession.operators[self.younger].process
        process.send_signal(way)
        status = await process.wait()
        self.younger = await self.succession.start()
        self.judge.operators[self.younger] = f"younger-{len(self.judge.operators)}"
        return f"{way.name} while {led}, exit status {status}"

    async def clock_jumps(self) -> str:
        seconds = self.random.choice((-86_400, -3_600, -5, 5, 3_600, 86_400))
        self._shift(seconds)
        await asyncio.sleep(self.random.uniform(1.0, 6.0))
        self._shift(0)
        return f"{seconds:+d} s and back"

    def _shift(self, seconds: int) -> None:
        new = self.clock.with_name("new")
        new.write_text(str(seconds))
        new.replace(self.clock)  # at once: somebody reads it all the time

    # What is in the cluster

    async def scaled_by_hand(self) -> str:
        subject = self.random.choice(list(self.judge.subjects.values()))
        replicas = self.random.randint(0, 12)
        record = self.server.store.get(DEPLOYMENTS, subject.target)
        if record is None:
            return "nothing there to scale"
        body = clone(record.object)
        body["spec"]["replicas"] = replicas
        self.server.writer.replace(self.server.catalog.stored(DEPLOYMENTS), record, body, Writing("hand"))
        self.judge.replicas[subject.target] = replicas
        return f"{'/'.join(subject.target)} to {replicas}"

    async def deployment_deleted(self) -> str:
        target = self.random.choice([key for key, pool in self.made.items() if "template" in pool["spec"]])
        if self.server.store.get(DEPLOYMENTS, target) is None:
            return "none there"
        delete(self.server.writer, self.server.catalog.stored(DEPLOYMENTS), target, Deletion())
        return "/".join(target)

    async def deleted_unseen(self) -> str:
        """A pool goes while every watch of pools hangs, and comes back a while later."""
        key = self.random.choice([key for key, pool in self.made.items() if "template" in pool["spec"]])
        if self.server.store.get(POOLS, key) is None:
            return "none there"
        deaf = self.server.faults.add(Fault(hang=True, verb="watch", resource=POOLS))
        self.server.cut_watches(POOLS)
        await asyncio.sleep(0.1)
        delete(self.server.writer, self.server.catalog.stored(POOLS), key, Deletion())
        self.judge.subjects[key].gone_since = time.monotonic()
        self.server.expire()  # so that the deletion is never told of
        await asyncio.sleep(self.random.uniform(0.5, 3.0))
        deaf.clear()
        self.server.faults.active.remove(deaf)
        await asyncio.sleep(self.random.uniform(1.0, 15.0))
        self._make(key)
        return "/".join(key)

    async def namespace_deleted(self) -> str:
        resource = self.server.catalog.stored("namespaces")
        delete(self.server.writer, resource, ("", AWAY), Deletion())
        mine = [key for key in self.made if key[0] == AWAY]
        for key in mine:
            self.judge.subjects[key].gone_since = time.monotonic()
        await until(lambda: self.server.store.get("namespaces", ("", AWAY)) is None, "the namespace is gone", 30.0)
        await asyncio.sleep(self.random.uniform(0.0, 5.0))
        self.server.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": AWAY}})
        for key in mine:
            self._make(key)
        return f"{len(mine)} pools with it"

    def _make(self, key: Name) -> None:
        self.server.create(POOLS, clone(self.made[key]))
        self.judge.subjects[key].gone_since = None
