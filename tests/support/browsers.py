"""The system's Chromium as people use it, for tests of pages: what it was shown, and what it complained of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
WHY_NOT = "no Chromium on the PATH (Debian: apt-get install chromium)"
PATIENCE_MS = 30_000
"""What is waited for at most. It costs nothing where it comes, and a busy machine is slow."""
WIDE, PHONE = (1280, 900), (390, 844)
NARROWEST = (320, 640)
"""In which nobody is to scroll two ways (WCAG 2.2, 1.4.10)."""
AXE = Path(__file__).parents[1] / "browser" / "vendor" / "axe-4.14.1.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
OF_COLOURS = ("color-contrast",)

expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own. It ends with the block: while it is there, this thread counts as running an event loop, and
    nothing else here could run one."""
    with sync_playwright() as playwright:
        # Without its sandbox, which needs rights that root in a container has not; it sees our own pages alone.
        browser = playwright.chromium.launch(executable_path=PROGRAM, chromium_sandbox=False, timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Window:
    """A window with one page, and all that its pages asked for and complained of: errors on the console, those of
    scripts, and what the content security policy refused."""

    context: BrowserContext
    page: Page
    hosts: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, url: str, token: str) -> None:
        """By the login page, as people do."""
        self.page.goto(f"{url}/admin/queues")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    def goes_live(self) -> None:
        """Wait until the stream has told something."""
        expect(self.page.locator("#link-state")).to_have_attribute("data-state", "live")

    def mark(self) -> None:
        """Leave a mark that a reload would take away."""
        self.page.evaluate("window.neverLeft = true")

    def was_reloaded(self) -> bool:
        """Since the mark."""
        return not self.page.evaluate("window.neverLeft === true")

    def look(self, scheme: Any, size: tuple[int, int]) -> None:
        """Have it light or dark, and so large; at once, for colours on their way are none of the page's."""
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def barriers(self, rules: Sequence[str] = RULES) -> list[str]:
        """What axe finds on the page as it is now, by these rules or those tagged so: what is broken, and where."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text())  # past the content security policy, as a tool of the browser is
        found = self.page.evaluate(
            "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", list(rules)
        )
        return [
            f"{it['id']}: {node['html'][:160]} {node['failureSummary']}"
            for it in found["violations"]
            for node in it["nodes"]
        ]


@contextmanager
def window(browser: Browser, size: tuple[int, int] = WIDE, **options: Any) -> Iterator[Window]:
    """A window that knows nothing of others: no cookies, nothing kept."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-GB", **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    opened = Window(context, page)
    page.on("request", lambda it: _note(opened, it.url))
    page.on("console", lambda it: opened.complaints.append(it.text) if it.type in ("error", "warning") else None)
    page.on("pageerror", lambda it: opened.complaints.append(str(it)))
    try:
        yield opened
    finally:
        context.close()


def _note(opened: Window, url: str) -> None:
    parts = urlsplit(url)
    opened.hosts.add(parts.netloc)
    opened.paths.append(parts.path)
