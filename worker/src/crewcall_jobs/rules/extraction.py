"""What a rule looks for, out of what was fetched: `finding`, in a process of its own (ADR 59).

The expression is a customer's and the page is anybody's; a pair of them can be made to take any time and all memory.
Then it is that process which ends, by its limits, and not the worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, Final

from crewcall_jobs.errors import JobFailed
from crewcall_jobs.rules import finding
from crewcall_jobs.rules.finding import CPU_TIME, Question
from crewcall_jobs.rules.payload import CssExtract, JsonExtract
from crewcall_worker.queues import Reject

AT_ONCE: Final = 2
"""Pages read at the same time: so much memory (`finding.MEMORY`) may be taken at once."""
PATIENCE: Final = 3 * CPU_TIME
"""Seconds, of the clock: a busy machine gives less than one second's work in one."""

_seats: Final = threading.BoundedSemaphore(AT_ONCE)


class Unreadable(JobFailed):
    """What was fetched is not what the rule takes it for, or it takes too much to find something there."""


def extract(how: CssExtract | JsonExtract, body: bytes, charset: str | None) -> tuple[str, ...]:
    """What is found, in the order of the page. Raises `Unreadable`, and `Reject` for a wrong expression."""
    said = _ask(_question(how, charset), body)
    if "found" in said:
        return tuple(said["found"])
    if "unreadable" in said:
        raise Unreadable(said["unreadable"])
    of = "selector: {}; write a CSS selector" if how.kind == "css" else "JSON path: {}; write it as RFC 9535 has it"
    raise Reject(f"the rule's {of.format(said['wrong'])}")


def _question(how: CssExtract | JsonExtract, charset: str | None) -> Question:
    if isinstance(how, CssExtract):
        return Question("css", how.selector, how.attribute, charset)
    return Question("json", how.path, charset=charset)


def _ask(question: Question, body: bytes) -> dict[str, Any]:
    with _seats:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", finding.__name__],
                input=finding.asked(question, body),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a traceback may tell what the page holds
                timeout=PATIENCE,
                check=True,
                start_new_session=True,  # a signal to the worker's group is the worker's affair
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # and none of our secrets
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            # Not `from error`: it holds the page.
            raise Unreadable(_why(error)) from None
        except OSError as error:
            raise Unreadable(f"there is no process to read the answer in ({error.strerror})") from error
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _why(error: subprocess.TimeoutExpired | subprocess.CalledProcessError) -> str:
    if isinstance(error, subprocess.TimeoutExpired) or error.returncode < 0:
        return f"nothing found within {CPU_TIME} s: write a simpler expression, or one for a smaller page"
    return "the answer cannot be read"
