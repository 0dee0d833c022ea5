"""`crewcall-worker jobs` against a real Redis: what it prints, and the status it ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
from click.testing import CliRunner, Result
from tests.support.redis import RedisServer

from crewcall_worker import jobs_command, jobs_options
from crewcall_worker.cli import main
from crewcall_worker.queues import CATALOGUE, JobContext, JobType, Payload, QueueService, job, views
from crewcall_worker.queues.job_view import JobState

NUMBER = "+49 30 1234567"


class Send(Payload):
    to: str


def a_job() -> JobType[Send]:
    @job("sms.send", queue="sms")
    def send(payload: Send, context: JobContext) -> None:
        """Never run here."""

    del CATALOGUE["sms.send"]
    return send


@pytest.fixture
def jobs(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("REDIS_URL", redis_server.url)

    def run(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(main, ["jobs", *arguments], input=typed)

    return run


def enqueue(server: RedisServer, count: int = 1) -> list[str]:
    queues = QueueService.from_environment({"REDIS_URL": server.url})
    receipts = [queues.enqueue(a_job(), Send(organization_id="acme", to=NUMBER)) for _ in range(count)]
    queues.shutdown()
    return [receipt.id for receipt in receipts]


def bury(server: RedisServer, id_: str, at_ms: int, error: str = "TimeoutError: no answer") -> None:
    options: dict[str, Any] = {"organization_id": "acme", "retries": 3, "death": "retries_exhausted", "error": error}
    message: dramatiq.Message[None] = dramatiq.Message(
        "sms",
        "sms.send",
        (),
        {"payload": {"organization_id": "acme", "to": NUMBER}},
        {**options, "redis_message_id": f"{id_}.3", "traceback": "Traceback ...\nTimeoutError: no answer\n"},
        message_id=id_,
        message_timestamp=1_000,
    )
    server.client.sadd("crewcall:dramatiq:queues", "sms")
    server.client.zadd("dramatiq:sms.XQ", {f"{id_}.3": at_ms})
    server.client.hset("dramatiq:sms.XQ.msgs", f"{id_}.3", message.encode().decode())


def test_every_queue_is_listed_with_what_is_in_it(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    enqueue(redis_server, 2)
    bury(redis_server, "a", 1)
    jobs("pause", "sms")

    table, values = jobs("queues"), jobs("queues", "--json")

    assert table.output == (
        "queue         ready  in flight  running  delayed  completed  dead\n"
        "sms (paused)  2      0          0        0        0          1\n"
    )
    (counts,) = json.loads(values.output)
    assert (counts["queue"], counts["ready"], counts["dead"], counts["is_paused"]) == ("sms", 2, 1, True)


def test_the_commands_know_what_pages_there_are() -> None:
    assert jobs_options.MOST_ON_A_PAGE == views.MOST_ON_A_PAGE
    assert set(jobs_command.STATES) == set(JobState) - {JobState.FETCHED}


def test_a_redis_without_queues_says_so(jobs: Callable[..., Result]) -> None:
    assert jobs("queues").output == "No queue has been seen in this Redis yet.\n"


def test_jobs_are_listed_without_what_they_carry(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    (id_,) = enqueue(redis_server)

    text, values = jobs("list", "sms").output, jobs("list", "sms", "--json").output

    assert id_ in text
    assert "acme" in text
    assert [listed["id"] for listed in json.loads(values)["jobs"]] == [id_]
    assert NUMBER not in text + values


def test_a_job_is_shown_with_what_it_carries(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    (id_,) = enqueue(redis_server)

    text, values = jobs("show", id_).output, jobs("show", id_, "--json").output

    assert "state         ready, since 20" in text
    assert NUMBER in text
    assert json.loads(values)["payload"] == {"organization_id": "acme", "to": NUMBER}


def test_a_job_that_nobody_knows_is_told(jobs: Callable[..., Result]) -> None:
    result = jobs("show", "nobody")

    assert result.exit_code == 1
    assert result.output == "Error: There is no job nobody: it was never enqueued, or is kept no longer.\n"


def test_dead_letters_are_listed_the_last_one_first_page_by_page(
    jobs: Callable[..., Result], redis_server: RedisServer
) -> None:
    bury(redis_server, "a", 1_000)
    bury(redis_server, "b", 2_000)

    first = jobs("dead", "list", "sms", "--limit", "1")
    values = json.loads(jobs("dead", "list", "sms", "--limit", "1", "--json").output)
    second = json.loads(jobs("dead", "list", "sms", "--cursor", values["cursor"], "--json").output)

    assert first.output.splitlines() == [
        "id  job       organization  try  at                    error",
        "b   sms.send  acme          4    1970-01-01 00:00:02Z  retries_exhausted TimeoutError: no answer",
        f"There may be more: --cursor {json.dumps(values['cursor'])}",
    ]
    assert [listed["id"] for listed in second["jobs"]] == ["a"]
    assert second["cursor"] is None
    assert values["jobs"] == [
        {
            "id": "b",
            "job": "sms.send",
            "organization_id": "acme",
            "state": "dead",
            "attempt": 4,
            "at_ms": 2_000,
            "death": "retries_exhausted",
            "error": "TimeoutError: no answer",
        }
    ]


def test_a_dead_letter_is_shown_with_its_error(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    bury(redis_server, "a", 1_000)

    assert jobs("dead", "show", "sms", "a").output == (
        "id            a\n"
        "job           sms.send\n"
        "queue         sms\n"
        "organization  acme\n"
        "state         dead, since 1970-01-01 00:00:01Z\n"
        "enqueued      1970-01-01 00:00:01Z\n"
        "try           4\n"
        "reason        retries_exhausted\n"
        "error         TimeoutError: no answer\n"
        "\n"
        "{\n"
        '  "organization_id": "acme",\n'
        f'  "to": "{NUMBER}"\n'
        "}\n"
        "\n"
        "Traceback ...\n"
        "TimeoutError: no answer\n"
    )


def test_what_would_steer_a_terminal_is_shown(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    bury(redis_server, "a", 1_000, error="\x1b]0;mine\x07 and \x9b2J")

    told = [jobs("dead", "list", "sms").output, jobs("dead", "show", "sms", "a").output]

    assert [r"\u001b]0;mine\u0007 and \u009b2J" in text for text in told] == [True, True]
    assert [text for text in told if {"\x1b", "\x07", "\x9b"} & set(text)] == []


def test_dead_letters_are_tried_anew_by_their_ids(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    bury(redis_server, "a", 1)
    bury(redis_server, "b", 2)

    result = jobs("dead", "retry", "sms", "a", "c")

    assert result.exit_code == 1
    assert result.output == "1 retried.\n1 were not there, or not any more: c\n"
    assert redis_server.client.hkeys("dramatiq:sms.msgs") == ["a"]
    assert redis_server.client.zrange("dramatiq:sms.XQ", 0, -1) == ["b.3"]


def test_dead_letters_that_are_alike_are_tried_anew(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    bury(redis_server, "a", 1)
    bury(redis_server, "b", 2, error="ValueError: no such number")

    result = jobs("dead", "retry", "sms", "--error", "timeout", "--json")

    assert (result.exit_code, json.loads(result.output)) == (0, {"retried": ["a"], "missing": [], "unreadable": []})
    assert redis_server.client.zrange("dramatiq:sms.XQ", 0, -1) == ["b.3"]


@pytest.mark.parametrize(
    ("answer", "left", "output"),
    [
        ("n\n", ["a.3"], "Delete all dead letters of sms for good? [y/N]: n\nAborted!\n"),
        ("y\n", [], "Delete all dead letters of sms for good? [y/N]: y\n1 deleted.\n"),
    ],
)
def test_all_dead_letters_are_deleted_when_that_is_confirmed(
    jobs: Callable[..., Result], redis_server: RedisServer, answer: str, left: list[str], output: str
) -> None:
    bury(redis_server, "a", 1)

    assert jobs("dead", "delete", "sms", "--all", typed=answer).output == output
    assert redis_server.client.zrange("dramatiq:sms.XQ", 0, -1) == left


def test_scripts_delete_without_being_asked(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    bury(redis_server, "a", 1)

    assert jobs("dead", "delete", "sms", "--organization", "acme", "--yes").output == "1 deleted.\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "Which ones? Name their ids, or say --job, --organization, --error, or --all."),
        (("a", "--all"), "Name jobs by their ids, or all that are like something; not both."),
        (("--all", "--job", "x"), "--all is all of them; leave it out, or --job, --organization and --error."),
    ],
)
@pytest.mark.parametrize("command", ["retry", "delete"])
def test_which_ones_has_to_be_clear(
    jobs: Callable[..., Result], command: str, arguments: tuple[str, ...], problem: str
) -> None:
    result = jobs("dead", command, "sms", *arguments)

    assert result.exit_code == 2
    assert problem in result.output


def test_a_queue_that_nobody_knows_is_paused_by_force_alone(
    jobs: Callable[..., Result], redis_server: RedisServer
) -> None:
    enqueue(redis_server)

    refused, paused = jobs("pause", "smss"), jobs("pause", "early", "--force")

    assert (refused.exit_code, refused.output) == (
        1,
        "Queue 'smss' has never been seen in this Redis (queues there: sms).\n"
        "Error: 'smss' is not paused. Correct its name, or say --force.\n",
    )
    assert paused.exit_code == 0
    assert [name for name in ("smss", "early") if json.loads(jobs("resume", name, "--json").stdout)["was_paused"]] == [
        "early"
    ]


def test_a_queue_is_paused_and_goes_on(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    enqueue(redis_server)

    paused = jobs("pause", "sms", "--reason", "the provider is down")
    resumed, again = jobs("resume", "sms"), jobs("resume", "sms", "--json")

    assert paused.output.startswith("sms is paused by ")
    assert paused.output.endswith("Z: the provider is down\n")
    assert resumed.output == "sms goes on.\n"
    assert json.loads(again.output) == {"queue": "sms", "was_paused": False}


def test_an_organisations_limit_is_set_listed_and_lifted(
    jobs: Callable[..., Result], redis_server: RedisServer
) -> None:
    enqueue(redis_server)

    assert jobs("limits", "sms").output == "No limits.\n"
    jobs("limit", "sms", "*", "5")
    both = jobs("limit", "sms", "acme", "20")
    lifted = jobs("limit", "sms", "acme", "--json")

    assert both.output == "organization  most in flight\n*             5\nacme          20\n"
    assert json.loads(lifted.output) == json.loads(jobs("limits", "sms", "--json").output) == {"*": 5}


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause", ""),
        ("resume", ""),
        ("list", "\udcff"),
        ("list", "sms", "--organization", "\udcff"),
        ("limit", "sms", "", "3"),
        ("show", "\udcff"),
        ("unschedule", "\udcff"),
        ("organization", "\udcff"),
        ("dead", "list", ""),
        ("dead", "show", "sms", "\udcff"),
        ("dead", "retry", "sms", "a", "\udcff"),
        ("dead", "delete", "sms", "", "--yes"),
    ],
)
def test_what_can_be_no_name_is_refused(jobs: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    result = jobs(*arguments)

    assert result.exit_code == 2
    assert " is no name." in result.output


@pytest.mark.parametrize("cursor", ["x", "nan a", "1/x", "99999999999999999999"])
def test_a_cursor_that_no_page_has_told_is_refused_as_such(jobs: Callable[..., Result], cursor: str) -> None:
    for command in (("list", "sms"), ("dead", "list", "sms")):
        result = jobs(*command, "--cursor", cursor)

        assert result.exit_code == 2
        assert f"cursor is {cursor!r}; expected what an earlier page has told" in result.output


def test_one_job_of_a_time_in_no_calendar_leaves_the_others_to_be_read(
    jobs: Callable[..., Result], redis_server: RedisServer
) -> None:
    bury(redis_server, "far", 10**15)
    bury(redis_server, "near", 1_000)

    result = jobs("dead", "list", "sms")

    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == ["id", "far", "near"]
    assert "1000000000000000 ms" in result.output


def test_half_a_character_is_told_in_letters(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    bury(redis_server, "a", 1_000, error="ValueError: bad \ud800 text")

    text, values = jobs("dead", "list", "sms"), jobs("dead", "list", "sms", "--json")

    assert (text.exit_code, values.exit_code) == (0, 0)
    assert r"bad \ud800 text" in text.output
    assert json.loads(values.output)["jobs"][0]["error"] == r"ValueError: bad \ud800 text"


def test_what_is_no_fault_of_redis_is_not_told_as_one(
    jobs: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crewcall_worker.jobs_command.tell", full)

    result = jobs("queues")

    assert isinstance(result.exception, OSError)
    assert "cannot be reached" not in result.output


def test_a_limit_below_one_job_is_refused(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    result = jobs("limit", "sms", "acme", "0")

    assert result.exit_code == 2
    assert redis_server.client.exists("crewcall:dramatiq:limits:sms") == 0


def test_a_queue_that_nobody_has_ever_used_is_told_of(jobs: Callable[..., Result], redis_server: RedisServer) -> None:
    enqueue(redis_server)

    result = jobs("dead", "list", "smss")

    assert result.stderr == "Queue 'smss' has never been seen in this Redis (queues there: sms).\n"
    assert result.stdout == "None.\n"


def test_without_a_redis_it_says_what_to_set(jobs: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL")

    result = jobs("queues")

    assert result.exit_code == 2
    assert result.output.startswith("crewcall-worker: REDIS_URL is not set; set it to where the queues live")


def test_a_redis_that_is_away_is_told(jobs: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

    result = jobs("dead", "list", "sms")

    assert result.exit_code == 1
    assert result.output.startswith("crewcall-worker: Redis 127.0.0.1:1/0 cannot be reached or does not answer: ")
