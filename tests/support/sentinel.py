"""A primary, its replica and a Sentinel that watches them: real ones, on the loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, wait_until

from crewcall_operator.adapters.embedded_redis import HOST, EmbeddedRedis

MASTER = "shop"
#: Seconds in which a Sentinel fails over by itself: once it has stood still for 2 s, it does nothing for 30 s (TILT).
FAILS_OVER = 120.0
#: Seconds for one by hand, and how often it is asked for: on a machine that stands still for a moment it is given up.
GIVES_UP, TRIES = 10.0, 5


@dataclass(frozen=True, slots=True)
class Watched:
    """Two servers, of which the Sentinel at `address` calls one the primary named `MASTER`."""

    primary: EmbeddedRedis
    replica: EmbeddedRedis
    address: str

    @property
    def url(self) -> str:
        """As the operator and the workers are told."""
        return f"redis+sentinel://{self.address}/{MASTER}/0"

    def until_replicated(self) -> None:
        """All that was written by now is on the replica as well."""
        with redis.Redis(host=HOST, port=self.primary.port) as client:
            wait_until(lambda: client.wait(1, 100) == 1, "the replica has all")

    def present(self, patience: float = 1.0) -> int:
        """The port of whoever is the primary by now. `patience` is in seconds."""
        with redis.Redis.from_url(f"redis://{self.address}", socket_timeout=patience) as asked:
            return int(asked.sentinel_masters()[MASTER]["port"])

    def fail_over(self) -> int:
        """Have the Sentinel put the other one in the primary's place, which lives on; gives the port of that one.

        It takes whoever is not the primary for a replica, whatever is in there: so first it must have seen it as one.
        And it names the new one to some (SENTINEL GET-MASTER-ADDR-BY-NAME) while it still shows the old one to others
        (SENTINEL MASTERS, which redis-py asks): all that is written then would be lost.
        """
        before = self.present()
        with redis.Redis.from_url(f"redis://{self.address}", decode_responses=True) as asked:
            wait_until(lambda: all(map(_follows, asked.sentinel_slaves(MASTER))), "there is a replica again")
            for _ in range(TRIES):
                wait_until(lambda: _begins(asked), "the Sentinel can fail over")
                if self._is_replaced(before):
                    return before
        raise AssertionError(f"{TRIES} times the Sentinel did not fail over")

    def _is_replaced(self, before: int) -> bool:
        """Whether another becomes the primary. A failover that was asked for by hand is not tried again by itself."""
        with suppress(AssertionError):
            wait_until(lambda: self.present() != before, "another primary", deadline=GIVES_UP)
            return True
        return False


def _begins(asked: redis.Redis) -> bool:
    """Whether a failover begins: not while the Sentinel is at one, as it may be after it has named the new one, nor
    while it does not know well enough how the replica does."""
    try:
        asked.execute_command("SENTINEL", "FAILOVER", MASTER)
    except redis.ResponseError as error:
        if str(error).startswith(("INPROG", "NOGOODSLAVE")):
            return False
        raise
    return True


@contextmanager
def watched(folder: Path, password: str = "") -> Iterator[Watched]:
    """Run them. With a `password`, the Sentinel asks for it."""
    at_once = ("--repl-diskless-sync-delay", "0")
    with ExitStack() as running:
        primary = running.enter_context(EmbeddedRedis(options=at_once))
        replica = running.enter_context(
            EmbeddedRedis(options=("--replicaof", HOST, str(primary.port), *at_once)),
        )
        client = running.enter_context(redis.Redis(host=HOST, port=replica.port, decode_responses=True))
        wait_until(lambda: client.info()["master_link_status"] == "up", "the replica follows")
        port = running.enter_context(_sentinel(folder, primary, password))
        asked = running.enter_context(redis.Redis(host=HOST, port=port, password=password or None))
        wait_until(lambda: asked.sentinel_slaves(MASTER), "the Sentinel knows the replica")
        yield Watched(primary, replica, f"{HOST}:{port}")


@contextmanager
def _sentinel(folder: Path, primary: EmbeddedRedis, password: str) -> Iterator[int]:
    file, port = folder / "sentinel.conf", free_port()
    lines = [
        f"port {port}",
        f"bind {HOST}",
        f"dir {folder}",
        f"sentinel monitor {MASTER} {HOST} {primary.port} 1",
        f"sentinel down-after-milliseconds {MASTER} 300",
        f"sentinel failover-timeout {MASTER} 1000",
        *([f"requirepass {password}"] if password else []),
    ]
    file.write_text("\n".join(lines) + "\n")
    with (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([str(primary.binary), str(file), "--sentinel"], stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _follows(replica: dict[str, Any]) -> bool:
    return (replica["role-reported"], replica["master-link-status"]) == ("slave", "ok")
