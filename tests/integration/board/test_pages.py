"""The pages by HTTP: a whole board, with a real Redis behind it that looks like a busy afternoon."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.support import board_scene
from tests.support.board_pages import Elements, page, words
from tests.support.boards import RunningBoard, running_board
from tests.support.redis import emptied

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker.board.people import Role
from crewcall_worker.board.reading.source import Source

PAGES = (
    "",
    "/pools/shop/notifications",
    "/pools/shop/reports",
    "/q/sms",
    "/q/sms?state=running",
    "/q/sms?state=delayed",
    "/q/email?state=failed",
    "/q/sms?state=completed",
    "/q/sms?state=dead",
    "/q/sms?state=dead&error=KeyError",
    "/q/reports",
    "/jobs/dead-sms-1",
    "/dead",
    "/dead?before=",
    "/schedules",
    "/audit",
    "/search?q=sm",
    "/search",
    "/confirm/purge?queue=sms&state=dead",
)


@pytest.fixture(scope="module")
def redis_url(embedded_redis: EmbeddedRedis) -> Iterator[str]:
    """One busy afternoon for all tests here: none of them changes anything."""
    with emptied(embedded_redis) as server:
        board_scene.busy_afternoon(server.url)
        yield server.url


@pytest.fixture(scope="module")
def board(redis_url: str) -> Iterator[RunningBoard]:
    with running_board(redis_url) as board:
        yield board


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_well_formed_and_asks_no_other_host_for_anything(board: RunningBoard, path: str) -> None:
    with board.browser() as client:
        found = Elements(page(client, path))

    assert all(it.startswith(("/admin/", "#")) for it in found.addresses())
    assert [tag for tag, _ in found.found].count("h1") == 1
    ids = [told["id"] for _, told in found.found if "id" in told]
    assert len(ids) == len(set(ids))
    assert not any(name.startswith("on") or name == "style" for _, told in found.found for name in told)


@pytest.mark.parametrize("path", PAGES)
def test_a_table_has_a_caption_and_headed_columns(board: RunningBoard, path: str) -> None:
    with board.browser() as client:
        text = page(client, path)

    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        assert re.search(r"<caption[^>]*>\S", table)
        assert re.search(r'<th role="columnheader" scope="col"', table)
    for sorted_by in re.findall(r'aria-sort="(\w+)"', text):
        assert sorted_by in {"ascending", "descending"}


def test_every_address_on_the_pages_leads_somewhere(board: RunningBoard) -> None:
    with board.browser() as client:
        seen: set[str] = set()
        for path in PAGES:
            seen |= {it for it in Elements(page(client, path)).addresses() if not it.startswith("#")}
        gets = {it for it in seen if "/act/" not in it and "/stream" not in it and not it.endswith(("logout", "login"))}
        # One of each kind: there is a page for every job.
        for address in {re.sub(r"\d+", "0", it): it for it in sorted(gets)}.values():
            answer = client.get(address)
            needs_more = re.fullmatch(r"/admin/queues/confirm/(retry|remove|run-now)", address)
            assert answer.status_code in ({400} if needs_more else {200, 303}), address


def test_the_overview_tells_of_pools_and_queues(board: RunningBoard) -> None:
    with board.browser() as client:
        told = words(page(client, ""))

    assert "shop/notifications 4 → 7 of 50 4 1" in told
    assert "BacklogDrain 128 ready, oldest 4.1 s" in told
    assert "shop/reports Recommend pinned" in told
    assert "reports ❙❙ Paused" in told
    assert "sms 120 7 3 14" in told


def test_the_overview_is_sorted_by_what_is_asked(board: RunningBoard) -> None:
    with board.browser() as client:
        by_dead, by_nothing = page(client, "?sort=dead"), page(client, "?sort=nonsense")

    def order(text: str) -> list[str]:
        return re.findall(r'id="queue-(\w+)"', text)

    assert order(by_dead)[:2] == ["sms", "reports"]
    assert order(by_nothing) == ["email", "reports", "rules", "sms"]
    assert 'aria-sort="descending"' in by_dead


def test_a_payload_is_shown_as_text_and_never_as_elements(board: RunningBoard) -> None:
    with board.browser() as client:
        text = page(client, "/jobs/dead-sms-1")

    assert "&lt;b&gt;is&lt;/b&gt;" in text
    assert "<b>" not in text


def test_a_dead_letter_is_told_whole(board: RunningBoard) -> None:
    with board.browser() as client:
        told = words(page(client, "/jobs/dead-sms-1?queue=sms"))

    for part in (
        "✕ Dead",
        "Died: rejected by the job itself",
        "Reject: the number has no such prefix",
        "Traceback (most recent call last)",
        "Trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "Tries 4",
        "Retry…",
    ):
        assert part in told


def test_jobs_are_filtered_by_job_organisation_and_error(board: RunningBoard) -> None:
    with board.browser() as client:
        by_error = page(client, "/q/sms?state=dead&error=keyerror")
        by_organization = page(client, "/q/sms?organization=globex")
        by_job = words(page(client, "/q/sms?job=sms.other"))

    assert by_error.count('<tr role="row" id="job-') == 4
    assert by_organization.count('<tr role="row" id="job-') == 40
    assert "Nothing like that here." in by_job


def test_the_id_of_a_job_leads_straight_to_it(board: RunningBoard) -> None:
    with board.browser() as client:
        answer = client.get("/admin/queues/search", params={"q": "dead-sms-3"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/queues/jobs/dead-sms-3?queue=sms")


@pytest.mark.parametrize("path", ["/pools/nobody", "/q/nothing", "/jobs/none", "/confirm/explode?queue=sms"])
def test_what_is_not_there_is_told_on_a_page(board: RunningBoard, path: str) -> None:
    with board.browser() as client:
        answer = client.get(f"/admin/queues{path}")

    assert answer.status_code == 404
    assert "To the overview" in answer.text


@pytest.mark.parametrize("path", ["/q/sms?cursor=nonsense", "/q/sms?state=odd", "/dead?before=x", "/audit?before=x"])
def test_what_cannot_be_understood_is_told_on_a_page(board: RunningBoard, path: str) -> None:
    with board.browser() as client:
        answer = client.get(f"/admin/queues{path}")

    assert answer.status_code in {400, 422}
    assert "To the overview" in answer.text


def test_a_viewer_is_offered_no_action_and_refused_each(board: RunningBoard) -> None:
    with board.browser(Role.VIEWER) as client:
        texts = [page(client, path) for path in PAGES if "confirm" not in path]
        asked = client.get("/admin/queues/confirm/pause?queue=sms")

    assert not any("/confirm/" in text or 'type="checkbox"' in text.replace("data-", "") for text in texts if text)
    assert asked.status_code == 403


def test_a_board_that_is_read_only_says_so_and_offers_nothing(redis_url: str) -> None:
    with running_board(redis_url, READ_ONLY="true") as board, board.browser() as client:
        text = page(client, "/q/sms?state=dead")
        asked = client.get("/admin/queues/confirm/purge?queue=sms&state=dead")

    assert "read only" in text
    assert "/confirm/" not in text
    assert asked.status_code == 403


def test_what_cannot_be_undone_says_so(board: RunningBoard) -> None:
    with board.browser() as client:
        for query in ("remove?queue=sms&state=dead&id=dead-sms-1", "purge?queue=sms&state=ready"):
            assert "This cannot be undone" in page(client, f"/confirm/{query}")
        for query in ("pause?queue=sms", "pin?pool=shop/notifications", "unpin?pool=shop/reports"):
            assert "to undo this" in page(client, f"/confirm/{query}")


def test_the_part_of_a_page_that_lives_is_to_be_had_alone(board: RunningBoard) -> None:
    with board.browser() as client:
        whole, part = page(client, "/q/sms?state=dead"), page(client, "/fragment/q/sms?state=dead")

    assert "<html" not in part
    assert part.count('<tr role="row" id="job-') == whole.count('<tr role="row" id="job-') == 14


def test_a_pools_history_is_with_the_page_and_not_sent_with_each_change(board: RunningBoard) -> None:
    with board.browser() as client:
        whole, part = page(client, "/pools/shop/notifications"), page(client, "/fragment/pools/shop/notifications")
        tables = page(client, "/tables/shop/notifications")

    assert "BacklogFell" in words(whole)
    assert "BacklogFell" in words(tables)
    assert "BacklogFell" not in part
    assert '<section id="history" data-keep' in part


def test_the_charts_get_figures_and_decisions(board: RunningBoard) -> None:
    with board.browser() as client:
        told = client.get("/admin/queues/history/shop/notifications").json()

    columns = ("at", "ready", "in_flight", "delayed", "oldest", "desired", "current", "ready_replicas")
    assert len({len(told[name]) for name in columns}) == 1
    assert {it["reason"] for it in told["decisions"]} == {"BacklogDrain", "BacklogFell"}


def test_pages_stand_under_a_prefix(redis_url: str) -> None:
    with running_board(redis_url, PREFIX="/tools/crewcall") as board, board.browser() as client:
        found = Elements(page(client, "/q/sms?state=dead")).addresses()
        assert all(it.startswith(("/tools/crewcall/admin/", "#")) for it in found)
        static = next(it for it in found if "board.css" in it)
        answer = client.get(static.removeprefix("/tools/crewcall"))
        done = client.get("/admin/queues/confirm/pause?queue=sms")

    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert 'action="/tools/crewcall/admin/queues/act/pause"' in done.text


def test_a_defect_is_told_on_a_page_and_its_words_in_the_log_alone(
    board: RunningBoard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(source: Source) -> None:
        raise ArithmeticError("a defect")

    monkeypatch.setattr("crewcall_worker.board.pages.looks.read_schedules", fail)
    monkeypatch.setattr("crewcall_worker.board.api.looks.read_schedules", fail)
    with board.browser() as client, board.api() as api:
        answer, told = client.get("/admin/queues/schedules"), api.get("/schedules")

    assert answer.status_code == 500
    assert words(answer.text).endswith("The board failed; its log tells more To the overview")
    assert answer.headers["content-security-policy"]
    assert told.json()["detail"] == "the board failed; its log tells more"
    assert "a defect" in caplog.text
