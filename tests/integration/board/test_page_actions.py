"""Actions from the pages, and what has changed while one looks: a whole board by HTTP, with a real Redis behind it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
import redis
from dramatiq.message import Message
from tests.support import board_scene
from tests.support.board_pages import Elements, answer_to, answer_to_ids, form_of, page, words
from tests.support.boards import RunningBoard, running_board
from tests.support.redis import RedisServer

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis


@pytest.fixture
def board(redis_server: RedisServer) -> Iterator[RunningBoard]:
    board_scene.busy_afternoon(redis_server.url)
    with running_board(redis_server.url) as board:
        yield board


def test_a_queue_is_paused_with_a_reason_and_resumed(board: RunningBoard) -> None:
    with board.browser() as client:
        paused = answer_to(client, "pause", "queue=sms", reason="an <i>incident</i>")
        again = words(page(client, "/q/sms"))
        resumed = answer_to(client, "resume", "queue=sms")

    assert "Queue sms is paused." in paused
    assert "Paused by jane" in paused
    assert "an &lt;i&gt;incident&lt;/i&gt;" in paused
    assert "Queue sms is paused." not in again  # it is said once
    assert "Queue sms goes on." in resumed


def test_dead_letters_are_retried_one_by_one_and_all_that_match(board: RunningBoard) -> None:
    with board.browser() as client:
        some = answer_to_ids(client, "retry", "sms", "dead", "dead-sms-1", "dead-sms-4", "gone")
        rest = answer_to(client, "retry-all", "queue=sms&state=dead&error=KeyError")

    assert "2 jobs are back in the queue. 1 was not" in some
    assert "4 dead letters are back in the queue." in rest
    assert "Dead 8" in rest


def test_jobs_are_removed_run_ahead_of_their_time_and_purged(board: RunningBoard) -> None:
    with board.browser() as client:
        removed = answer_to(client, "remove", "queue=sms&state=dead&id=dead-sms-2")
        hurried = answer_to(client, "run-now", "queue=email&state=failed&id=email.send-acme-77")
        purged = answer_to(client, "purge", "queue=sms&state=completed")

    assert "1 job is removed." in removed
    assert "1 job is ready now." in hurried
    assert "60 jobs are removed." in purged


def test_a_long_purge_tells_how_far_it_is_and_goes_on_where_it_was(
    board: RunningBoard, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crewcall_worker.board.actions.WITHIN", 0.0)
    for number in range(60, 700):
        board_scene.complete(redis_server.client, "sms", "sms.send", number, ago_ms=number)
    with board.browser() as client:
        form = form_of(page(client, "/confirm/purge?queue=sms&state=completed"))
        first = answer = client.post("/admin/queues/act/purge", data=form)
        for _ in range(20):
            if answer.status_code == 303:
                break
            answer = client.post("/admin/queues/act/purge", data=form_of(answer.text))
        told = words(client.get(answer.headers["location"]).text)

    assert re.search(r"\d+ jobs are removed. Up to \d+ are left.", words(first.text))
    assert "data-go-on" in first.text
    assert "Completed 0" in told


def test_a_pool_is_pinned_and_unpinned(board: RunningBoard) -> None:
    with board.browser() as client:
        pinned = answer_to(client, "pin", "pool=shop/notifications", replicas="3")
        unpinned = answer_to(client, "unpin", "pool=shop/notifications")
        form = form_of(page(client, "/confirm/pin?pool=shop/notifications"))
        odd = client.post("/admin/queues/act/pin", data={**form, "replicas": "-1"})

    assert "Pool shop/notifications is pinned to 3 replicas" in pinned
    assert "asked to pin it to 3 replicas" in pinned
    assert "is no longer pinned" in unpinned
    assert (form["replicas"], odd.status_code) == ("7", 400)


def test_no_pin_is_beyond_what_the_pool_may_have(board: RunningBoard) -> None:
    with board.browser() as client:
        form = form_of(page(client, "/confirm/pin?pool=shop/notifications"))
        answers = [client.post("/admin/queues/act/pin", data={**form, "replicas": it}) for it in ("51", "50")]

    assert [it.status_code for it in answers] == [409, 303]
    assert "pool shop/notifications has 50 at most" in words(answers[0].text)


def test_a_pin_is_asked_for_within_the_bounds_of_the_pool(board: RunningBoard) -> None:
    with board.browser() as client:
        (field,) = re.findall(r'<input id="replicas"[^>]*>', page(client, "/confirm/pin?pool=shop/notifications"))

    assert 'min="0" max="50"' in field


def test_failed_jobs_are_counted_where_all_are_seen(board: RunningBoard, redis_server: RedisServer) -> None:
    redis_server.client.sadd("crewcall:dramatiq:queues", "empty")
    with board.browser() as client:
        shown = [words(page(client, path)) for path in ("/q/email?state=failed", "/q/email", "/q/empty")]

    assert [re.findall(r"Failed (\d*)", text)[0] for text in shown] == ["1", "", "0"]


def test_the_question_tells_what_becomes_of_a_failed_job_and_of_a_dead_one(board: RunningBoard) -> None:
    with board.browser() as client:
        failed = words(page(client, "/confirm/retry?queue=email&state=failed&id=x"))
        dead = words(page(client, "/confirm/retry?queue=sms&state=dead&id=x"))

    assert ("its next try now" in failed, "at its first try" in failed) == (True, False)
    assert ("its next try now" in dead, "at its first try" in dead) == (False, True)


def test_a_worker_is_drained_and_let_work_on(board: RunningBoard) -> None:
    with board.browser() as client:
        drained = answer_to(client, "drain", "pool=shop/notifications&worker=w1-3f2a")
        let = answer_to(client, "withdraw", "pool=shop/notifications&worker=w1-3f2a")

    assert "Worker w1-3f2a drains" in drained
    assert "asked by jane" in drained
    assert "Worker w1-3f2a works on." in let


def test_an_action_without_the_pages_token_is_refused_and_not_done(board: RunningBoard) -> None:
    with board.browser() as client:
        answer = client.post("/admin/queues/act/pause", data={"queue": "sms", "csrf": "guessed"})
        told = words(page(client, "/q/sms"))

    assert answer.status_code == 403
    assert "Paused" not in told


def test_each_action_is_in_the_audit(board: RunningBoard) -> None:
    with board.browser() as client:
        answer_to(client, "pause", "queue=sms", reason="incident")
        told = words(page(client, "/audit"))

    assert "jane pause queue sms ✓ done incident 127.0.0.1" in told


def test_the_overview_tells_what_its_figures_are_of_and_which_pools_it_leaves_out(
    board: RunningBoard, redis_server: RedisServer
) -> None:
    with board.browser() as client:
        few = words(page(client, ""))
        redis_server.client.sadd(board_scene.KEYS.queues, *(f"queue-{number:03}" for number in range(101)))
        redis_server.client.zadd(board_scene.KEYS.pools, {f"shop/pool-{number:03}": number for number in range(200)})
        many, rest = words(page(client, "")), words(page(client, "?after=reports"))

    assert "on this page" not in few
    assert "more pool" not in few
    assert "Of the 100 queues on this page." in many
    assert "Those that were told of last; 3 more pools are found by name, in the field above." in many
    assert "Of the 2 queues on this page." in rest


def test_a_stream_outlasts_a_redis_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("crewcall_worker.board.stream.BEAT_EVERY", 0.2)
    redis_server = EmbeddedRedis()
    redis_server.start()
    try:
        with (
            running_board(redis_server.url) as board,
            board.browser() as client,
            client.stream("GET", "/admin/queues/stream") as stream,
        ):
            lines = stream.iter_lines()
            next(it for it in lines if it == "event: live")
            redis_server.stop()
            next(it for it in lines if it == "event: away")

            # Whether it is still the same visitor's cannot be asked now, and is asked again.
            beats = [next(it for it in lines if it.startswith((":", "event"))) for _ in range(3)]
    finally:
        redis_server.close()

    assert beats == [": nothing new"] * 3
    assert not [it for it in caplog.records if it.levelno >= logging.ERROR]


def test_the_stream_tells_what_has_changed(board: RunningBoard, redis_server: RedisServer) -> None:
    with board.browser() as client, client.stream("GET", "/admin/queues/stream/q/sms?state=dead") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        seen = ""
        is_buried = False
        for text in stream.iter_text():
            seen += text
            if "dead-sms-13" in seen and not is_buried:
                with redis.Redis.from_url(redis_server.url) as other:
                    board_scene.bury(other, "sms", "sms.send", 99, error="new", death="rejected", ago_ms=0)
                is_buried = True
            if "dead-sms-99" in seen:
                break

    assert seen.startswith("retry: 2000\n\nevent: live\ndata: ")


def test_a_redis_that_is_away_is_told_and_nothing_old_is_shown(redis_server: RedisServer) -> None:
    board_scene.busy_afternoon(redis_server.url)
    with running_board(redis_server.url) as board, board.browser() as client:
        client.get("/admin/queues")
        redis_server.client.config_set("maxclients", 1)
        try:
            board.app.state.board.client.close()
            answer = client.get("/admin/queues")
        finally:
            redis_server.client.config_set("maxclients", 10_000)

    assert answer.status_code == 503
    assert "Try again soon" in answer.text


def test_a_plain_job_is_shown_by_the_id_that_it_is_found_by(redis_server: RedisServer) -> None:
    client = redis_server.client
    message: Message[None] = Message("old", "plain", (), {}, {}, message_id="of-the-message-1234567890")
    client.hset("dramatiq:old.msgs", "in-redis-1234567890", message.encode().decode())
    client.rpush("dramatiq:old", "in-redis-1234567890")
    with running_board(redis_server.url) as board, board.browser() as browser:
        listed = Elements(page(browser, "/q/old"))
        told = words(page(browser, "/jobs/in-redis-1234567890?queue=old"))

    (shown,) = (attributes for tag, attributes in listed.found if tag == "a" and attributes.get("class") == "id")
    assert (shown["title"], shown["href"]) == (
        "in-redis-1234567890", "/admin/queues/jobs/in-redis-1234567890?queue=old",
    )  # fmt: skip
    assert "Id in-redis-1234567890" in told
