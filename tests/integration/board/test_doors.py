"""Somebody tries to get in by every door. A whole board by HTTP, with a real Redis behind it."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest
import redis
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from tests.support.boards import SECRET, RunningBoard, running_board
from tests.support.redis import RedisServer
from tests.support.waiting import DEADLINE

from crewcall_worker.board.app import make_app
from crewcall_worker.board.doors import BEARERS, COOKIE, LOGINS
from crewcall_worker.board.people import Role
from crewcall_worker.board.sessions import Sessions
from crewcall_worker.board.settings import board_settings

HOMES = {"/", "/admin", "/admin/", "/admin/queues/"}
"""What people type: they are sent on to the overview, and from there to the login."""
OPEN = HOMES | {"/healthz", "/readyz", "/admin/login"}
"""What answers whom nobody knows."""
TICKET = "a-ticket-that-nobody-can-guess-at-all"


def doors() -> list[tuple[str, str]]:
    """Every method and path that the board has, its pages' and its API's; parameters are filled in."""
    app = make_app(board_settings({"REDIS_URL": "redis://nowhere", "CREWCALL_BOARD_JWT_SECRET": SECRET}))
    found = []
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if isinstance(route.original_route, Mount):
            assert path == "/admin/queues/static"  # what the login looks like; there is nothing in it of anybody's
            continue
        for name in ("pool", "queue", "job_id", "namespace", "name", "worker", "action"):
            path = path.replace(f"{{{name}:path}}", "sms").replace(f"{{{name}}}", "sms")
        assert "{" not in path, path
        found += [(method, path) for method in sorted(route.methods or ())]
    return sorted(found)


DOORS = doors()
CLOSED = [(method, path) for method, path in DOORS if path not in OPEN]


@pytest.fixture
def board(redis_server: RedisServer) -> Iterator[RunningBoard]:
    redis_server.client.sadd("crewcall:dramatiq:queues", "sms")
    with running_board(redis_server.url) as found:
        yield found


def everything(server: RedisServer) -> dict[str, str]:
    """What is in Redis but for sessions and the audit."""
    kept = [key for key in map(str, server.client.keys()) if not key.startswith(("crewcall:dramatiq:session:",))]
    return {key: str(server.client.dump(key)) for key in sorted(kept) if not key.endswith(":audit")}


def is_refused(answer: httpx2.Response) -> bool:
    if answer.url.path.startswith("/api/"):
        return answer.status_code == 401 and answer.headers["content-type"] == "application/problem+json"
    return answer.status_code == 303 and answer.headers["location"].startswith("/admin/login")


def test_there_are_doors_to_try() -> None:
    assert {path for _, path in DOORS} >= OPEN
    assert len([path for _, path in CLOSED if path.startswith("/api/admin")]) >= 25
    assert len([path for _, path in CLOSED if path.startswith("/admin/queues")]) >= 10


def test_no_door_is_open_to_whom_nobody_knows(board: RunningBoard, redis_server: RedisServer) -> None:
    before = everything(redis_server)
    with board.stranger() as stranger:
        opened = [door for door in CLOSED if not is_refused(stranger.request(*door))]

    assert (opened, everything(redis_server)) == ([], before)


FORGED = {
    "an empty one": "",
    "no token": "Bearer",
    "another scheme": "Basic amFuZTpqYW5l",
    "nonsense": "Bearer nonsense",
    "another secret": "Bearer " + jwt.encode({"sub": "e", "exp": 2**40, "roles": ["operator"]}, "x" * 64, "HS256"),
    "an expired one": "Bearer " + jwt.encode({"sub": "e", "exp": 1, "roles": ["operator"]}, SECRET, "HS256"),
    "no role": "Bearer " + jwt.encode({"sub": "e", "exp": 2**40}, SECRET, "HS256"),
    "no end": "Bearer " + jwt.encode({"sub": "e", "roles": ["operator"]}, SECRET, "HS256"),
    "no signature": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJlIiwiZXhwIjo5OTk5OTk5OTk5LCJyb2xlcyI6WyJvcGVyYXRvciJdfQ.",
}


@pytest.mark.parametrize("header", FORGED.values(), ids=FORGED.keys())
def test_no_door_opens_to_a_token_that_is_none(board: RunningBoard, header: str) -> None:
    with board.stranger() as stranger:
        stranger.headers["Authorization"] = header
        opened = [door for door in CLOSED if stranger.request(*door).status_code not in (303, 401, 429)]

    assert opened == []


@pytest.mark.parametrize("cookie", ["", "x", "x" * 43, "x" * 5_000, "../audit", "*", "%00"])
def test_no_door_opens_to_a_cookie_that_nobody_handed_out(board: RunningBoard, cookie: str) -> None:
    with board.stranger() as stranger:
        stranger.headers["Cookie"] = f"{COOKIE}={cookie}"
        opened = [door for door in CLOSED if not is_refused(stranger.request(*door))]

    assert opened == []


def test_what_redis_has_of_a_session_opens_nothing(board: RunningBoard, redis_server: RedisServer) -> None:
    with board.browser():
        (key,) = redis_server.client.keys("crewcall:dramatiq:session:*")
    with board.stranger() as stranger:
        stranger.headers["Cookie"] = f"{COOKIE}={str(key).rpartition(':')[2]}"

        assert is_refused(stranger.get("/admin/queues"))


def changing() -> list[tuple[str, str]]:
    return [(method, path) for method, path in CLOSED if method != "GET"]


def try_to_change(browser: httpx2.Client) -> None:
    """Knock on every door that changes something: each has to be refused, the API's as forbidden."""
    csrf = csrf_of(browser)
    for method, path in changing():
        if path == "/admin/logout":
            continue
        answer = browser.request(method, path, headers={"X-CSRF-Token": csrf}, **body_of(path))
        assert answer.status_code in (403, 404, 422), (method, path, answer.status_code)
        assert answer.status_code == 403 or not path.startswith("/api"), (method, path, answer.text)


def test_a_viewer_changes_nothing_by_any_door(board: RunningBoard, redis_server: RedisServer) -> None:
    before = everything(redis_server)
    with board.browser(Role.VIEWER) as browser:
        try_to_change(browser)

    assert everything(redis_server) == before


def test_nobody_changes_anything_of_a_board_that_is_read_only(redis_server: RedisServer) -> None:
    redis_server.client.sadd("crewcall:dramatiq:queues", "sms")
    with running_board(redis_server.url, READ_ONLY="true") as board, board.browser() as browser:
        before = everything(redis_server)
        try_to_change(browser)

        assert everything(redis_server) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "guessed"},
        {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "REAL"},
        {"Sec-Fetch-Site": "same-site", "X-CSRF-Token": "REAL"},
        {"Origin": "https://evil.test", "X-CSRF-Token": "REAL"},
        {"Origin": "null", "X-CSRF-Token": "REAL"},
        {"Origin": "http://[", "X-CSRF-Token": "REAL"},
    ],
)
def test_another_site_changes_nothing_by_an_operators_browser(
    board: RunningBoard, redis_server: RedisServer, headers: dict[str, str]
) -> None:
    with board.browser() as browser:
        before = everything(redis_server)
        csrf = csrf_of(browser)
        told = {name: value.replace("REAL", csrf) for name, value in headers.items()}
        opened = [
            (method, path)
            for method, path in changing()
            if browser.request(method, path, headers=told, **body_of(path)).status_code != 403
        ]

        assert (opened, everything(redis_server)) == ([], before)
        assert browser.get("/api/admin/status").status_code == 200


def test_another_site_logs_nobody_in(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        answer = stranger.post("/admin/login", data={"token": board.token()}, headers={"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, COOKIE in stranger.cookies) == (403, False)


def test_an_operators_page_may_do_what_another_site_may_not(board: RunningBoard) -> None:
    with board.browser() as browser:
        headers = {"X-CSRF-Token": csrf_of(browser), "Sec-Fetch-Site": "same-origin", "Origin": board.url}
        answer = browser.post("/api/admin/queues/sms/pause", json={"reason": "why"}, headers=headers)

    assert (answer.status_code, answer.json()["by"], answer.json()["reason"]) == (200, "jane", "why")


def test_whoever_guesses_tokens_at_the_login_waits_even_with_a_good_one(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        codes = [stranger.post("/admin/login", data={"token": "x"}).status_code for _ in range(LOGINS)]
        answer = stranger.post("/admin/login", data={"token": board.token()})

    assert codes == [401] * LOGINS
    assert (answer.status_code, COOKIE in stranger.cookies) == (429, False)
    assert "Try again in" in answer.text


def test_whoever_guesses_bearer_tokens_waits_too(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        guess, good = ({"Authorization": f"Bearer {token}"} for token in ("guessed", board.token()))
        for _ in range(10 * BEARERS):  # some tries come back while one tries, and between two requests
            guessed = stranger.get("/api/admin/status", headers=guess)
            if guessed.status_code != 401 and (answer := stranger.get("/api/admin/status", headers=good)).is_error:
                break

    assert guessed.status_code == 429
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)


def test_an_expired_token_holds_nobody_up(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        stranger.headers["Authorization"] = f"Bearer {board.token(seconds=-60)}"
        codes = {stranger.get("/api/admin/status").status_code for _ in range(BEARERS + 1)}

    assert codes == {401}


def test_nobody_says_by_a_header_that_he_comes_from_elsewhere(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        codes = [
            stranger.post(
                "/admin/login", data={"token": "x"}, headers={"X-Forwarded-For": f"192.0.2.{number}"}
            ).status_code
            for number in range(LOGINS + 1)
        ]

    assert codes == [401] * LOGINS + [429]


def test_a_proxy_that_is_trusted_tells_who_comes(redis_server: RedisServer) -> None:
    with running_board(redis_server.url, TRUSTED_PROXIES="127.0.0.1") as board, board.stranger() as stranger:
        codes = [
            stranger.post(
                "/admin/login", data={"token": "x"}, headers={"X-Forwarded-For": f"192.0.2.{number}"}
            ).status_code
            for number in range(LOGINS + 1)
        ]
        with board.api() as api:
            addresses = {entry["address"] for entry in api.get("/audit").json()["entries"]}

    assert codes == [401] * (LOGINS + 1)
    assert addresses == {f"192.0.2.{number}" for number in range(LOGINS + 1)}


def test_a_ticket_lets_in_once(redis_server: RedisServer) -> None:
    with running_board(redis_server.url, TICKET=TICKET) as board:
        with board.stranger() as first, board.stranger() as second:
            codes = [it.get(f"/admin/login?ticket={TICKET}").status_code for it in (first, second)]
            inside = first.get("/api/admin/status").json()

        assert codes == [303, 401]
        assert (inside["subject"], inside["role"]) == ("local", "operator")


def test_a_ticket_is_not_spent_while_redis_is_away(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise redis.ConnectionError("away")

    with running_board(redis_server.url, TICKET=TICKET) as board, board.stranger() as stranger:
        with monkeypatch.context() as patch:
            patch.setattr(Sessions, "open", away)
            first = stranger.get(f"/admin/login?ticket={TICKET}").status_code
        second = stranger.get(f"/admin/login?ticket={TICKET}").status_code

    assert (first, second) == (503, 303)


def test_a_proxys_basic_auth_is_no_business_of_the_board(board: RunningBoard) -> None:
    basic = {"Authorization": "Basic amFuZTpqYW5l"}
    with board.browser() as browser:
        inside = browser.get("/admin/queues", headers=basic).status_code
        without = browser.post("/api/admin/queues/sms/pause", headers=basic, json={}).status_code
    with board.stranger() as stranger:
        outside = stranger.get("/api/admin/status", headers=basic).status_code

    assert (inside, without, outside) == (200, 403, 401)


def test_a_board_without_a_ticket_takes_none(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        assert stranger.get(f"/admin/login?ticket={TICKET}").status_code == 401


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/admin//evil.test",
        "/admin/../x",
        "/admin/%2e%2E/x",
        "/admin/queues/.%2e/../x",
        "/admin/%2f/evil.test",
        "/admin/%5c%5cevil.test",
        "javascript:alert(1)",
        "/api/admin/status",
        "\r\nSet-Cookie: a=b",
        "/admin/queues\n",
        "/admin/\\\\evil.test",
    ],
)
def test_the_login_sends_nobody_elsewhere(board: RunningBoard, place: str) -> None:
    with board.stranger() as stranger:
        answer = stranger.post("/admin/login", data={"token": board.token(), "next": place})

    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/queues")


def test_the_login_leads_back_to_where_one_wanted_to_be(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        sent = stranger.get("/admin/queues/q/sms?state=dead")
        page = stranger.get(sent.headers["location"])
        answer = stranger.post("/admin/login", data={"token": board.token(), "next": "/admin/queues/q/sms?state=dead"})

    assert 'value="/admin/queues/q/sms?state=dead"' in page.text
    assert answer.headers["location"] == "/admin/queues/q/sms?state=dead"


def test_the_cookie_is_for_this_board_and_no_script(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        told = stranger.post("/admin/login", data={"token": board.token()}).headers["set-cookie"]

    words = {word.strip().lower().partition("=")[0] for word in told.split(";")[1:]}
    assert words == {"httponly", "max-age", "path", "samesite"}
    assert "samesite=strict" in told.lower()


@pytest.mark.parametrize(
    ("environment", "headers"),
    [
        ({"HOST": "0.0.0.0"}, {}),
        ({}, {"X-Forwarded-Proto": "https"}),
        ({}, {"Host": "board.test"}),
        ({}, {"Origin": "https://board.test", "Sec-Fetch-Site": "same-origin"}),
        ({}, {"Origin": "http://board.test", "Sec-Fetch-Site": "same-origin"}),
        ({}, {"Origin": "http://[", "Sec-Fetch-Site": "same-origin"}),
    ],
)
def test_the_cookie_is_for_tls_alone_wherever_more_than_this_machine_may_come(
    redis_server: RedisServer, environment: dict[str, str], headers: dict[str, str]
) -> None:
    with running_board(redis_server.url, **environment) as board, board.stranger() as stranger:
        told = stranger.post("/admin/login", data={"token": board.token()}, headers=headers).headers["set-cookie"]

    assert "; secure" in told.lower()


def test_so_is_the_one_in_which_the_next_page_finds_what_an_action_came_to(
    board: RunningBoard, redis_server: RedisServer
) -> None:
    redis_server.client.sadd("crewcall:dramatiq:queues", "sms")
    with board.browser() as browser:
        form = {"csrf": csrf_of(browser), "queue": "sms"}
        told = [
            browser.post("/admin/queues/act/pause", data=form, headers=headers).headers["set-cookie"].lower()
            for headers in ({}, {"X-Forwarded-Proto": "https"})
        ]

    assert ["; secure" in each for each in told] == [False, True]


def test_a_browser_on_this_machine_is_let_in_without_tls_from_a_containers_board(redis_server: RedisServer) -> None:
    with running_board(redis_server.url, HOST="0.0.0.0") as board, board.stranger() as stranger:
        answer = stranger.post("/admin/login", data={"token": board.token()}, headers={"Origin": board.url})

    assert (answer.status_code, "secure" in answer.headers["set-cookie"].lower()) == (303, False)


@pytest.mark.parametrize(
    ("charset", "told", "status"),
    [("utf-7", b"+2AA-", 403), ("undefined", b"x", 400), ("none-such", b"x", 403)],
    ids=["half a character", "no charset", "an unknown charset"],
)
def test_a_form_that_nobody_can_read_is_refused(
    board: RunningBoard, charset: str, told: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    form = b'--B\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + told + b"\r\n--B--\r\n"
    kind = f"multipart/form-data; boundary=B; charset={charset}"
    with board.browser() as browser:
        answer = browser.post("/admin/queues/act/pause", content=form, headers={"Content-Type": kind})

    assert (answer.status_code, [it for it in caplog.records if it.levelno >= logging.ERROR]) == (status, [])


def test_logging_out_ends_the_session_wherever_its_cookie_is(board: RunningBoard) -> None:
    with board.browser() as browser, board.stranger() as copy:
        copy.headers["Cookie"] = f"{COOKIE}={browser.cookies[COOKIE]}"
        assert copy.get("/api/admin/status").status_code == 200

        answer = browser.post("/admin/logout", data={"csrf": csrf_of(browser)})

        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/login")
        assert is_refused(copy.get("/admin/queues"))


def test_logging_in_anew_ends_the_session_before(board: RunningBoard) -> None:
    with board.browser() as browser, board.stranger() as copy:
        copy.headers["Cookie"] = f"{COOKIE}={browser.cookies[COOKIE]}"
        browser.post("/admin/login", data={"token": board.token()})

        assert is_refused(copy.get("/admin/queues"))
        assert browser.get("/api/admin/status").status_code == 200


def test_a_session_that_somebody_chose_is_not_taken_over(board: RunningBoard) -> None:
    with board.stranger() as victim:
        victim.cookies.set(COOKIE, "chosen-by-an-attacker", domain="127.0.0.1", path="/")
        victim.post("/admin/login", data={"token": board.token()})
        handed_out = [cookie.value for cookie in victim.cookies.jar if cookie.name == COOKIE]
    with board.stranger() as attacker:
        attacker.headers["Cookie"] = f"{COOKIE}=chosen-by-an-attacker"

        assert is_refused(attacker.get("/admin/queues"))
        assert any(value and value != "chosen-by-an-attacker" for value in handed_out)


def test_a_new_secret_ends_every_session(redis_server: RedisServer) -> None:
    with running_board(redis_server.url) as board, board.browser() as browser:
        cookie = browser.cookies[COOKIE]
    with running_board(redis_server.url, JWT_SECRET="a new one" * 8) as board, board.stranger() as stranger:
        stranger.headers["Cookie"] = f"{COOKIE}={cookie}"

        assert is_refused(stranger.get("/admin/queues"))


def test_a_session_lasts_no_longer_than_the_token(board: RunningBoard, redis_server: RedisServer) -> None:
    with board.stranger() as stranger:
        stranger.post("/admin/login", data={"token": board.token(seconds=100)})
        until = stranger.get("/api/admin/status").json()["until"]
    (key,) = redis_server.client.keys("crewcall:dramatiq:session:*")

    assert 0 < until - time.time() <= 100
    assert 0 < int(str(redis_server.client.ttl(key))) <= 100


def test_every_answer_tells_the_browser_to_be_strict(board: RunningBoard) -> None:
    with board.browser() as browser:
        answers = [
            browser.get(path)
            for path in ("/admin/login", "/admin/queues", "/api/admin/status", "/nowhere", "/healthz", "/api/nowhere")
        ]
        answers.append(browser.post("/api/admin/queues/sms/pause"))
        answers.append(browser.post("/admin/login", content=b"x" * 100_000))

    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
        assert set(policy.values()) == {"'self'"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def by_hand(board: RunningBoard, head: str, *bodies: bytes) -> bytes:
    """The first line of the answer to a request that is sent in parts, with a moment between them."""
    url = httpx2.URL(board.url)
    with socket.create_connection((url.host, url.port or 0), timeout=DEADLINE) as connection:
        connection.sendall(f"{head}\r\nHost: {url.host}\r\n\r\n".encode())
        for body in bodies:
            time.sleep(0.05)
            connection.sendall(body)
        with connection.makefile("rb") as answer:
            return answer.readline()


def test_the_probes_tell_nothing_else(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        assert [stranger.get(path).text for path in ("/healthz", "/readyz")] == ["ok\n", "ok\n"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/admin/queues/static/"])
def test_what_frameworks_open_by_themselves_is_not_there(board: RunningBoard, path: str) -> None:
    with board.stranger() as stranger:
        assert stranger.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/admin/queues/static/../templates/login.html",
        "/admin/queues/static/%2e%2e/templates/login.html",
        "/admin/queues/static/..%2fapp.py",
        "/admin/queues/static//etc/passwd",
        "/admin/queues/static/%2fetc/passwd",
        "/api/admin/../../readyz",
    ],
)
def test_no_path_leads_out_of_the_static_files(board: RunningBoard, path: str) -> None:
    # By hand: a client would tidy up the path first.
    assert by_hand(board, f"GET {path} HTTP/1.1").split()[1] == b"404"


def test_what_people_type_leads_to_the_overview(board: RunningBoard) -> None:
    with board.stranger() as stranger:
        assert {stranger.get(path).headers["location"] for path in HOMES} == {"/admin/queues"}


def test_a_body_without_an_end_is_refused(board: RunningBoard) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    with board.api() as api:
        answer = api.post("/queues/sms/pause", content=endless(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["title"]) == (413, "Request Entity Too Large")


def test_whoever_still_sends_what_is_too_large_sees_that_it_is_refused(board: RunningBoard) -> None:
    head = "POST /admin/login HTTP/1.1\r\nContent-Length: 300000"
    assert by_hand(board, head, *(b"x" * 100_000,) * 3).split()[1] == b"413"


def test_whoever_asks_first_need_not_send_what_is_too_large(board: RunningBoard) -> None:
    head = "POST /admin/login HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 300000"
    assert by_hand(board, head).split()[1] == b"413"


def test_a_form_that_is_too_large_is_refused_on_a_page(board: RunningBoard) -> None:
    with board.browser() as browser:
        answer = browser.post("/admin/queues/act/pause", data={"reason": "x" * 70_000})

    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "more than 65536 bytes" in answer.text


def test_under_a_prefix_every_door_is_as_closed(redis_server: RedisServer) -> None:
    with running_board(redis_server.url, PREFIX="/crew") as board, board.stranger() as stranger:
        answer = stranger.get("/admin/queues")
        page = stranger.get("/admin/login")
        inside = stranger.post("/admin/login", data={"token": board.token()})
        typed = httpx2.get(board.url, timeout=DEADLINE)  # without a slash, as people do

        assert typed.headers["location"] == "/crew/admin/queues"
        assert answer.headers["location"] == "/crew/admin/login"
        assert 'action="/crew/admin/login"' in page.text
        assert inside.headers["location"] == "/crew/admin/queues"
        assert "path=/crew" in inside.headers["set-cookie"].lower()
        # A proxy may take the prefix off, or leave it.
        root = board.url.removesuffix("/crew")
        paths = ("/api/admin/status", "/crew/api/admin/status")
        assert [httpx2.get(root + path, timeout=DEADLINE).status_code for path in paths] == [401, 401]


def csrf_of(browser: httpx2.Client) -> str:
    """The token that a page has for its forms."""
    page = browser.get("/admin/queues").text
    before, found, rest = page.partition('name="csrf" value="')
    assert found, before[:2_000]
    return rest.partition('"')[0]


def body_of(path: str) -> dict[str, Any]:
    """What a request there has to say to be understood."""
    if not path.startswith("/api"):
        return {}
    if path.endswith("/purge"):
        return {"json": {"state": "ready"}}
    if path.endswith("/pin"):
        return {"json": {"replicas": 1}}
    return {"json": {}}
