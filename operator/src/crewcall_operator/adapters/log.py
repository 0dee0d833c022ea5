"""The operator's log: one line for each change, and one where pools go blind or cannot be scaled, and back.

Text for people or JSON for machines, on stderr. A pool that goes on as before says nothing.
"""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import dataclass, field
from traceback import walk_tb

from pythonjsonlogger.json import JsonFormatter

from crewcall_operator.api.happenings import happenings
from crewcall_operator.api.pool import PoolKey
from crewcall_operator.ports import Report

log = logging.getLogger("crewcall")

A_MINUTE = 60.0


def configure(form: str, level: str) -> None:
    """Send all logs to stderr as `text` or `json`; kopf's and aiohttp's only from WARNING on."""
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    json = JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json if form == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(level.upper())
    logging.getLogger("kopf._cogs.clients.watching").addFilter(Retries())
    logging.getLogger("asyncio").addFilter(is_no_leftover)
    for name in ("orchestration", "running"):  # with a traceback; what ends a watch comes to us, and is told by us
        logging.getLogger(f"kopf._core.reactor.{name}").setLevel(logging.CRITICAL)


class Retries(logging.Filter):
    """Leaves out what kopf says of each try to watch anew, every other second for each kind, but for one a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = -A_MINUTE

    def filter(self, record: logging.LogRecord) -> bool:
        if not re.match(r"Request attempt #.* will (retry|re-authenticate)", record.getMessage()):
            return True
        if record.created - self._told_at < A_MINUTE:
            return False
        self._told_at = record.created
        return True


def is_no_leftover(record: logging.LogRecord) -> bool:
    """False for what kopf's watches leave behind where they end: failures beside the one that is told of, callbacks of
    a request that had no answer yet, and generators that it does not close."""
    traceback = record.exc_info[2] if record.exc_info else None
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(traceback))
    return not any(module.startswith("kopf._cogs.clients.") for module in modules)


@dataclass(slots=True)
class _Trouble:
    """What `pools` have in common for now; those that are `back` to normal had it, too."""

    pools: set[PoolKey] = field(default_factory=set)
    back: set[PoolKey] = field(default_factory=set)


class LogReporter:
    """A Reporter that logs changes. What keeps several pools from their work, as their Redis, is told of once for all:
    when the first has it, and when the last is rid of it."""

    def __init__(self) -> None:
        self._words: dict[PoolKey, str] = {}
        self._troubles: dict[str, _Trouble] = {}

    def report(self, report: Report) -> None:
        if report.applied and report.fleet and report.decision:
            change = f"{report.fleet.current} -> {report.replicas}"
            log.info("%s: %s %s: %s", report.pool.key, change, report.decision.reason, report.decision.message)
        for told in happenings(report):
            level = logging.WARNING if told.type == "Warning" else logging.INFO
            log.log(level, "%s: %s", report.pool.key, told.message)
        self._tell_trouble(report)

    def forget(self, key: PoolKey) -> None:
        self._end(key, is_back=False)

    def _tell_trouble(self, report: Report) -> None:
        key = report.pool.key
        words = str(report.failure or report.unavailable or "; ".join(report.hindered))
        if words == self._words.get(key, ""):
            return
        self._end(key, is_back=not words)
        if words:
            self._words[key] = words
            if words not in self._troubles:
                log.warning("%s: %s", key, words)
                self._troubles[words] = _Trouble()
            self._troubles[words].pools.add(key)
            self._troubles[words].back.discard(key)

    def _end(self, key: PoolKey, *, is_back: bool) -> None:
        words = self._words.pop(key, "")
        trouble = self._troubles.get(words)
        if trouble is None:
            return
        trouble.pools.discard(key)
        if is_back:
            trouble.back.add(key)
        if trouble.pools:
            return
        del self._troubles[words]
        if trouble.back:
            first, *others = sorted(trouble.back)
            more = f", and {len(others)} more that had the same" if others else ""
            log.info("%s: back to normal%s", first, more)
