"""The chart's board in a real cluster: its pod under the restricted standard, and who comes in by its Service."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx2
import pytest
from tests.e2e.conftest import PREFIX, ApplyPool
from tests.support.chart import CHART
from tests.support.cluster import Cluster, eventually
from tests.support.demo_pool import POOL
from tests.support.waiting import DEADLINE

RELEASE = ("upgrade", "crewcall", str(CHART), "--reset-then-reuse-values", "--wait", "--timeout", "2m")


@pytest.fixture
def board(cluster: Cluster, operator: str, redis_address: str) -> Iterator[str]:
    """The board, switched on in the operator's release; the name of its Deployment and of its Service."""
    secret = f"--from-literal=secret={secrets.token_urlsafe(48)}"
    cluster.kubectl("create", "secret", "generic", "board-auth", secret)
    cluster.helm(
        *RELEASE,
        *("--set", "board.enabled=true", "--set", "board.auth.secretName=board-auth"),
        *("--set", f"board.redis.url=redis://{redis_address}/0"),
        *("--set", f"board.image.repository={PREFIX}-worker"),
    )
    yield f"{operator}-board"
    cluster.helm(*RELEASE, "--set", "board.enabled=false")
    cluster.kubectl("delete", "secret", "board-auth")


def test_the_board_shows_the_pool_to_whoever_has_a_token(cluster: Cluster, board: str, apply_pool: ApplyPool) -> None:
    apply_pool({})
    # As the notes of the release say.
    token = cluster.kubectl(
        *("exec", f"deployment/{board}", "--", "crewcall-worker", "board", "token"),
        *("--subject", "me", "--role", "operator"),
    ).strip()

    assert cluster.kubectl("get", "--raw", proxied(cluster, board, "healthz")) == "ok\n"
    assert cluster.kubectl("get", "--raw", proxied(cluster, board, "readyz")) == "ok\n"
    with (
        cluster.forwarded(f"service/{board}", 80) as port,
        httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Origin": f"http://127.0.0.1:{port}"}, timeout=DEADLINE
        ) as browser,
    ):
        stranger = browser.get("/admin/queues")
        login = browser.post("/admin/login", data={"token": token})
        pool = f"{cluster.namespace}/{POOL}"
        eventually(lambda: pool in browser.get("/admin/queues").text, "the pool on the overview", within=30)
        page = browser.get(f"/admin/queues/pools/{pool}")

    assert (stranger.status_code, login.status_code, page.status_code) == (303, 303, 200)


def test_the_board_is_nobody_and_may_write_nowhere(cluster: Cluster, board: str) -> None:
    look = (
        "id -u; for it in / /opt/crewcall /run/lock /var/tmp /tmp; do touch $it/x 2>/dev/null && echo $it; done; true"
    )
    told = cluster.kubectl("exec", f"deployment/{board}", "--", "sh", "-c", look).split()

    assert told == ["65532"]


def proxied(cluster: Cluster, service: str, path: str) -> str:
    return f"/api/v1/namespaces/{cluster.namespace}/services/{service}:80/proxy/{path}"
