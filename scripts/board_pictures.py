"""The pictures in docs/board, taken anew: `make board-pictures`. They show the tests' busy afternoon as it goes on.

Each is a PNG of few colours, which is a third of what a browser writes and looks the same.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect
from tests.support.board_scene import POOL, a_message, busy_afternoon, now_ms
from tests.support.boards import RunningBoard, running_board
from tests.support.browsers import PHONE, PROGRAM, WHY_NOT, WIDE, Window, chromium, window

from crewcall_operator.adapters.embedded_redis import EmbeddedRedis
from crewcall_worker import wire
from crewcall_worker.broker import CrewcallBroker

FOLDER = Path(__file__).parents[1] / "docs" / "board" / "pictures"
COLOURS = 256
#: By file: the page, light or dark, the window; what is opened there first.
PICTURES: dict[str, tuple[str, str, tuple[int, int], str]] = {
    "overview": ("", "light", WIDE, ""),
    "overview-dark": ("", "dark", WIDE, ""),
    "pool": (f"/pools/{POOL}", "light", WIDE, ""),
    "pool-dark": (f"/pools/{POOL}", "dark", WIDE, ""),
    "dead": ("/q/sms?state=dead", "light", WIDE, ""),
    "job": ("/jobs/dead-sms-0?queue=sms", "dark", WIDE, "Traceback"),
    "retry": ("/q/sms?state=dead", "light", WIDE, "Retry all…"),
    "phone-overview": ("", "light", PHONE, ""),
    "phone-pool": (f"/pools/{POOL}", "dark", PHONE, ""),
    "phone-queue": ("/q/sms?state=dead", "light", PHONE, ""),
}


def main() -> int:
    if not PROGRAM:
        sys.stderr.write(f"No pictures: there is {WHY_NOT}\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with EmbeddedRedis() as server:
        busy_afternoon(server.url)
        with (
            running_board(server.url) as board,
            going_on(server.url),
            chromium() as browser,
            window(browser, timezone_id="UTC") as win,
        ):
            win.sign_in(board.url, board.token())
            # Rates and the queues' lines are of what the board has seen so far.
            expect(win.page.locator("#queue-sms polyline")).to_be_attached()
            for name, told in PICTURES.items():
                take(win, board, FOLDER / f"{name}.png", *told)
    return 0


@contextmanager
def going_on(url: str) -> Iterator[None]:
    """Workers tell of themselves, and jobs come and go, until the block ends."""
    is_over = threading.Event()

    def go_on() -> None:
        broker = CrewcallBroker(url=url, middleware=[])
        broker.declare_queue("sms")
        keys = wire.Keys()
        for turn in count():
            told = broker.client.hgetall(keys.workers(POOL))
            for worker, text in told.items():
                record = json.loads(text) | {"at_ms": now_ms(broker.client)}
                broker.client.hset(keys.workers(POOL), worker, json.dumps(record))
            for number in range(4 + turn % 5):
                broker.enqueue(a_message("sms", "sms.send", 1_000 + 10 * turn + number))
            broker.client.hincrby(keys.stats("sms"), "done", 3 + turn % 2)
            broker.client.hincrby(keys.stats("sms"), "busy_ms", 6_800)
            broker.client.hincrby(keys.stats("sms"), "enqueued", 4)
            if is_over.wait(1.0):
                break
        broker.close()

    thread = threading.Thread(target=go_on, name="afternoon")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def take(
    win: Window, board: RunningBoard, file: Path, path: str, scheme: Any, size: tuple[int, int], opened: str
) -> None:
    win.look(scheme, size)
    win.page.goto(f"{board.url}/admin/queues{path}")
    win.goes_live()
    if "/pools/" in path:
        expect(win.page.locator(".mark").first).to_be_attached()
    if opened:
        win.page.get_by_text(opened, exact=True).first.click()
    if opened.endswith("…"):
        expect(win.page.get_by_role("dialog")).to_be_visible()
    picture = Image.open(io.BytesIO(win.page.screenshot(animations="disabled")))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    sys.stderr.write(f"{file.name}: {file.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    sys.exit(main())
