"""The lease while the operator's own loop is busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import kubernetes.client
import pytest
from tests.support.apiserver import ServerOptions, ServerThread
from tests.support.succession import LEASES
from tests.support.waiting import until

from crewcall_operator.adapters import lease_thread
from crewcall_operator.adapters.election import LeaseElection
from crewcall_operator.adapters.kubernetes_api import KubernetesApi
from crewcall_operator.adapters.lease import Lease
from crewcall_operator.adapters.lease_thread import LeaseThread
from crewcall_operator.core.leadership import Candidate, Terms

QUICK = Terms(renewal=0.1)
LONGEST_S = 30.0


@pytest.fixture
def server() -> Iterator[ServerThread]:
    with ServerThread(ServerOptions(runs_controllers=False)) as thread:
        yield thread


def standing(server: ServerThread) -> LeaseThread:
    configuration = kubernetes.client.Configuration(host=server.server.url)
    configuration.api_key["authorization"] = f"Bearer {server.server.token}"

    def elect(api: KubernetesApi) -> LeaseElection:
        lease = Lease(api, "default", "crewcall", lambda: datetime.now(UTC))
        return LeaseElection(lease, Candidate("me", QUICK), time.monotonic)

    return LeaseThread(lambda: KubernetesApi(configuration), elect, time.monotonic)


def written(server: ServerThread) -> int:
    return len(server.server.journal.writes(LEASES))


def holder(server: ServerThread) -> str:
    told = [it.body["spec"] for it in server.server.journal.writes(LEASES) if "holderIdentity" in it.body["spec"]]
    return str(told[-1]["holderIdentity"])


def keep_the_loop_while(condition: Callable[[], bool]) -> None:
    """As somebody does who computes: no other task of this loop gets anywhere meanwhile."""
    end = time.monotonic() + LONGEST_S
    while condition() and time.monotonic() < end:
        time.sleep(0.01)


async def test_renews_the_lease_while_the_operators_loop_is_busy(server: ServerThread) -> None:
    async with standing(server) as election:
        running = asyncio.create_task(election.run())
        await until(lambda: election() > 0, "it leads")

        before = written(server)
        keep_the_loop_while(lambda: written(server) < before + 3)

        assert written(server) >= before + 3
        assert election() > 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_tells_of_the_leadership_in_the_loop_of_the_operator(server: ServerThread) -> None:
    told: list[asyncio.AbstractEventLoop] = []
    async with standing(server) as election:
        election.on_lead.append(lambda: told.append(asyncio.get_running_loop()))
        running = asyncio.create_task(election.run())
        await until(lambda: bool(told), "it leads")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert told == [asyncio.get_running_loop()]


async def test_gives_the_lease_back_once_it_has_stepped_back(server: ServerThread) -> None:
    async with standing(server) as election:
        running = asyncio.create_task(election.run())
        await until(lambda: election() > 0, "it leads")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await election.release()

        assert election() == 0

    assert server.server.journal.writes(LEASES)[-1].body["spec"]["holderIdentity"] == ""


async def test_gives_the_lease_back_while_the_operators_loop_hangs_and_takes_it_again(
    server: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_thread, "BEAT", 0.02)
    async with standing(server) as election:
        running = asyncio.create_task(election.run())
        await until(lambda: election() > 0, "it leads")

        monkeypatch.setattr(lease_thread, "HANGS_AFTER", 0.3)
        keep_the_loop_while(lambda: holder(server) != "")
        hung = holder(server)
        monkeypatch.setattr(lease_thread, "HANGS_AFTER", LONGEST_S)

        assert hung == ""
        await until(lambda: election() > 0, "it leads again")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_gives_back_a_lease_that_it_was_just_taking(
    server: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()
    main = asyncio.get_running_loop()
    create = KubernetesApi.create

    async def create_and_hang(api: KubernetesApi, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await create(api, path, body)
        main.call_soon_threadsafe(asked.set)
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(KubernetesApi, "create", create_and_hang)
    async with standing(server) as election:
        running = asyncio.create_task(election.run())
        await asked.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await election.release()

    assert holder(server) == ""
