"""The API at work: what it tells and does, what the audit has of it, and what nobody sees. Real Redis, real HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import dramatiq
import httpx2
import pytest
from tests.support.boards import RunningBoard, running_board
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_operator.adapters.lifeline import Lifeline
from crewcall_worker import wire
from crewcall_worker.board import actions
from crewcall_worker.board.people import Role
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, QueueService, Reject, job
from crewcall_worker.queues.pauses import Pauses
from crewcall_worker.queues.schedules import Schedules
from crewcall_worker.settings import Settings
from crewcall_worker.wire import PoolRecord, write_pool

KEYS = wire.Keys()
LATER = 3_600.0
PHONE = "+15550001111"


class Send(Payload):
    to: str
    card: str = ""


def a_job() -> JobType[Any]:
    @job("texts.send", queue="sms")
    def send(payload: Send, context: JobContext) -> None:
        if payload.to == PHONE:
            raise Reject(f"no way to {payload.to}")

    del CATALOGUE["texts.send"]
    return send


class Shop:
    """An application, its worker when there is one, and its Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.client = server.client
        self.send = a_job()
        self.service = QueueService(Settings(redis_url=server.url))

    def put(self, to: str = "ada", delay: float | None = None) -> str:
        return self.service.enqueue(self.send, Send(organization_id="acme", to=to), delay=delay).id

    def work_off(self) -> None:
        with at_work(self.server.url, {"texts.send": self.send}):
            wait_until(lambda: not self.client.exists("dramatiq:sms.msgs"), "the jobs to be over")

    def bury(self, *ids: str, error: str = "boom") -> None:
        for number, id_ in enumerate(ids):
            options = {"redis_message_id": id_, "error": error}
            message: dramatiq.Message[None] = dramatiq.Message("sms", "texts.send", (), {}, options, message_id=id_)
            self.client.zadd(KEYS.dead("sms"), {id_: number})
            self.client.hset(KEYS.messages("sms.XQ"), id_, message.encode().decode())

    def tell_of_pool(self) -> None:
        self.client.zadd(KEYS.pools, {"shop/mail": 1})
        self.client.set(KEYS.pool("shop/mail"), write_pool(PoolRecord("shop/mail", queues=("sms",), desired=2)))
        self.client.hset(KEYS.workers("shop/mail"), "w-1", wire.write_worker(wire.WorkerRecord("w-1", pod="mail-1")))


@pytest.fixture
def shop(redis_server: RedisServer) -> Iterator[Shop]:
    shop = Shop(redis_server)
    shop.client.sadd(KEYS.queues, "sms")
    yield shop
    shop.service.shutdown()


@pytest.fixture
def board(shop: Shop) -> Iterator[RunningBoard]:
    with running_board(shop.server.url) as found:
        yield found


@pytest.fixture
def api(board: RunningBoard) -> Iterator[httpx2.Client]:
    with board.api() as client:
        yield client


def audit(api: httpx2.Client) -> list[tuple[str, ...]]:
    """What was done, the last first."""
    entries = api.get("/audit").json()["entries"]
    return [tuple(entry[name] for name in ("by", "action", "target", "outcome", "detail")) for entry in entries]


def test_a_job_is_followed_from_its_delay_to_its_end_and_gone(shop: Shop, api: httpx2.Client) -> None:
    id_ = shop.put(delay=LATER)
    place = f"/queues/sms/jobs/{id_}"
    states = [api.get(place).json()["job"]["state"]]

    assert api.post(f"{place}/run-now").status_code == 204
    states.append(api.get(place).json()["job"]["state"])
    shop.work_off()
    states.append(api.get(place).json()["job"]["state"])
    assert api.delete(place).status_code == 204

    assert states == ["delayed", "ready", "completed"]
    assert api.get(place).status_code == 404
    assert audit(api) == [
        ("jane", "remove", f"job {id_} of queue sms", "done", ""),
        ("jane", "run now", f"job {id_} of queue sms", "done", ""),
    ]


def test_a_dead_letter_is_retried(shop: Shop, api: httpx2.Client) -> None:
    shop.bury("one")

    answer = api.post("/queues/sms/jobs/one/retry")

    assert (answer.status_code, api.get("/queues/sms").json()["ready"], shop.client.zcard(KEYS.dead("sms"))) == (
        204,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("method", "what", "words"),
    [
        ("POST", "/retry", "only a dead or failed one can be retried"),
        ("POST", "/run-now", "only a delayed one can be run ahead of its time"),
    ],
)
def test_what_is_ready_can_neither_be_retried_nor_hurried(
    shop: Shop, api: httpx2.Client, method: str, what: str, words: str
) -> None:
    id_ = shop.put()

    answer = api.request(method, f"/queues/sms/jobs/{id_}{what}")

    assert (answer.status_code, answer.json()["detail"]) == (409, f"job {id_} is ready; {words}")
    assert audit(api)[0][3:] == ("failed", f"job {id_} is ready; {words}")


def test_a_running_job_is_its_workers(shop: Shop, api: httpx2.Client) -> None:
    id_ = shop.put()
    shop.client.hset(KEYS.workers("pool"), "w", "{}")
    shop.client.lpop(KEYS.lane("sms", "1:acme"))
    shop.client.zrem(KEYS.waiting("sms"), id_)

    answer = api.delete(f"/queues/sms/jobs/{id_}")

    assert (answer.status_code, "its worker has it" in answer.json()["detail"]) == (409, True)


def test_all_that_match_are_retried_however_often_one_has_to_ask(
    shop: Shop, api: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "WITHIN", 0.0)
    shop.bury(*(f"timeout-{number}" for number in range(150)), error="TimeoutError: slow")
    shop.bury(*(f"other-{number}" for number in range(150)))
    done, asked, cursor = 0, 0, None
    while True:
        told = api.post("/queues/sms/retry-all", json={"error": "timeout", "cursor": cursor}).json()
        done, asked, cursor = done + told["done"], asked + 1, told["cursor"]
        if cursor is None:
            break

    assert (done, asked, api.get("/queues/sms").json()["dead"]) == (150, 3, 150)
    assert audit(api)[0] == (
        "jane",
        "retry all",
        "dead letters of queue sms",
        "done",
        f"error 'timeout'; {_last(told)}",
    )


def _last(told: dict[str, Any]) -> str:
    return f"{told['done']} done, {told['left']} left"


@pytest.mark.parametrize("state", ["ready", "delayed", "dead", "completed"])
def test_a_state_of_a_queue_is_purged_and_no_other(shop: Shop, api: httpx2.Client, state: str) -> None:
    shop.put()
    shop.work_off()
    shop.put()
    shop.put(delay=LATER)
    shop.bury("dead")
    counts = {"ready": 1, "delayed": 1, "dead": 1, "completed": 1}

    told = api.post("/queues/sms/purge", json={"state": state}).json()

    left = api.get("/queues/sms").json()
    assert told == {"done": 1, "left": 0, "cursor": None}
    assert {name: left[name] for name in counts} == {**counts, state: 0}
    assert audit(api) == [("jane", "purge", f"{state} jobs of queue sms", "done", "1 done, 0 left")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queues/sms/purge", {"state": "running"}),
        ("/queues/sms/purge", {"state": "ready", "cursor": "x"}),
        ("/queues/sms/purge", {}),
        ("/queues/sms/retry-all", {"cursor": "x"}),
        ("/queues/sms/retry-all", {"unknown": 1}),
        ("/queues/sms/pause", {"reason": "x" * 201}),
        ("/queues/sms/pause", []),
    ],
)
def test_what_cannot_be_understood_is_told_so(api: httpx2.Client, path: str, body: dict[str, Any]) -> None:
    answer = api.post(path, json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_a_queue_is_paused_and_resumed(shop: Shop, api: httpx2.Client) -> None:
    told = api.post("/queues/sms/pause", json={"reason": "incident\n2026-11-22 INFO forged"}).json()
    paused = api.get("/queues/sms").json()["pause"]
    api.post("/queues/sms/resume")

    assert told == paused
    assert (told["by"], told["reason"]) == ("jane", "incident�2026-11-22 INFO forged")
    assert api.get("/queues/sms").json()["pause"] is None
    assert [entry[1] for entry in audit(api)] == ["resume", "pause"]


def test_a_pool_is_pinned_and_let_go(shop: Shop, api: httpx2.Client) -> None:
    shop.tell_of_pool()
    pinned = api.put("/pools/shop/mail/pin", json={"replicas": 5}).json()
    seen = api.get("/pools/shop/mail").json()["pin"]
    released = api.delete("/pools/shop/mail/pin").status_code

    assert (pinned["replicas"], pinned["by"], seen) == (5, "jane", pinned)
    assert (released, shop.client.exists(KEYS.pins)) == (204, 0)
    assert audit(api)[1] == ("jane", "pin", "pool shop/mail", "done", "to 5 replicas")


def test_a_worker_is_drained_and_let_work_on(shop: Shop, api: httpx2.Client) -> None:
    shop.tell_of_pool()
    place = "/pools/shop/mail/workers/w-1/drain"
    asked = api.put(place).json()
    (worker,) = api.get("/pools/shop/mail/workers").json()["workers"]
    released = api.delete(place).status_code

    assert (asked["worker"], asked["by"], worker["asked"]) == ("w-1", "jane", asked)
    assert (released, shop.client.exists(KEYS.asked("shop/mail"))) == (204, 0)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/queues/other/pause", {}),
        ("POST", "/queues/other/resume", None),
        ("POST", "/queues/other/purge", {"state": "ready"}),
        ("POST", "/queues/other/retry-all", {}),
        ("POST", "/queues/sms/jobs/none/retry", None),
        ("DELETE", "/queues/sms/jobs/none", None),
        ("PUT", "/pools/shop/other/pin", {"replicas": 1}),
        ("PUT", "/pools/-/mail/workers/none/drain", None),
        ("GET", "/queues/other", None),
        ("GET", "/queues/other/jobs", None),
        ("GET", "/pools/shop/other/history", None),
    ],
)
def test_what_is_not_there_is_told_so(api: httpx2.Client, method: str, path: str, body: Any) -> None:
    answer = api.request(method, path, json=body)

    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


def test_a_viewer_sees_all_and_is_noted_where_he_would_do_more(board: RunningBoard, shop: Shop) -> None:
    with board.api(Role.VIEWER, "vera") as viewer:
        status = viewer.get("/status").json()
        refused = viewer.post("/queues/sms/pause", json={})
        noted = audit(viewer)

    assert (status["subject"], status["role"], status["may_act"]) == ("vera", "viewer", False)
    assert (refused.status_code, refused.json()["detail"]) == (403, "vera is a viewer; this takes the role operator")
    assert noted == [("vera", "pause", "queue sms", "refused", "the role is viewer")]


def test_logging_in_is_noted_and_so_is_failing_to(board: RunningBoard, api: httpx2.Client) -> None:
    with board.stranger() as stranger:
        stranger.post("/admin/login", data={"token": "guessed"})
    with board.browser(subject="olga"):
        assert audit(api) == [
            ("olga", "login", "the board", "done", "as operator, by a token"),
            ("", "login", "the board", "refused", "the token is not valid here"),
        ]


def test_an_action_that_fails_by_a_defect_is_in_the_audit(
    board: RunningBoard, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArithmeticError("a defect")

    shop.put()
    monkeypatch.setattr(Pauses, "pause", fail)

    with board.api() as api:
        answer = api.post("/queues/sms/pause", json={"reason": "why"})
    with board.api() as another:  # a defect ends the connection
        noted = audit(another)

    assert answer.status_code == 500
    assert noted == [("jane", "pause", "queue sms", "failed", "why; the board failed, so it may have been done")]


def test_the_audit_is_read_page_by_page(shop: Shop, api: httpx2.Client) -> None:
    for _ in range(5):
        api.post("/queues/sms/resume")
    first = api.get("/audit?limit=3").json()
    second = api.get("/audit", params={"limit": 3, "before": first["before"]}).json()

    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert (len(set(ids)), ids, second["before"]) == (5, sorted(ids, reverse=True), None)


def test_the_log_has_who_did_what_in_fields(shop: Shop, api: httpx2.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "crewcall_worker.board.audit"):
        api.post("/queues/sms/pause", json={"reason": "why"})

    (record,) = (it for it in caplog.records if it.name == "crewcall_worker.board.audit")
    assert record.getMessage() == "jane: pause queue sms: done (why)"
    assert {name: value for name, value in vars(record).items() if name.startswith("audit_")} == {
        "audit_by": "jane",
        "audit_action": "pause",
        "audit_target": "queue sms",
        "audit_outcome": "done",
        "audit_detail": "why",
        "audit_address": "127.0.0.1",
    }


def test_what_is_redacted_is_in_no_page_and_no_answer_and_found_by_no_search(shop: Shop) -> None:
    id_ = shop.put(PHONE)
    shop.work_off()
    shop.put(PHONE, delay=LATER)
    with running_board(shop.server.url, REDACT="to") as board, board.browser() as browser:
        paths = [
            "/admin/queues",
            "/admin/queues/dead",
            f"/admin/queues/jobs/{id_}",
            *(f"/admin/queues/q/sms?state={state}" for state in ("ready", "delayed", "dead")),
            *(f"/admin/queues/fragment/q/sms?state={state}" for state in ("delayed", "dead")),
            f"/admin/queues/q/sms?state=dead&error={id_}",
            f"/api/admin/queues/sms/jobs/{id_}",
            *(f"/api/admin/queues/sms/jobs?state={state}" for state in ("delayed", "dead")),
            "/api/admin/dead-letters",
        ]
        answers = {path: browser.get(path) for path in paths}
        found = browser.get("/api/admin/queues/sms/jobs", params={"state": "dead", "error": PHONE[1:]}).json()
        job = answers[f"/api/admin/queues/sms/jobs/{id_}"].json()["job"]

    assert {path: (it.status_code, PHONE[1:] in it.text) for path, it in answers.items()} == dict.fromkeys(
        paths, (200, False)
    )
    assert (job["payload"]["to"], job["error"], found["jobs"]) == ("•••", "Reject: •••", [])


def test_what_is_redacted_misleads_no_action(shop: Shop) -> None:
    schedules = Schedules(shop.client)
    schedules.put("yearly", "0 0 1 1 *", shop.send, Send(organization_id="acme", to="all"))
    with running_board(shop.server.url, REDACT="schedule") as board, board.api() as api:
        (tick,) = api.get("/queues/sms/jobs?state=delayed").json()["jobs"]
        removed = api.delete(f"/queues/sms/jobs/{tick['id']}")
        (following,) = api.get("/queues/sms/jobs?state=delayed").json()["jobs"]

    assert (tick["options"]["schedule"], removed.status_code) == ("•••", 204)
    assert following["at_ms"] > tick["at_ms"]


def test_no_payload_is_taken_for_html(shop: Shop, board: RunningBoard) -> None:
    odd = "<script>alert(1)</script>"
    shop.bury("dead", error=odd)
    id_ = shop.put(odd, delay=LATER)
    with board.browser() as browser:
        pages = [
            browser.get(path).text
            for path in (
                f"/admin/queues/jobs/{id_}",
                "/admin/queues/dead",
                "/admin/queues/q/sms?state=dead",
                f"/admin/queues/search?q={odd}",
            )
        ]

    assert [odd in page for page in pages] == [False] * 4


def test_without_redis_every_door_says_so_and_nothing_of_the_inside() -> None:
    with (
        Lifeline() as lifeline,
        EmbeddedRedis(lifeline=lifeline) as server,
        running_board(server.url) as board,
        board.browser() as browser,
        board.api() as by_token,
    ):
        server.stop()
        answers = [browser.get(path) for path in ("/api/admin/status", "/admin/queues", "/readyz")]
        answers.append(by_token.post("/queues/sms/pause", json={}))

    assert [answer.status_code for answer in answers] == [503] * 4
    assert answers[0].json()["detail"].startswith("Redis does not do what is asked of it")
    assert not any(server.url.split("/")[2] in answer.text for answer in answers)


def test_the_document_tells_of_every_refusal(api: httpx2.Client) -> None:
    document = api.get("/openapi.json").json()

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            codes = set(operation["responses"])
            assert codes >= {"401", "422", "429", "503"}, path
            assert method == "get" or codes >= {"403", "409", "413"}, path
            assert "{" not in path or "404" in codes, path
            assert operation["security"] == [{"token": []}, {"session": []}], path
    assert "HTTPValidationError" not in json.dumps(document)


@pytest.mark.parametrize("id_", ["a/b", "../x", "a/retry"])
def test_a_job_may_have_slashes_in_its_id(shop: Shop, api: httpx2.Client, id_: str) -> None:
    shop.client.sadd(KEYS.queues, "sms")
    shop.bury(id_)
    path = f"/queues/sms/jobs/{quote(id_, safe='').replace('.', '%2E')}"

    found = api.get(path)
    retried = api.post(f"{path}/retry")

    assert (found.status_code, found.json()["job"]["id"]) == (200, id_)
    assert (retried.status_code, shop.client.zcard(KEYS.dead("sms"))) == (204, 0)
