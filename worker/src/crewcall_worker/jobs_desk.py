"""What the commands of `crewcall-worker jobs` work with, and how they tell what came of it.

All that needs Redis or Dramatiq is imported when a desk is opened: help is to be had without.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from crewcall_worker.errors import NotInstalled, WorkerError
from crewcall_worker.plain import plain

if TYPE_CHECKING:
    from crewcall_worker.queues.dead_letters import DeadLetters
    from crewcall_worker.queues.limits import OrganizationLimits
    from crewcall_worker.queues.pauses import Pauses
    from crewcall_worker.queues.schedules import Schedules
    from crewcall_worker.queues.views import Filter, Views


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the commands work with."""

    letters: DeadLetters
    limits: OrganizationLimits
    pauses: Pauses
    views: Views
    schedules: Schedules
    words: Any

    def look_at(self, queue: str) -> bool:
        """Whether anybody has ever used this queue. Say so where nobody has: its name may be mistyped."""
        known = self.views.queues()
        if queue not in known:
            told = f"queues there: {', '.join(known)}" if known else "there is none there"
            click.echo(f"Queue {queue!r} has never been seen in this Redis ({told}).", err=True)
        return queue in known

    @staticmethod
    def filter(job: str | None, organization: str | None, error: str | None) -> Filter:
        from crewcall_worker.queues.views import Filter

        return Filter(job, organization, error)

    def page(self, queue: str, state: str, cursor: str | None, limit: int, like: Filter, as_json: bool) -> str:
        from crewcall_worker.queues.views import JobState

        try:
            found = self.views.page(queue, JobState(state), cursor=cursor, limit=limit, like=like)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--cursor") from None
        return str(self.words.page(found, as_json))


@contextmanager
def open_desk() -> Iterator[Desk]:
    """On the Redis that the environment tells of. What goes wrong there is told, and ends the process."""
    logging.getLogger("crewcall_worker").addHandler(logging.NullHandler())  # what is to be told, the command tells
    try:
        from crewcall_worker import jobs_words
        from crewcall_worker.queues.connection import open_broker
        from crewcall_worker.queues.dead_letters import DeadLetters
        from crewcall_worker.queues.limits import OrganizationLimits
        from crewcall_worker.queues.pauses import Pauses
        from crewcall_worker.queues.schedules import Schedules
        from crewcall_worker.queues.views import Views
    except ModuleNotFoundError as error:
        _fail(NotInstalled((error.name or "").partition(".")[0]))
    try:
        with open_broker(os.environ) as broker:
            client, namespace = broker.client, broker.namespace
            letters, pauses = DeadLetters(broker), Pauses(client, namespace)
            views, schedules = Views(client, namespace), Schedules(client, namespace)
            limits = OrganizationLimits(client, namespace)
            yield Desk(letters, limits, pauses, views, schedules, jobs_words)
    except WorkerError as error:
        _fail(error)


def tell(text: str) -> None:
    """Print what a command has found."""
    # An error's text, or what a plain job carries, may have what no terminal takes.
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(plain(text).encode(encoding, "backslashreplace").decode(encoding))


def _fail(error: WorkerError) -> NoReturn:
    click.echo(plain(f"crewcall-worker: {error}"), err=True)
    sys.exit(error.exit_status)
