"""Every way to a Redis that a WorkerPool may name, taken by the operator's reader and by the workers' client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.redis import RedisServer, a_pool
from tests.support.sentinel import FAILS_OVER, Watched, watched
from tests.support.tls import tls_before
from tests.support.waiting import until, wait_until

from crewcall_operator.adapters.redis_connection import Connection, Login
from crewcall_operator.adapters.redis_hints import RedisHints
from crewcall_operator.adapters.redis_orders import RedisOrders
from crewcall_operator.adapters.redis_queues import RedisQueues
from crewcall_operator.api.pool import PoolKey, RedisSource
from crewcall_operator.core.observation import Observation
from crewcall_operator.errors import QueueUnavailable
from crewcall_worker import wire
from crewcall_worker.concurrency import MOST_THREADS
from crewcall_worker.errors import BadSetting
from crewcall_worker.redis_client import make_client
from crewcall_worker.settings import Settings

PASSWORD = "s3cret/with#signs"
POOL = a_pool("redis://nowhere", "sms")


@dataclass
class Told:
    """Sources that tell of one connection, whatever they are asked about."""

    now: Connection
    doubts: int = 0

    async def connection(self, _source: RedisSource) -> Connection:
        return self.now

    def doubt(self, _source: RedisSource) -> None:
        self.doubts += 1


@asynccontextmanager
async def reading(sources: Told) -> AsyncIterator[Callable[[], Awaitable[int | str]]]:
    """How many jobs are ready on that connection, or why it cannot be told."""
    reader = RedisQueues(time.time, sources=sources)

    async def look() -> int | str:
        found = (await reader.read([POOL]))[POOL.key]
        return found.ready if isinstance(found, Observation) else str(found)

    yield look
    await reader.aclose()


async def number(look: Callable[[], Awaitable[int | str]]) -> int:
    """The first number it tells: on a machine that stands still, a Sentinel takes its primary for dead for a moment."""
    async with asyncio.timeout(FAILS_OVER):
        while isinstance(seen := await look(), str):
            pass
    return seen


async def see(connection: Connection) -> int | str:
    async with reading(Told(connection)) as look:
        return await look()


async def test_reads_through_tls_that_an_authority_of_its_own_vouches_for(redis_server: RedisServer) -> None:
    redis_server.client.rpush("dramatiq:sms", "a", "b")

    async with tls_before(_port(redis_server)) as tls:
        assert await see(Connection(tls.url, ca=tls.authority)) == 2


async def test_does_not_trust_a_server_that_nobody_vouches_for(redis_server: RedisServer) -> None:
    async with tls_before(_port(redis_server)) as tls, tls_before(_port(redis_server)) as other:
        told = [await see(Connection(tls.url, ca=ca)) for ca in ("", other.authority)]

    assert all("certificate verify failed" in str(one) for one in told)


async def test_does_not_trust_a_server_of_another_name(redis_server: RedisServer, tmp_path: Path) -> None:
    async with tls_before(_port(redis_server)) as tls:
        url, file = tls.url.replace("127.0.0.1", "localhost"), tmp_path / "ca.pem"
        file.write_text(tls.authority)
        told = await see(Connection(url, ca=tls.authority))
        with (
            make_client(Settings(url, redis_ca=str(file))) as client,
            pytest.raises(redis.ConnectionError, match="mism"),
        ):
            await asyncio.to_thread(client.ping)

    assert "Hostname mismatch" in str(told)


async def test_a_server_without_tls_is_not_talked_to_in_the_clear(redis_server: RedisServer) -> None:
    told = await see(Connection(redis_server.url.replace("redis://", "rediss://")))

    assert "cannot be read" in str(told)


async def test_reads_as_an_acl_user_with_the_least_rights(redis_server: RedisServer) -> None:
    redis_server.client.rpush("dramatiq:sms", "a")
    rights = "+eval_ro +llen +lindex +hlen +hstrlen +hget +zcard +hgetall +hexists +hscan +zrange +zcount +zscore +time"
    with _user(redis_server, "watcher", *rights.split(), "~dramatiq:*", "~crewcall:dramatiq:*"):
        assert await see(Connection(redis_server.url, Login("watcher", PASSWORD))) == 1
        refused = await see(Connection(redis_server.url, Login("watcher", "wrong")))

    assert "it refuses the user or the password" in str(refused)
    assert "wrong" not in str(refused).replace("wrong number", "")


async def test_gives_orders_as_an_acl_user_with_the_least_rights(redis_server: RedisServer) -> None:
    rights = "+eval +select +time +@read +@write +publish ~dramatiq:* ~crewcall:dramatiq:* &crewcall:dramatiq:*"
    with _user(redis_server, "foreman", *rights.split()):
        orders = RedisOrders(sources=Told(Connection(redis_server.url, Login("foreman", PASSWORD))))
        await orders.give(POOL, ["pod-1"], [])
        await orders.aclose()

    assert redis_server.client.hgetall(wire.Keys("dramatiq").orders("shop/pool")) == {"pod-1": "drain"}


async def test_asks_for_the_login_again_once_it_is_refused(redis_server: RedisServer) -> None:
    with _user(redis_server, "watcher", "+@all", "~*"):
        sources = Told(Connection(redis_server.url, Login("watcher", "old")))
        async with reading(sources) as look:
            await look()
            await look()
            sources.now = Connection(redis_server.url, Login("watcher", PASSWORD))
            again = await look()

    assert (sources.doubts, again) == (1, 0)


async def test_pools_with_equal_connections_share_one(redis_server: RedisServer) -> None:
    reader = RedisQueues(time.time, sources=Told(Connection(redis_server.url)))
    pools = [a_pool(f"redis://name-{number}", "sms", name=f"pool-{number}") for number in range(3)]

    others = {it["id"] for it in redis_server.client.client_list()}
    await asyncio.gather(*(reader.read([pool]) for pool in pools))
    clients = {it["id"] for it in redis_server.client.client_list()} - others
    await reader.aclose()

    assert len(clients) == 1


async def test_follows_a_failover_of_its_sentinels(tmp_path: Path) -> None:
    with watched(tmp_path) as servers:
        _fill(servers)
        heard: list[PoolKey] = []
        told = Told(Connection(servers.url))
        pool = a_pool(servers.url, "sms")
        hints = RedisHints(lambda: [pool], lambda _place, keys: heard.extend(keys), told)
        listening = asyncio.create_task(hints.run())
        async with reading(told) as look:
            before = await number(look)
            servers.primary.stop()
            blind, after = await look(), await number(look)
        with redis.Redis(port=servers.replica.port) as client:
            await until(
                lambda: client.publish("crewcall:dramatiq:hints", "sms") and heard, "a hint from the new primary"
            )
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    assert (before, after) == (2, 2)
    assert str(blind).startswith(f"Redis shop/0 of the Sentinels {servers.address} cannot be read: ")
    assert set(heard) == {pool.key}


async def test_leaves_a_primary_that_was_replaced_and_lives_on(tmp_path: Path) -> None:
    with watched(tmp_path) as servers:
        _fill(servers)
        async with reading(Told(Connection(servers.url))) as look:
            before = await number(look)
            old = await asyncio.to_thread(servers.fail_over)
            with redis.Redis(port=servers.present()) as client:
                client.rpush("dramatiq:sms", "c")
            with redis.Redis(port=old) as client:
                thinks_it_leads = client.role()[0] == b"master"
            after = await number(look)

    assert (before, thinks_it_leads, after) == (2, True, 3)


async def test_stays_with_its_primary_while_no_sentinel_answers(tmp_path: Path) -> None:
    with watched(tmp_path) as servers:
        _fill(servers)
        async with reading(Told(Connection(servers.url))) as look:
            await number(look)
            with redis.Redis.from_url(f"redis://{servers.address}") as client:
                client.shutdown()
            assert await look() == 2


async def test_logs_in_to_sentinels_that_ask(tmp_path: Path) -> None:
    with watched(tmp_path, PASSWORD) as servers:
        _fill(servers)

        async with reading(Told(Connection(servers.url, sentinel_login=Login(password=PASSWORD)))) as look:
            assert await number(look) == 2
        refused = await see(Connection(servers.url))

    assert "no Sentinel answers that there is such a primary" in str(refused)


async def test_says_of_sentinels_that_are_away_that_they_are() -> None:
    told = await see(Connection("redis+sentinel://127.0.0.1:9/shop/0"))

    assert told == (
        "Redis shop/0 of the Sentinels 127.0.0.1:9 cannot be read: no Sentinel answers that there is such a primary. "
        "Is spec.redis.sentinel right, login included?"
    )


@pytest.mark.parametrize(
    "url", ["redis+sentinel://a:1", "redis+sentinel://a:99999/m", "redis+sentinel://a/m/x", "http://a", "redis://a:b:c"]
)
async def test_shows_nothing_of_a_url_that_it_cannot_read(url: str) -> None:
    with pytest.raises(QueueUnavailable, match="unreadable URL"):
        Connection(url, Login(password=PASSWORD)).pool()


async def test_refuses_an_authority_for_a_connection_without_tls() -> None:
    with pytest.raises(QueueUnavailable, match="the URL is not one with TLS"):
        Connection("redis://a", ca="-----BEGIN CERTIFICATE-----").pool()


def test_shows_no_secret_of_a_connection() -> None:
    connection = Connection(f"redis://:{PASSWORD}@a", Login("u", PASSWORD), PASSWORD, Login("u", PASSWORD))

    assert PASSWORD not in repr(connection)


async def test_a_worker_comes_through_tls(redis_server: RedisServer, tmp_path: Path) -> None:
    async with tls_before(_port(redis_server)) as tls:
        file = tmp_path / "ca.pem"
        file.write_text(tls.authority)
        with make_client(Settings(tls.url, redis_ca=str(file))) as client:
            assert await asyncio.to_thread(client.ping)
        with make_client(Settings(tls.url)) as client, pytest.raises(redis.ConnectionError, match="verify failed"):
            await asyncio.to_thread(client.ping)


def test_a_worker_logs_in_as_its_acl_user(redis_server: RedisServer) -> None:
    settings = Settings(redis_server.url, redis_username="worker", redis_password=PASSWORD)
    with _user(redis_server, "worker", "+@all", "~*"), make_client(settings) as client:
        assert client.acl_whoami() == "worker"


def test_a_worker_follows_a_failover_of_its_sentinels(tmp_path: Path) -> None:
    with (
        watched(tmp_path, PASSWORD) as servers,
        make_client(Settings(servers.url, sentinel_password=PASSWORD)) as client,
    ):
        client.set("answer", 42)
        servers.until_replicated()
        servers.primary.stop()

        def may_write() -> bool:
            with suppress(redis.RedisError, OSError):
                return bool(client.set("question", "?"))
            return False

        wait_until(may_write, "the worker to be at the new primary", deadline=FAILS_OVER)
        answer = client.get("answer")

    assert answer == b"42"


def test_a_worker_says_which_sentinel_does_not_answer() -> None:
    settings = Settings("redis+sentinel://127.0.0.1:9/shop/0")
    client = make_client(settings, retry=Retry(NoBackoff(), 0))

    with client, pytest.raises(redis.ConnectionError) as caught:
        client.ping()

    assert str(caught.value) == "no Sentinel of 127.0.0.1:9 answers that there is a primary named 'shop'"


@pytest.mark.parametrize(
    "settings", [Settings("redis+sentinel://a"), Settings("http://:pass@a"), Settings("redis://a?b=c")]
)
def test_a_worker_shows_nothing_of_a_url_that_it_cannot_read(settings: Settings) -> None:
    with pytest.raises(BadSetting, match=r"REDIS_URL is '\(not shown\)'; it cannot be understood"):
        make_client(settings)


@pytest.mark.parametrize("content", [None, "", "no certificate\n"], ids=["no file", "empty", "no certificate"])
def test_a_worker_says_that_its_authorities_are_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(BadSetting) as caught:
        make_client(Settings("rediss://a", redis_ca=str(file)))

    assert str(caught.value) == f"CREWCALL_REDIS_CA is {str(file)!r}; name a file with certificates in PEM"


def _port(server: RedisServer) -> int:
    return int(server.client.connection_pool.connection_kwargs["port"])


def _fill(servers: Watched) -> None:
    with redis.Redis(port=servers.primary.port) as client:
        client.rpush("dramatiq:sms", "a", "b")
    servers.until_replicated()


@contextmanager
def _user(server: RedisServer, name: str, *rights: str) -> Iterator[None]:
    """A user who may do this and nothing else, as long as the block goes on."""
    server.client.execute_command("ACL", "SETUSER", name, "reset", "on", f">{PASSWORD}", *rights)
    try:
        yield
    finally:
        server.client.acl_deluser(name)


def test_every_thread_that_a_worker_may_have_gets_a_connection(redis_server: RedisServer) -> None:
    with make_client(Settings(redis_server.url)) as client:
        taken = [client.connection_pool.get_connection() for _ in range(101)]
        for connection in taken:
            client.connection_pool.release(connection)

        assert client.connection_pool.max_connections >= MOST_THREADS


def test_a_url_may_say_how_many_connections_are_made() -> None:
    with make_client(Settings("redis://nowhere/0?max_connections=7")) as client:
        assert client.connection_pool.max_connections == 7


def test_workers_of_sentinels_have_as_many_connections() -> None:
    with make_client(Settings("redis+sentinel://nowhere:26379/primary")) as client:
        assert client.connection_pool.max_connections >= MOST_THREADS
