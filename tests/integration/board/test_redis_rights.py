"""The rights in Redis that docs/board/running.md asks for are enough for all that the board does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.board_scene import POOL, busy_afternoon
from tests.support.boards import running_board
from tests.support.redis import RedisServer

from crewcall_worker import wire

PAGE = Path(__file__).parents[3] / "docs" / "board" / "running.md"


def test_a_user_with_the_rights_of_the_page_is_enough_for_looking_and_doing(redis_server: RedisServer) -> None:
    busy_afternoon(redis_server.url)
    (line,) = re.findall(r"^ACL SETUSER board (.*)$", PAGE.read_text(), re.MULTILINE)
    rules = line.replace(">PASSWORD", ">secret").split()
    redis_server.client.execute_command("ACL", "SETUSER", "board", "reset", "on", *rules)
    worker = str(redis_server.client.hkeys(wire.Keys().workers(POOL))[0])

    with running_board(redis_server.url.replace("//", "//board:secret@")) as board, board.api() as api:
        looks = ["status", "queues/health", f"pools/{POOL}", "queues", "queues/sms", "schedules", "audit"]
        looks += [f"queues/sms/jobs?state={state}" for state in ("ready", "running", "delayed", "completed", "dead")]
        deeds = [
            api.post("queues/sms/pause", json={"reason": "a test"}),
            api.post("queues/sms/resume"),
            api.put(f"pools/{POOL}/pin", json={"replicas": 3}),
            api.delete(f"pools/{POOL}/pin"),
            api.put(f"pools/{POOL}/workers/{worker}/drain"),
            api.post("queues/sms/retry-all", json={}),
            api.post("queues/sms/purge", json={"state": "delayed"}),
        ]
        with board.browser() as browser:
            page = browser.get("/admin/queues")

        assert {path: found.status_code for path in looks if (found := api.get(path)).status_code != 200} == {}
        assert {str(it.url): (it.status_code, it.text) for it in deeds if it.status_code not in (200, 204)} == {}
        assert page.status_code == 200
