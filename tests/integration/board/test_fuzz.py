"""The API asked for all that its own document allows, and more: no 5xx, and no answer that the document does not have.

By schemathesis, as its command line does it: a real board, and a real Redis in which there is something of each kind.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from tests.support.boards import RunningBoard, running_board
from tests.support.redis import RedisServer

from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, QueueService, job
from crewcall_worker.queues.schedules import Schedules
from crewcall_worker.settings import Settings
from crewcall_worker.wire import HistoryEntry, PoolRecord, write_history, write_pool

KEYS = wire.Keys()

#: What there is, so that not every question ends at a 404.
PARAMETERS = {
    "path.queue": "sms",
    "path.job_id": ["dead-1", "delayed-1", "odd", "ready-1"],
    "path.namespace": "shop",
    "path.name": "mail",
    "path.worker": "w-1",
}
#: A cursor is text to whoever reads the document, and one that no page has told is refused.
LEFT_OUT = "positive_data_acceptance"
#: A job's id may have slashes, so these paths with another method are those of the job whose id ends like this.
ALSO_A_JOB = """
[[operations]]
include-path-regex = "/(retry|run-now)$"
checks.unsupported_method.enabled = false
checks.allow_header_conformance.enabled = false
"""


class Send(Payload):
    to: str


def a_job() -> JobType[Send]:
    @job("texts.send", queue="sms")
    def send(payload: Send, context: JobContext) -> None: ...

    del CATALOGUE["texts.send"]
    return send


def fill(server: RedisServer) -> None:
    """Jobs of all states, some of which no application would send; a pool, a worker, a schedule."""
    client, service, send = server.client, QueueService(Settings(redis_url=server.url)), a_job()
    for number in range(20):
        payload = Send(organization_id=f"org-{number % 3}", to="Zoë \x00 <script>")
        service.enqueue(send, payload, delay=None if number % 2 else 3_600)
    Schedules(client).put("daily", "0 8 * * *", send, Send(organization_id="acme", to="all"))
    service.shutdown()
    broker = CrewcallBroker(url=server.url, middleware=[])
    for state, queue in (("ready", "sms"), ("delayed", "sms.DQ"), ("dead", "sms.XQ")):
        for number in range(3):
            id_ = f"{state}-{number}"
            message: dramatiq.Message[None] = dramatiq.Message(
                "sms", "plain", (float("nan"), 1 << 80), {"deep": "\ud800"}, {"redis_message_id": id_}, message_id=id_
            )
            client.hset(KEYS.messages(queue), id_, message.encode().decode())
            client.zadd(KEYS.dead("sms"), {id_: number}) if state == "dead" else client.rpush(KEYS.ready(queue), id_)
            client.zadd(KEYS.eta("sms"), {id_: 2**42}) if state == "delayed" else None
    odd = {
        "text": "no message",
        "list": "[]",
        "deep": "[" * 5_000,
        "odd": json.dumps({"options": 1}),
        "large": "x" * 70_000,
    }
    for id_, text in odd.items():
        client.hset(KEYS.messages("sms.XQ"), id_, text)
        client.zadd(KEYS.dead("sms"), {id_: 1.0})
    wrong = {
        "queue_name": 1,
        "actor_name": [],
        "args": 1,
        "kwargs": [],
        "options": {},
        "message_id": {},
        "message_timestamp": "x",
    }
    client.hset(KEYS.messages("sms"), "odd", json.dumps(wrong))
    client.rpush(KEYS.ready("sms"), "odd")
    broker.close()
    client.zadd(KEYS.pools, {"shop/mail": 1, "odd": 2})
    client.set(KEYS.pool("shop/mail"), write_pool(PoolRecord("shop/mail", queues=("sms",), reason="Idle")))
    client.set(KEYS.pool("odd"), "no record")
    entry: dict[Any, Any] = dict(write_history(HistoryEntry(0, ready=1, reason="Idle")))
    client.xadd(KEYS.history("shop/mail"), entry)
    client.hset(KEYS.workers("shop/mail"), "w-1", wire.write_worker(wire.WorkerRecord("w-1", pod="mail-1")))
    client.hset(KEYS.workers("shop/mail"), "odd", "no record")


def fuzz(board: RunningBoard, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    with board.api() as api:
        document = api.get("/openapi.json").json()
    (folder / "openapi.json").write_text(json.dumps(document))
    told = "\n".join(f'"{name}" = {json.dumps(value)}' for name, value in PARAMETERS.items())
    (folder / "schemathesis.toml").write_text(f"[parameters]\n{told}\n{ALSO_A_JOB}")
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", "schemathesis.toml", "run", "openapi.json", "--url", board.url),
            *("--header", f"Authorization: Bearer {board.token(seconds=3_600)}"),
            *("--exclude-checks", LEFT_OUT, "--seed", "1", "--no-color", "--continue-on-failure", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_request_gets_an_answer_that_the_document_does_not_have(redis_server: RedisServer, tmp_path: Path) -> None:
    fill(redis_server)
    with running_board(redis_server.url) as board:
        told = fuzz(board, tmp_path, "--phases", "fuzzing", "--max-examples", "3")

    assert told.returncode == 0, told.stdout[-8_000:] + told.stderr[-2_000:]


@pytest.mark.slow
def test_nor_does_any_of_many_and_of_those_at_the_bounds(redis_server: RedisServer, tmp_path: Path) -> None:
    fill(redis_server)
    with running_board(redis_server.url) as board:
        told = fuzz(board, tmp_path, "--max-examples", "50")

    assert told.returncode == 0, told.stdout[-8_000:] + told.stderr[-2_000:]
