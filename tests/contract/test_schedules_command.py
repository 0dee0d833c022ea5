"""`crewcall-worker jobs schedules`, `unschedule` and `organization` against a real Redis."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from tests.support.redis import RedisServer

from crewcall_worker.cli import main
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, QueueService, job


class Digest(Payload):
    to: str = "ada@example.com"


@pytest.fixture
def jobs(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    return lambda *arguments: CliRunner().invoke(main, ["jobs", *arguments])


@pytest.fixture
def queues(redis_server: RedisServer) -> Iterator[QueueService]:
    queues = QueueService.from_environment({"REDIS_URL": redis_server.url})
    yield queues
    queues.shutdown()


def a_job() -> JobType[Digest]:
    @job("command.digest", queue="email")
    def digest(payload: Digest, context: JobContext) -> None:
        """Never run here."""

    made: JobType[Digest] = digest
    del CATALOGUE["command.digest"]
    return made


def test_schedules_are_listed_without_what_their_jobs_carry(jobs: Callable[..., Result], queues: QueueService) -> None:
    assert jobs("schedules").output == "There is no schedule.\n"
    queues.schedule("digest", "0 8 * * MON-FRI", a_job(), Digest(organization_id="acme"), timezone="Europe/Berlin")

    text, values = jobs("schedules").output, jobs("schedules", "--json").output

    assert re.fullmatch(
        r"schedule  when +job +organization  last  next\n"
        r"digest +0 8 \* \* MON-FRI \(Europe/Berlin\)  command\.digest  acme +\? +\d{4}-\d\d-\d\d 0[67]:00:00Z\n",
        text,
    )
    (listed,) = json.loads(values)
    assert (listed["name"], listed["catch_up"], listed["next_ms"] % 3_600_000) == ("digest", "once", 0)
    assert "ada@example.com" not in text + values


def test_a_schedule_is_removed(jobs: Callable[..., Result], queues: QueueService) -> None:
    queues.schedule("digest", "0 8 * * *", a_job(), Digest(organization_id="acme"))

    done, again, told = (
        jobs("unschedule", "digest"),
        jobs("unschedule", "digest"),
        jobs("unschedule", "digest", "--json"),
    )

    assert (done.exit_code, done.output) == (0, "Schedule 'digest' is removed.\n")
    assert (again.exit_code, again.output) == (1, "There is no schedule 'digest'.\n")
    assert (told.exit_code, json.loads(told.output)) == (1, {"schedule": "digest", "removed": False})
    assert queues.schedules() == ()


def test_what_an_organisations_jobs_came_to_is_told(jobs: Callable[..., Result], queues: QueueService) -> None:
    queues.enqueue(a_job(), Digest(organization_id="acme"))

    assert jobs("organization", "acme").output == "queue  enqueued  done  failed\nemail  1         0     0\n"
    assert jobs("organization", "acme", "--days-ago", "1").output == "None.\n"
    assert json.loads(jobs("organization", "acme", "--json").output) == [
        {"queue": "email", "enqueued": 1, "done": 0, "failed": 0}
    ]
