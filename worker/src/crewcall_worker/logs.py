"""A worker's log on stderr: text for people, or JSON for machines, where each line says in which job it was written.

The fields of an attempt (job, job_id, queue, attempt, organization, trace_id, span_id) are in all that is logged while
it runs, whoever logs: the job's own modules, libraries, Dramatiq. What there is not, such as the trace of a job without
one, is left out.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import fields
from operator import attrgetter

from crewcall_worker.attempt import CURRENT, Attempt
from crewcall_worker.plain import plain
from crewcall_worker.settings import LogFormat

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_NAMES = tuple(field.name for field in fields(Attempt))
_VALUES = attrgetter(*_NAMES)


def configure(form: LogFormat, *, verbose: bool = False) -> None:
    """Log from now on. `verbose` tells of every message that is fetched and acknowledged as well."""
    handler = logging.StreamHandler(sys.stderr)
    if form is LogFormat.JSON:
        handler.setFormatter(_json())
        handler.addFilter(_add_attempt)
    else:
        handler.setFormatter(_Text(TEXT))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


class _Text(logging.Formatter):
    """For a terminal: jobs bring words of strangers."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


def _json() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )


def _add_attempt(record: logging.LogRecord) -> bool:
    if (attempt := CURRENT.get()) is not None:
        for name, value in zip(_NAMES, _VALUES(attempt), strict=True):
            if value is not None and name not in vars(record):  # whoever logs may know better
                setattr(record, name, value)
    return True
