"""A page as a browser shows it: Chromium by Playwright, of the extra `browser`, one for each fetch.

It goes out through a `Gate`. What it is not to load for us (pictures, films, fonts), it does not; what a page keeps,
ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Final

from crewcall_jobs.errors import Undelivered, Unreachable
from crewcall_jobs.settings import ENV_BROWSER, ENV_BROWSER_SANDBOX, WebSettings
from crewcall_jobs.web.client import Answer, origin
from crewcall_jobs.web.gate import Gate
from crewcall_jobs.web.looping import run
from crewcall_worker.queues import Reject

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright, Response, Route

TIMEOUT: Final = 60.0  # seconds, for all of it
STARTED_WITHIN: Final = 30.0
SETTLED_WITHIN: Final = 5.0
PAGE_WEIGHT: Final = 20
"""A page with all that belongs to it may have so many times the bytes of one answer."""
LEFT_OUT: Final = frozenset({"font", "image", "media"})
CODE: Final = re.compile(r"net::(ERR_[A-Z_]+)")
# All ways past the proxy: names looked up by itself (https://www.chromium.org/developers/design-documents/network-stack/
# socks-proxy/), UDP, and the loopback, for which none is used otherwise.
ARGUMENTS: Final = (
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
)


class Chromium:
    """Fetches a page, runs its scripts, and answers with what has become of it."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    def fetch(self, url: str) -> Answer:
        """Raises `Reject`, `Unreachable`, `Undelivered`."""
        try:
            from playwright.async_api import Error
        except ModuleNotFoundError as error:
            raise Reject("there is no browser: install crewcall[browser] and Chromium, then retry this job") from error
        gate = Gate(self._settings.allowed, self._settings.most_bytes * PAGE_WEIGHT)
        try:
            return run(self._fetch(url, gate))
        except TimeoutError as error:
            raise Unreachable(origin(url), f"no page within {TIMEOUT:g} s") from error
        except Error as error:
            # Not `from error`: its text has the whole address.
            if gate.refused:
                raise Reject(f"{origin(url)}: leads to {gate.refused[0]}, which is not public") from None
            if gate.is_exhausted:
                raise Reject(
                    f"{origin(url)}: loads more than {self._settings.most_bytes * PAGE_WEIGHT} bytes"
                ) from None
            code = CODE.search(error.message)
            raise Unreachable(origin(url), code[1] if code else "the browser could not show it") from None

    async def _fetch(self, url: str, gate: Gate) -> Answer:
        from playwright.async_api import async_playwright

        async with asyncio.timeout(TIMEOUT), gate, async_playwright() as playwright:
            browser = await self._start(playwright, gate)
            try:
                context = await browser.new_context(accept_downloads=False, service_workers="block")
                return await self._show(url, context)
            finally:
                await browser.close()

    async def _start(self, playwright: Playwright, gate: Gate) -> Browser:
        from playwright.async_api import Error

        try:
            return await playwright.chromium.launch(
                executable_path=self._settings.browser or None,
                args=ARGUMENTS,
                chromium_sandbox=self._settings.sandbox,
                proxy={"server": f"socks5://127.0.0.1:{gate.port}", "bypass": "<-loopback>"},
                timeout=STARTED_WITHIN * 1000,
            )
        except Error as error:
            raise Undelivered(
                f"the browser does not start: name Chromium's program in {ENV_BROWSER}; where it may lock up no "
                f"pages, as in most containers and as root, set {ENV_BROWSER_SANDBOX}=off"
            ) from error

    async def _show(self, url: str, context: BrowserContext) -> Answer:
        from playwright.async_api import Error

        page = await context.new_page()
        await page.route("**/*", _pass)
        response = await page.goto(url, wait_until="load", timeout=TIMEOUT * 1000)
        if response is None:
            raise Unreachable(origin(url), "the browser was given no answer")
        with contextlib.suppress(Error):  # a page that never comes to rest is taken as it is
            await page.wait_for_load_state("networkidle", timeout=SETTLED_WITHIN * 1000)
        body = (await page.content()).encode() if _is_page(response) else await response.body()
        if len(body) > self._settings.most_bytes:
            raise Reject(f"{origin(url)}: answers with more than {self._settings.most_bytes} bytes")
        kept = {"content-type": "text/html; charset=utf-8"} if _is_page(response) else {}
        waits = {name: value for name, value in response.headers.items() if name == "retry-after"}
        return Answer(response.status, {**kept, **waits}, body, page.url)


def _is_page(response: Response) -> bool:
    return "html" in response.headers.get("content-type", "text/html")


async def _pass(route: Route) -> None:
    if route.request.resource_type in LEFT_OUT:
        await route.abort()
    else:
        await route.continue_()
