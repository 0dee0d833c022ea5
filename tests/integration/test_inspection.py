"""`crewcall explain` and `crewcall top` as people run them: a process, a kubeconfig, and a cluster that may refuse."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.api_cluster import ApiCluster
from tests.support.operator import RunningOperator
from tests.support.redis import RedisServer
from tests.support.shop import Shop, installed
from tests.support.tools import ToolMissing, find_tool
from tests.support.waiting import DEADLINE, until
from tests.support.workerpools import CRD_FILE, workerpool

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed and its exit status."""

    status: int
    out: str
    err: str


async def run(kubeconfig: Path, *command: str) -> Answer:
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
    }
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Answer(process.returncode, out.decode(), err.decode())


async def refused(kubeconfig: Path, *command: str) -> str:
    """What a command that cannot do its work says."""
    answer = await run(kubeconfig, "crewcall", *command)
    assert (answer.status, answer.out) == (1, ""), answer
    return answer.err.strip()


@pytest.fixture
async def shop(cluster: ApiCluster, namespace: str, redis_server: RedisServer, tmp_path: Path) -> Shop:
    await cluster.install_crd(CRD_FILE)
    return Shop(cluster, namespace, redis_server.url, cluster.write_kubeconfig(tmp_path, namespace=namespace))


@pytest.fixture
async def operator(shop: Shop, tmp_path: Path) -> AsyncIterator[RunningOperator]:
    folder = tmp_path / "operator"
    folder.mkdir()
    release = await installed(shop.cluster, shop.namespace, shop.url, folder)
    async with release.operating("--interval", "0.1") as running:
        yield running


async def test_explains_what_the_operator_did(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool(maxReplicas=3)
    shop.arrive(95)
    await shop.until_replicas(3)
    await shop.until_condition("Ready", lambda status, reason, _: (status, reason) == ("True", "TooManyReplicas"))

    async def is_told() -> bool:
        return any(reason == "TooManyReplicas" for reason, _ in await shop.events())

    async def is_written() -> bool:
        return (await shop.status()).get("replicas") == 3

    await shop.cluster.until(is_told, "the Event")
    await shop.cluster.until(is_written, "the status of after the change")
    answer = await run(shop.kubeconfig, "crewcall", "explain", "notifications", "--json")
    found = json.loads(answer.out)
    page = await run(shop.kubeconfig, "crewcall", "explain", f"{shop.namespace}/notifications")

    assert [(step["replicas"], step["reason"], step["binds"]) for step in found["steps"]] == [
        (5, found["steps"][0]["reason"], False),
        (3, "TooManyReplicas", True),
    ]
    assert (found["desired"], found["queues"][0]["ready"], found["warnings"]) == (3, 95, [])
    assert found["seenAt"] is not None
    assert "TooManyReplicas" in [event["reason"] for event in found["events"]]
    assert "maxReplicas                        3  TooManyReplicas  <- binds" in page.out
    assert max(len(line) for line in page.out.splitlines()) <= 80


async def test_lists_pools_for_people_and_for_programs(shop: Shop, operator: RunningOperator) -> None:
    await shop.open_pool()
    await shop.until_condition("Ready", lambda status, *_: status == "True")

    listed = await run(shop.kubeconfig, "crewcall", "top")
    found = json.loads((await run(shop.kubeconfig, "crewcall", "top", "-A", "--json")).out)

    assert listed.out.splitlines()[2].split() == ["POOL", "REPLICAS", "READY", "BACKLOG", "OLDEST", "DEAD", "REASON"]
    assert listed.out.splitlines()[3].split() == ["notifications", "0", "0", "?", "?", "?", "Idle"]
    mine = [row for row in found if row["namespace"] == shop.namespace]
    assert [(row["name"], row["healthy"], row["reason"]) for row in mine] == [("notifications", True, "Idle")]


async def test_is_a_plugin_of_kubectl(shop: Shop) -> None:
    try:
        kubectl = find_tool("kubectl")
    except ToolMissing as missing:
        pytest.skip(str(missing))
    await shop.open_pool()

    top = await run(shop.kubeconfig, str(kubectl), "crewcall", "top")
    explained = await run(shop.kubeconfig, str(kubectl), "crewcall", "explain", "notifications", "-n", shop.namespace)

    assert "notifications" in top.out
    assert "! No operator has looked at this pool yet." in explained.out


async def test_completes_the_names_of_pools(shop: Shop) -> None:
    for name in ("notifications", "nightly", "reports"):
        await shop.open_pool(name)

    command = ["env", "_CREWCALL_COMPLETE=bash_complete", "COMP_WORDS=crewcall explain n", "COMP_CWORD=2", "crewcall"]
    answer = await run(shop.kubeconfig, *command)

    assert sorted(answer.out.split()) == ["plain,nightly", "plain,notifications"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("",), {"explain\tSay why a pool has the replicas it has.", "top\tList pools, live."}),
        (("explain", "n"), {"nightly", "notifications"}),
        (("explain", "--j"), {"--json\tPrint JSON, for programs."}),
    ],
    ids=["commands", "pools", "options"],
)
async def test_completes_for_kubectl(shop: Shop, words: tuple[str, ...], found: set[str]) -> None:
    try:
        kubectl = find_tool("kubectl")
    except ToolMissing as missing:
        pytest.skip(str(missing))
    for name in ("notifications", "nightly", "reports"):
        await shop.open_pool(name)

    answer = await run(shop.kubeconfig, str(kubectl), "__complete", "crewcall", *words)

    *completions, directive = answer.out.splitlines()
    assert (set(completions), directive) == (found, ":4")


async def test_says_which_pool_may_have_been_meant(shop: Shop) -> None:
    await shop.open_pool()

    assert await refused(shop.kubeconfig, "explain", "notification") == (
        f'Error: there is no WorkerPool "notification" in namespace {shop.namespace}; did you mean "notifications"?'
    )


async def test_says_in_which_namespace_a_pool_is(shop: Shop) -> None:
    await shop.open_pool("solitary")  # others may have left pools of the usual name in namespaces that are about to go

    assert await refused(shop.kubeconfig, "explain", "solitary", "-n", "default") == (
        'Error: there is no WorkerPool "solitary" in namespace default, '
        f"but there is one in {shop.namespace}; try -n {shop.namespace}"
    )


async def test_says_that_the_cluster_does_not_know_workerpools(memory: ApiCluster, tmp_path: Path) -> None:
    kubeconfig = memory.write_kubeconfig(tmp_path)

    for command in (["explain", "notifications"], ["top"]):
        assert await refused(kubeconfig, *command) == (
            f"Error: the cluster at {memory.url} does not know WorkerPools; the chart installs their definition, "
            "or kubectl apply --server-side -f crds/workerpool.yaml"
        )


async def test_says_which_right_is_missing(shop: Shop, tmp_path: Path) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "guest", "namespace": shop.namespace}}
    await shop.cluster.create(account)
    token = await shop.cluster.issue_token(shop.namespace, "guest")
    folder = tmp_path / "guest"
    folder.mkdir()
    kubeconfig = shop.cluster.write_kubeconfig(folder, token=token, namespace=shop.namespace)

    said = await refused(kubeconfig, "explain", "notifications")
    everywhere = await refused(kubeconfig, "top", "-A")

    first = f"Error: you may not read workerpools.crewcall.dev in namespace {shop.namespace}"
    assert said.splitlines()[0] == first
    assert everywhere.splitlines()[0] == (
        "Error: you may not read workerpools.crewcall.dev in all namespaces; try -n NAMESPACE"
    )


async def test_explains_with_no_right_but_to_read_pools(shop: Shop, tmp_path: Path) -> None:
    await shop.open_pool()
    about = {"name": "guest", "namespace": shop.namespace}
    rules = [{"apiGroups": ["crewcall.dev"], "resources": ["workerpools"], "verbs": ["get", "list"]}]
    subject = {"kind": "ServiceAccount", **about}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "guest"}
    rbac = "rbac.authorization.k8s.io/v1"
    await shop.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about})
    await shop.cluster.create({"apiVersion": rbac, "kind": "Role", "metadata": about, "rules": rules})
    binding = {"apiVersion": rbac, "kind": "RoleBinding", "metadata": about}
    await shop.cluster.create({**binding, "subjects": [subject], "roleRef": reference})
    folder = tmp_path / "guest"
    folder.mkdir()
    token = await shop.cluster.issue_token(shop.namespace, "guest")

    kubeconfig = shop.cluster.write_kubeconfig(folder, token=token, namespace=shop.namespace)
    answer = await run(kubeconfig, "crewcall", "explain", "notifications")

    assert answer.status == 0, answer.err
    assert "notifications: there is none, or it may not be read" in answer.out


async def test_says_that_there_is_no_cluster(tmp_path: Path) -> None:
    said = await refused(tmp_path / "none", "top")

    assert said.startswith("Error: no cluster to ask: ")
    assert said.endswith("Set KUBECONFIG, or choose a context with --context.")


@pytest.mark.parametrize(
    "content", [b"a: [", b"\xff\xfe\x00", b"- a list\n", b"a word"], ids=["no YAML", "no text", "a list", "a word"]
)
async def test_says_of_a_file_that_it_is_no_kubeconfig(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)

    said = await refused(file, "top")

    assert said.startswith(f"Error: no cluster to ask: {file} is no kubeconfig: ")
    assert said.endswith("Set KUBECONFIG, or choose a context with --context.")
    assert said.count("\n") == 1


async def test_says_that_the_cluster_does_not_answer(memory: ApiCluster, tmp_path: Path) -> None:
    gone = ApiCluster("http://127.0.0.1:9", "token", memory.capabilities)

    said = await refused(gone.write_kubeconfig(tmp_path), "top")

    assert said.startswith("Error: the cluster at http://127.0.0.1:9 does not answer: GET /apis/crewcall.dev/")


async def test_a_pool_that_nobody_looks_after_is_listed_as_such(shop: Shop) -> None:
    body = workerpool("lonely")
    body["metadata"]["namespace"] = shop.namespace
    await shop.cluster.create(body)

    assert (await run(shop.kubeconfig, "crewcall", "top", "--once")).out.splitlines()[3].split() == [
        "lonely", "?", "?", "?", "?", "not", "looked", "at", "yet"
    ]  # fmt: skip


async def test_top_is_drawn_on_a_terminal_until_ctrl_c(shop: Shop) -> None:
    await shop.open_pool()
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "KUBECONFIG": str(shop.kubeconfig), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    command = [str(PROGRAMS / "crewcall"), "top", "--interval", "0.5"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def has_drawn(*words: str) -> bool:
        with suppress(OSError):  # nothing to read, or nobody writes any more
            seen.extend(os.read(ours, 65536))
        return all(word.encode() in seen for word in words)

    await until(lambda: has_drawn("not looked at yet", "Ctrl-C ends it"), "the table")
    await shop.open_pool("latecomer")
    await until(lambda: has_drawn("latecomer"), "the table drawn anew")
    process.send_signal(signal.SIGINT)

    async with asyncio.timeout(DEADLINE):
        while process.returncode is None:  # what it writes at the end has to be read, or it waits for ever
            has_drawn()
            await asyncio.sleep(0.01)
    has_drawn()
    os.close(ours)
    assert process.returncode == 0
    assert b"Traceback" not in seen
    assert b"\x1b[?1049l" in seen  # the screen that was there before is back
