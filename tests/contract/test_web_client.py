"""HTTP requests to real servers that fail in every way."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.support.job_types import LOOPBACK
from tests.support.waiting import DEADLINE
from tests.support.web_servers import (
    Act,
    WebServer,
    break_off,
    drip,
    flood,
    hang,
    reply,
    reset,
    talk_nonsense,
    web_server,
)

from crewcall_jobs.errors import Unreachable
from crewcall_jobs.web.client import USER_AGENT, Answer, Request, Web
from crewcall_worker.queues import Reject

#: Seconds for an answer that never comes.
BRIEFLY = 0.5


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def web() -> Web:
    return Web(timeout=DEADLINE, most_bytes=50_000, allowed=LOOPBACK)


@pytest.fixture
def hurried() -> Web:
    return Web(timeout=BRIEFLY, most_bytes=50_000, allowed=LOOPBACK)


def test_answers_with_what_came_back_whatever_its_status(server: WebServer, web: Web) -> None:
    server.will(reply(404, "nobody", content_type="text/plain", eTag='"1"'))

    answer = web.send(Request(f"{server.url}/x?y=1", "POST", {"X-Own": "1"}, b"body"))

    assert answer == Answer(
        404,
        {"content-length": "6", "content-type": "text/plain", "etag": '"1"', "connection": "close"},
        b"nobody",
        f"{server.url}/x?y=1",
    )
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/x?y=1", b"body")
    assert (seen.headers["x-own"], seen.headers["user-agent"]) == ("1", USER_AGENT)


def test_a_name_that_is_looked_up_for_ever_is_waited_for_no_longer(
    hurried: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    asked: list[bool] = []

    def silent(*_: object, **__: object) -> list[object]:
        asked.append(True)
        answered.wait(DEADLINE)
        raise socket.gaierror(-3, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        with pytest.raises(Unreachable, match=f"no whole answer within {BRIEFLY:g} s"):
            hurried.send(Request("http://nobody.test/"))
        assert (asked, answered.is_set()) == ([True], False)
    finally:
        answered.set()


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (reset(), "the connection was closed before the answer"),
        (break_off(), "the answer broke off"),
        (talk_nonsense(), "the answer is not HTTP"),
    ],
    ids=["reset", "break-off", "nonsense"],
)
def test_a_server_that_fails_may_do_better_next_time(server: WebServer, web: Web, act: Act, why: str) -> None:
    server.will(act)

    with pytest.raises(Unreachable) as caught:
        web.send(Request(f"{server.url}/path?token=secret"))

    assert str(caught.value) == f"{server.url}: {why}"


@pytest.mark.parametrize("act", [hang(), drip()], ids=["hang", "drip"])
def test_a_server_that_takes_its_time_is_left_and_may_do_better_next_time(
    server: WebServer, hurried: Web, act: Act
) -> None:
    server.will(act)
    began = time.monotonic()

    with pytest.raises(Unreachable) as caught:
        hurried.send(Request(f"{server.url}/path?token=secret"))

    assert str(caught.value) == f"{server.url}: no whole answer within {BRIEFLY:g} s"
    assert BRIEFLY <= time.monotonic() - began < DEADLINE


def test_reaches_who_shows_a_certificate_that_is_trusted_and_nobody_else(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    with web_server(reply(200, "hello"), tls=context) as server:
        body = Web(DEADLINE, 1000, LOOPBACK, str(tmp_path / "ca.pem")).send(Request(server.url)).body
        with pytest.raises(Unreachable, match=r": its certificate is not trusted, or it does not speak TLS$"):
            Web(DEADLINE, 1000, LOOPBACK).send(Request(server.url))

    assert (body, len(server.seen)) == (b"hello", 1)


def test_nobody_there_is_told(web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(Unreachable, match=rf"^http://127\.0\.0\.1:{port}: no connection \(Connection refused\)$"):
        web.send(Request(f"http://127.0.0.1:{port}/"))


def test_a_name_that_nobody_has_is_told(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)

    with pytest.raises(Unreachable, match=r"^http://nobody\.test: its name cannot be resolved$"):
        web.send(Request("http://nobody.test/"))


def test_more_than_so_much_is_not_read(server: WebServer, web: Web) -> None:
    server.will(flood())

    with pytest.raises(Reject, match=r"answers with more than 50000 bytes$"):
        web.send(Request(server.url))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked(server: WebServer, web: Web, encoding: str) -> None:
    zeros = bytes(100_000_000)
    server.will(
        reply(200, gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros), content_encoding=encoding)
    )
    del zeros

    tracemalloc.start()
    try:
        with pytest.raises((Reject, Unreachable)):
            Web(DEADLINE, 50_000, LOOPBACK).send(Request(server.url))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 60_000_000


def test_reads_what_is_packed(server: WebServer, web: Web) -> None:
    server.will(reply(200, gzip.compress(b"hello"), content_encoding="gzip"))

    assert web.send(Request(server.url)).body == b"hello"


def test_follows_so_many_redirects_and_no_more(server: WebServer, web: Web) -> None:
    server.will(reply(302, location="/a"), reply(301, location="/b"), reply(200, "there"))
    assert web.send(Request(server.url, redirects=2)).url == f"{server.url}/b"

    server.will(reply(302, location="/again"))
    with pytest.raises(Reject, match=r"more than 2 redirects$"):
        web.send(Request(server.url, redirects=2))


def test_answers_with_the_redirect_where_none_is_to_be_followed(server: WebServer, web: Web) -> None:
    server.will(reply(302, location="/a"))

    assert web.send(Request(server.url)).status == 302


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"]
)
def test_this_machine_is_not_reached_however_it_is_written(server: WebServer, host: str) -> None:
    with pytest.raises((Reject, Unreachable)):
        Web(DEADLINE, 1000, ()).send(Request(f"http://{host}:{server.port}/"))

    assert server.seen == []


def test_a_private_address_is_told(server: WebServer) -> None:
    with pytest.raises(Reject) as caught:
        Web(DEADLINE, 1000, ()).send(Request(f"{server.url}/?token=secret"))

    assert str(caught.value) == f"{server.url}: leads to 127.0.0.1, which is not public"


def test_a_redirect_to_a_private_address_is_not_followed(server: WebServer) -> None:
    web = Web(DEADLINE, 1000, (ip_network("127.0.0.1/32"),))
    server.will(reply(302, location=f"http://127.0.0.2:{server.port}/"))

    with pytest.raises(Reject, match=r": leads to 127\.0\.0\.2, which is not public$"):
        web.send(Request(server.url, redirects=5))

    assert len(server.seen) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
def test_a_redirect_to_another_scheme_is_not_followed(server: WebServer, web: Web, target: str) -> None:
    server.will(reply(302, location=target))

    with pytest.raises(Reject, match=r"not an http or https address, or it redirects to one that is none$"):
        web.send(Request(server.url, redirects=5))


def test_a_name_that_means_another_address_a_moment_later_is_judged_by_where_it_leads(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["127.0.0.1", "127.0.0.2"])

    def rebinding(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    web = Web(DEADLINE, 1000, (ip_network("127.0.0.1/32"),))
    request = Request(f"http://rebinding.test:{server.port}/")

    first = web.send(request).status
    with pytest.raises(Reject, match=r": leads to 127\.0\.0\.2, which is not public$"):
        web.send(request)

    assert (first, len(server.seen)) == (200, 1)


def test_of_several_addresses_only_those_that_are_public_are_tried(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)

    web = Web(DEADLINE, 1000, (ip_network("127.0.0.1/32"),))

    assert web.send(Request(f"http://two.test:{server.port}/")).status == 200


def test_a_machine_of_our_own_setting_may_be_anywhere(server: WebServer) -> None:
    assert Web(DEADLINE, 1000, None).send(Request(server.url)).status == 200


@pytest.mark.parametrize("url", ["http://", "http://[::1", "nonsense", "http://a..b/", "http://xn--\u0000/"])
def test_what_is_no_address_is_rejected(web: Web, url: str) -> None:
    with pytest.raises((Reject, Unreachable)):
        web.send(Request(url))
