"""A page as a real Chromium shows it, and the gate through which it goes."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from tests.support.job_types import LOOPBACK, a_context, clock, settings_for
from tests.support.web_servers import WebServer, reply, reset, web_server

from crewcall_jobs.composition import compose
from crewcall_jobs.errors import Undelivered, Unreachable
from crewcall_jobs.rules.checking import check
from crewcall_jobs.rules.payload import CssExtract, Rule
from crewcall_jobs.settings import WebSettings
from crewcall_jobs.web.browser import Chromium
from crewcall_worker.queues import Reject

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
SETTINGS = WebSettings(allowed=LOOPBACK, browser=PROGRAM, sandbox=False)

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no Chromium on the PATH (Debian: apt-get install chromium)")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def a_page(script: str, head: str = "") -> str:
    return f"<html><head>{head}</head><body><p id=p>before</p><script>{script}</script></body></html>"


def test_answers_with_what_the_pages_scripts_have_made_of_it(server: WebServer) -> None:
    page = a_page("document.getElementById('p').textContent = 'after ' + (40 + 2)")
    server.will(reply(200, page, content_type="text/html"))

    answer = Chromium(SETTINGS).fetch(f"{server.url}/x")

    assert (answer.status, answer.url) == (200, f"{server.url}/x")
    assert b'<p id="p">after 42</p>' in answer.body


def test_a_rule_looks_at_the_page_as_it_is_shown(server: WebServer, tmp_path: Path) -> None:
    services = compose(replace(settings_for(tmp_path), web=SETTINGS), lambda alert: "", clock)
    server.will(reply(200, a_page("p.textContent = 'shown'"), content_type="text/html"))
    rule = Rule(
        organization_id="acme",
        rule_id="r1",
        name="Page",
        url=server.url,
        extract=CssExtract(selector="#p"),
        browser=True,
    )

    check(rule, a_context(), services.checker)

    snapshot = services.snapshots.find("acme", "r1")
    services.database.close()
    assert snapshot is not None
    assert snapshot.found == ("shown",)


def test_a_private_address_is_not_shown(server: WebServer) -> None:
    with pytest.raises(Reject) as caught:
        Chromium(replace(SETTINGS, allowed=())).fetch(f"{server.url}/?token=secret")

    assert (str(caught.value), server.seen) == (f"{server.url}: leads to 127.0.0.1, which is not public", [])


def test_a_redirect_to_a_private_address_is_not_followed(server: WebServer) -> None:
    server.will(reply(302, location=f"http://127.0.0.2:{server.port}/"))

    with pytest.raises(Reject, match=r": leads to 127\.0\.0\.2, which is not public$"):
        Chromium(replace(SETTINGS, allowed=(ip_network("127.0.0.1/32"),))).fetch(server.url)

    assert len(server.seen) == 1


def test_a_page_reaches_no_private_address_by_its_scripts_either(server: WebServer) -> None:
    other = f"127.0.0.2:{server.port}"
    script = f"""
      document.body.append('tried');
      fetch('http://{other}/fetched', {{mode: 'no-cors'}})
        .then(() => p.textContent = 'got through', () => p.textContent = 'refused');
      new WebSocket('ws://{other}/socket'); navigator.sendBeacon('http://{other}/beacon', 'x');
    """
    head = f"<link rel=preconnect href='http://{other}/'><link rel=dns-prefetch href='//x.test/'>"
    server.will(reply(200, a_page(script, head), content_type="text/html"), reply(200))

    answer = Chromium(replace(SETTINGS, allowed=(ip_network("127.0.0.1/32"),))).fetch(server.url)

    assert b'<p id="p">refused</p>' in answer.body
    assert {seen.headers["host"] for seen in server.seen} == {f"127.0.0.1:{server.port}"}


def test_names_are_looked_up_at_the_gate(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    assert Chromium(SETTINGS).fetch(f"http://shop.test:{server.port}/").status == 200
    assert "shop.test" in asked
    with pytest.raises(Reject, match=r"^http://shop\.test:\d+: leads to 127\.0\.0\.1, which is not public$"):
        Chromium(replace(SETTINGS, allowed=())).fetch(f"http://shop.test:{server.port}/")


def test_a_server_that_fails_may_do_better_next_time(server: WebServer) -> None:
    server.will(reset())

    with pytest.raises(Unreachable) as caught:
        Chromium(SETTINGS).fetch(f"{server.url}/?token=secret")

    assert "secret" not in str(caught.value)


def test_a_page_that_weighs_too_much_is_not_taken(server: WebServer) -> None:
    server.will(reply(200, "<p>" + "x" * 5_000, content_type="text/html"))

    with pytest.raises(Reject, match=r"answers with more than 1000 bytes$"):
        Chromium(replace(SETTINGS, most_bytes=1000)).fetch(server.url)


def test_a_page_that_never_ends_is_cut_at_the_gate(server: WebServer) -> None:
    server.will(reply(200, "<p>" + "x" * 500_000, content_type="text/html"))

    with pytest.raises(Reject, match=r"loads more than 20000 bytes$"):
        Chromium(replace(SETTINGS, most_bytes=1000)).fetch(server.url)


def test_a_browser_that_is_not_there_is_told() -> None:
    with pytest.raises(Undelivered, match=r"^the browser does not start: name Chromium's program in CREWCALL_BROWSER;"):
        Chromium(replace(SETTINGS, browser="/bin/false")).fetch("http://127.0.0.1/")
