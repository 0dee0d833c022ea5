"""A page as a browser shows it. Chromium by Playwright, of the extra `browser`."""

from __future__ import annotations

from crewcall_jobs.settings import WebSettings
from crewcall_jobs.web.client import Answer
from crewcall_worker.queues import Reject


class Chromium:
    """Fetches a page, runs its scripts, and answers with what has become of it."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    def fetch(self, url: str) -> Answer:
        del url
        raise Reject("there is no browser: install crewcall[browser] and Chromium, then retry this job")
