"""Every page as a browser shows it: light and dark, wide and on a phone, for everybody, and from nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.support.board_scene import POOL, busy_afternoon
from tests.support.boards import RunningBoard, running_board
from tests.support.browsers import NARROWEST, OF_COLOURS, PHONE, RULES, WIDE, Window
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

from crewcall_worker.board.people import Role

PAGES = {
    "overview": "",
    "pool": f"/pools/{POOL}",
    "pool that is pinned": "/pools/shop/reports",
    "ready": "/q/sms",
    "running": "/q/sms?state=running",
    "delayed": "/q/sms?state=delayed",
    "failed": "/q/email?state=failed",
    "completed": "/q/sms?state=completed",
    "dead": "/q/sms?state=dead",
    "paused": "/q/reports",
    "nothing found": "/q/sms?job=no.such.job",
    "job": "/jobs/dead-sms-1?queue=sms",
    "dead letters": "/dead",
    "schedules": "/schedules",
    "audit": "/audit",
    "search": "/search?q=s",
    "confirmation": "/confirm/purge?queue=sms&state=dead",
    "no such page": "/q/never-seen",
}


@pytest.fixture
def board(redis_server: RedisServer) -> Iterator[RunningBoard]:
    busy_afternoon(redis_server.url)
    with running_board(redis_server.url) as running:
        yield running


def check(win: Window) -> None:
    """No barriers and nothing that is wider than the window, however it is looked at. In the dark colours differ, and
    nothing else does."""
    for size in (WIDE, PHONE):
        for scheme, rules in (("light", RULES), ("dark", OF_COLOURS)):
            win.look(scheme, size)
            assert win.barriers(rules) == [], f"{scheme}, {size[0]} px wide"
            assert win.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    win.look("light", NARROWEST)
    wide = "document.documentElement.scrollWidth"  # charts are drawn anew a moment after
    wait_until(lambda: int(win.page.evaluate(wide)) <= NARROWEST[0], f"a page of {NARROWEST[0]} px")


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_page_has_no_barriers_and_asks_no_other_host(board: RunningBoard, win: Window, path: str) -> None:
    win.sign_in(board.url, board.token())
    win.page.goto(f"{board.url}/admin/queues{path}")
    if "/pools/" in path:
        expect(win.page.locator("#charts, .empty").first).to_be_visible()
        for summary in win.page.locator("#history summary").all():
            summary.click()

    check(win)

    assert win.hosts == {board.url.removeprefix("http://")}
    assert [it for it in win.complaints if "404" not in it or "never-seen" not in path] == []


def test_the_login_has_no_barriers(board: RunningBoard, win: Window) -> None:
    win.page.goto(f"{board.url}/admin/queues")
    win.page.get_by_label("Token").fill("nonsense")
    win.page.get_by_role("button", name="Sign in").click()
    expect(win.page.get_by_role("alert")).to_be_visible()

    check(win)


def test_a_dialog_has_no_barriers(board: RunningBoard, win: Window) -> None:
    win.sign_in(board.url, board.token())
    win.page.goto(f"{board.url}/admin/queues/q/sms?state=dead")
    win.page.get_by_role("checkbox", name="Select all").check()
    win.page.get_by_role("button", name="Remove…").click()
    expect(win.page.get_by_role("dialog")).to_contain_text("This cannot be undone")

    check(win)

    assert win.complaints == []


def test_a_dialog_is_closed_by_a_click_beside_it_and_by_none_at_its_edge(board: RunningBoard, win: Window) -> None:
    win.sign_in(board.url, board.token())
    win.page.goto(f"{board.url}/admin/queues/q/sms")
    win.page.get_by_role("link", name="Pause…").click()
    dialog = win.page.get_by_role("dialog")
    expect(dialog).to_be_visible()

    dialog.click(position={"x": 5, "y": 5})
    expect(dialog).to_be_visible()
    win.page.mouse.click(5, 5)
    expect(dialog).to_be_hidden()


def test_the_keyboard_alone_reaches_an_action_and_confirms_it(board: RunningBoard, win: Window) -> None:
    win.sign_in(board.url, board.token())
    win.page.goto(f"{board.url}/admin/queues/q/sms")
    win.goes_live()
    win.page.evaluate("htmx.config.defaultSettleDelay = 300")  # as on a busy machine
    keyboard = win.page.keyboard

    keyboard.press("Tab")
    expect(win.page.locator(":focus")).to_have_text("Skip to the content")
    keyboard.press("Enter")
    keyboard.press("Tab")
    pause = win.page.get_by_role("link", name="Pause…")
    expect(pause).to_be_focused()
    keyboard.press("Enter")
    expect(win.page.get_by_label("Reason")).to_be_focused()
    keyboard.press("Escape")
    expect(win.page.get_by_role("dialog")).to_be_hidden()
    expect(pause).to_be_focused()

    keyboard.press("Enter")
    expect(win.page.get_by_label("Reason")).to_be_focused()
    keyboard.type("lunch")
    keyboard.press("Tab")
    expect(win.page.get_by_role("link", name="Cancel")).to_be_focused()
    keyboard.press("Tab")
    expect(win.page.locator(".htmx-settling")).to_have_count(0)
    expect(win.page.get_by_role("button", name="Pause")).to_be_focused()
    keyboard.press("Enter")

    expect(win.page.locator(".said")).to_contain_text("Queue sms is paused.")
    expect(win.page.locator(".note")).to_contain_text("lunch")


@pytest.mark.parametrize(("role", "read_only"), [(Role.VIEWER, "false"), (Role.OPERATOR, "true")])
def test_who_may_not_act_is_offered_nothing(redis_server: RedisServer, win: Window, role: Role, read_only: str) -> None:
    busy_afternoon(redis_server.url)
    with running_board(redis_server.url, READ_ONLY=read_only) as board:
        win.sign_in(board.url, board.token(role))
        for path in ("", f"/pools/{POOL}", "/q/sms?state=dead", "/q/reports", "/jobs/dead-sms-1?queue=sms"):
            win.page.goto(f"{board.url}/admin/queues{path}")
            expect(
                win.page.locator("main [href*='/confirm/'], main form[method=post], main [type=checkbox]")
            ).to_have_count(0)
            expect(win.page.locator("main button:visible")).to_have_count(1 if "/q/" in path else 0)  # Find
        answer = win.page.goto(f"{board.url}/admin/queues/confirm/pause?queue=sms")

    assert answer is not None
    assert answer.status == 403


def test_behind_a_path_prefix_everything_is_below_it(redis_server: RedisServer, win: Window) -> None:
    busy_afternoon(redis_server.url)
    with running_board(redis_server.url, PREFIX="/tools/crewcall") as board:
        win.sign_in(board.url, board.token())
        win.goes_live()
        win.page.get_by_role("link", name=POOL).click()
        expect(win.page.locator(".mark").first).to_be_attached()
        win.page.get_by_role("link", name="Pin…").click()
        win.page.get_by_role("dialog").get_by_label("Replicas").fill("3")
        win.page.get_by_role("dialog").get_by_role("button", name="Pin").click()
        expect(win.page.locator(".said")).to_contain_text(f"Pool {POOL} is pinned to 3 replicas")
        win.page.get_by_role("searchbox").fill("dead-sms-1")
        win.page.get_by_role("searchbox").press("Enter")
        expect(win.page).to_have_url(re.compile("/tools/crewcall/admin/queues/jobs/dead-sms-1"))
        win.page.get_by_role("button", name="Log out").click()
        expect(win.page.get_by_label("Token")).to_be_visible()

    assert [path for path in win.paths if not path.startswith("/tools/crewcall/")] == []
    assert win.complaints == []
