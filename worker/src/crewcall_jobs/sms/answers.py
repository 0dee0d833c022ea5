"""What a provider's answer means: taken, to be tried again, or never. Pure.

The form is Telnyx's: `{"data": {"id": ...}}`, or `{"errors": [{"code": "10015", "title": ..., "detail": ...}]}`, with
the status codes of HTTP (https://developers.telnyx.com/docs/messaging/messages/error-codes,
https://developers.telnyx.com/development/api-fundamentals/api-errors). `detail` may repeat a number: only code and
title are told, without what could be one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from crewcall_jobs.errors import Undelivered
from crewcall_jobs.web.retry_after import seconds_to_wait
from crewcall_worker.queues import Reject, TryAgain

TRANSIENT: Final = frozenset(
    {
        "10007",  # unexpected error
        "10008",  # request timed out
        "10011",  # too many requests
        "40002",  # blocked as spam, for now
        "40006",  # the recipient's carrier is away
        "40011",  # too many requests upstream
        "40014",  # waited too long in the provider's queue
        "40318",  # the provider's queue is full
        "40320",  # the sender cannot be used for now
    }
)
# Ours to mend, in the settings: it is not the message that is wrong. Tried again, so that a key may be changed
# meanwhile.
OURS: Final = frozenset({401, 402, 403})
PASSING: Final = frozenset({408, 409, 425, 429})
NUMBER: Final = re.compile(r"\+?\d[\d ().-]{5,}\d")
MAIL: Final = re.compile(r"\S+@\S+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One of the provider's errors."""

    code: str
    title: str

    def __str__(self) -> str:
        return f"{self.code} {self.title}".strip()


def message_id(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The provider's id of a message that it took. Raises `Reject`, `TryAgain` or `Undelivered` where it did not."""
    said = _parsed(body)
    if 200 <= status < 300:
        data = said.get("data")
        found = data.get("id") if isinstance(data, dict) else None
        if isinstance(found, str) and found and found.isprintable():
            return found
        # It may have been taken: the idempotency key keeps the next try from sending it twice.
        raise Undelivered(f"the SMS provider answered {status} without a message's id")
    problems = _problems(said)
    what = f"the SMS provider answered {status}" + "".join(f", {problem}" for problem in problems[:3])
    if _may_pass(status, problems):
        after = seconds_to_wait(headers.get("retry-after"), now)
        raise Undelivered(what) if after is None else TryAgain(what, after=after)
    raise Reject(what)


def _may_pass(status: int, problems: list[Problem]) -> bool:
    if status >= 500 or status in PASSING or any(problem.code in TRANSIENT for problem in problems):
        return True
    # 403 is also said of a recipient who has sent STOP (40300), which no setting of ours will mend.
    return status in OURS and not any(problem.code.startswith("403") for problem in problems)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _problems(said: Mapping[str, Any]) -> list[Problem]:
    errors = said.get("errors")
    if not isinstance(errors, list):
        return []
    return [Problem(_word(error.get("code")), _word(error.get("title"))) for error in errors if isinstance(error, dict)]


def _word(value: object) -> str:
    return MAIL.sub("…", NUMBER.sub("…", str(value)))[:100] if isinstance(value, str | int) else ""
