"""The board in a real browser, with real workers behind it: a page is opened once, and what happens comes to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.integration.test_local import hold_jobs, local, wait_for_begun
from tests.integration.test_local_board import address, answers
from tests.support import jobs
from tests.support.boards import RunningBoard, running_board
from tests.support.browsers import Window
from tests.support.job_workers import at_work
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker.queues import CATALOGUE, FixedDelays, JobContext, JobType, NewJob, Payload, QueueService, job
from crewcall_worker.settings import Settings


class Send(Payload):
    to: str


class Shop:
    """An application that sends messages, its gateway, and how its jobs went."""

    def __init__(self, url: str) -> None:
        self.service = QueueService(Settings(redis_url=url))
        self.is_gateway_up = threading.Event()
        self.is_gateway_up.set()
        self.sent: list[str] = []
        self.send = self._job()
        self.jobs: dict[str, JobType[Any]] = {self.send.name: self.send}

    def enqueue(self, *to: str) -> list[str]:
        new = [NewJob(self.send, Send(organization_id="acme", to=it)) for it in to]
        return [it.id for it in self.service.enqueue_many(new)]

    def _job(self) -> JobType[Any]:
        @job("texts.send", queue="sms", retries=FixedDelays())
        def send(payload: Send, context: JobContext) -> None:
            del context
            if not self.is_gateway_up.is_set():
                raise ConnectionError("the gateway is down")
            self.sent.append(payload.to)

        del CATALOGUE["texts.send"]
        return send


@pytest.fixture
def shop(redis_server: RedisServer) -> Iterator[Shop]:
    found = Shop(redis_server.url)
    yield found
    found.service.shutdown()


@pytest.fixture
def board(redis_server: RedisServer) -> Iterator[RunningBoard]:
    with running_board(redis_server.url) as running:
        yield running


def test_a_burst_arrives_and_is_worked_off_without_a_reload(
    board: RunningBoard, shop: Shop, win: Window, redis_server: RedisServer
) -> None:
    win.sign_in(board.url, board.token())
    expect(win.page.get_by_text("No queue has been seen on this Redis yet.")).to_be_visible()
    win.goes_live()
    win.mark()

    shop.enqueue(*(f"+49 30 {number}" for number in range(30)))
    ready = win.page.locator("#queue-sms").get_by_role("cell").nth(0)
    expect(ready).to_have_text("30")
    with at_work(redis_server.url, shop.jobs):
        expect(ready).to_have_text("0")
        wait_until(lambda: len(shop.sent) == 30, "all to be sent")
        win.page.get_by_role("link", name="sms", exact=True).hover()

    assert not win.was_reloaded()
    assert win.complaints == []


def test_a_failed_job_is_opened_retried_and_done(
    board: RunningBoard, shop: Shop, win: Window, redis_server: RedisServer
) -> None:
    shop.is_gateway_up.clear()
    with at_work(redis_server.url, shop.jobs):
        (id_,) = shop.enqueue("+49 30 1")
        win.sign_in(board.url, board.token())
        dead = win.page.locator("#queue-sms .dead-count")
        expect(dead).to_have_text("1")
        dead.click()
        expect(win.page.get_by_role("cell", name="ConnectionError: the gateway is down")).to_be_visible()
        win.page.get_by_title(id_).click()
        expect(win.page.get_by_role("heading", name="texts.send")).to_contain_text("Dead")
        expect(win.page.locator("pre.error")).to_contain_text("the gateway is down")
        expect(win.page.get_by_role("region", name="Payload")).to_contain_text('"to": "+49 30 1"')

        shop.is_gateway_up.set()
        win.page.get_by_role("link", name="Retry…").click()
        dialog = win.page.get_by_role("dialog", name="Retry 1 job of queue sms?")
        expect(dialog).to_contain_text("What a job did before it failed may be done again.")
        dialog.get_by_role("button", name="Retry").click()

        expect(win.page.locator(".said")).to_contain_text("1 job is back in the queue.")
        wait_until(lambda: shop.sent == ["+49 30 1"], "it to be done")
        win.page.get_by_role("link", name="Completed").click()
        expect(win.page.get_by_title(id_)).to_be_visible()
    assert win.complaints == []


def test_a_paused_queue_stands_still_until_it_is_resumed(
    board: RunningBoard, shop: Shop, win: Window, redis_server: RedisServer
) -> None:
    with at_work(redis_server.url, shop.jobs):
        shop.enqueue("first")
        wait_until(lambda: shop.sent == ["first"], "the worker to be at work")
        win.sign_in(board.url, board.token())
        win.page.get_by_role("link", name="sms", exact=True).click()
        win.page.get_by_role("link", name="Pause…").click()
        dialog = win.page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("the gateway is being moved")
        dialog.get_by_role("button", name="Pause").click()
        expect(win.page.get_by_role("heading", name="Queue sms")).to_contain_text("Paused")
        expect(win.page.locator(".note")).to_contain_text(re.compile(r"Paused by jane .*the gateway is being moved"))

        win.mark()
        shop.enqueue("second")
        expect(win.page.get_by_role("navigation", name="Jobs by state")).to_contain_text("Ready 1")
        assert shop.sent == ["first"]
        win.page.get_by_role("link", name="Resume…").click()
        win.page.get_by_role("dialog").get_by_role("button", name="Resume").click()

        expect(win.page.locator(".said")).to_contain_text("Queue sms goes on.")
        wait_until(lambda: shop.sent == ["first", "second"], "the job to be done")
        win.page.get_by_role("link", name="Audit").click()
        expect(win.page.get_by_role("row").filter(has_text="queue sms")).to_have_count(2)
    assert win.complaints == []


def test_a_scaling_decision_is_a_mark_on_the_pools_chart_with_its_reason(
    redis_server: RedisServer, win: Window, tmp_path: Path
) -> None:
    with local(tmp_path, "--redis", redis_server.url, "--board") as running:
        url = address(running)
        wait_until(lambda: answers(url), "the board to listen")
        win.page.goto(url)
        pool = win.page.get_by_role("link", name="notifications")
        expect(pool).to_be_visible()
        pool.click()
        win.goes_live()
        win.mark()
        hold_jobs(redis_server.url, 3)
        expect(win.page.locator(".figures")).to_contain_text(re.compile(r"Desired\s*2"))
        wait_for_begun(redis_server.client, 2)
        expect(win.page.get_by_role("rowheader")).to_have_count(2)
        expect(win.page.get_by_role("link", name="Drain worker")).to_have_count(2)
        assert not win.was_reloaded()

        # Of one decision from 0 to 2, or of the second of two that are at one place: the last is on top.
        mark = win.page.locator(".mark.up").last
        expect(mark).to_have_attribute("title", re.compile(r"\d → 2  \w+: .*ready"))
        mark.hover()
        expect(win.page.locator("#decision-said")).to_contain_text(re.compile(r"\d → 2"))
        # Who does not see the lines is told what they come to by now, and not when they were first drawn.
        expect(win.page.get_by_role("img", name=re.compile("^Replicas .*desired 2 now, current 2 now"))).to_be_visible()
        jobs.let_go(redis_server.client, 3)
    assert win.complaints == []


def test_the_page_goes_on_when_its_stream_breaks_and_says_so(board: RunningBoard, shop: Shop, win: Window) -> None:
    shop.enqueue("first")
    win.page.route("**/admin/queues/stream**", lambda route: route.abort())
    win.sign_in(board.url, board.token())
    expect(win.page.locator("#link-state")).to_have_attribute("data-state", "polling")
    win.mark()

    shop.enqueue("second")
    expect(win.page.locator("#queue-sms").get_by_role("cell").nth(0)).to_have_text("2")
    assert not win.was_reloaded()

    win.page.unroute("**/admin/queues/stream**")
    win.goes_live()
    # The browser and the extension of htmx note each stream that fails; nothing else does.
    assert set(win.complaints) == {"Failed to load resource: net::ERR_FAILED", "[object Event]"}


def test_any_number_of_tabs_can_be_open_and_acted_in(board: RunningBoard, shop: Shop, win: Window) -> None:
    shop.enqueue("+49 30 1")
    win.sign_in(board.url, board.token())
    for _ in range(7):
        tab = win.page.context.new_page()
        tab.goto(f"{board.url}/admin/queues/q/sms")

    tab.get_by_role("link", name="Pause").or_(tab.get_by_role("button", name="Pause")).first.click()

    expect(tab.get_by_role("dialog")).to_be_visible()
