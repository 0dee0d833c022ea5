"""`crewcall-worker jobs`: what is in the queues, for people and scripts; dead letters tried anew or deleted; pauses.

The commands and their options. What they do is in `queues`, how it is told in `jobs_words`; both are imported when a
command is run. With --json each prints one JSON value and nothing else.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from crewcall_worker.errors import NotInstalled, WorkerError
from crewcall_worker.plain import plain

if TYPE_CHECKING:
    from crewcall_worker.queues.dead_letters import DeadLetters, Done
    from crewcall_worker.queues.limits import OrganizationLimits
    from crewcall_worker.queues.pauses import Pauses
    from crewcall_worker.queues.schedules import Schedules
    from crewcall_worker.queues.views import Filter, Views

STATES = ("ready", "running", "delayed", "completed", "dead")
MOST_ON_A_PAGE = 200

Command = Callable[..., Any]


def named(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A name that something could have: an argument's callback."""
    try:
        if value.encode():
            return value
    except UnicodeEncodeError:  # bytes on the command line that are no UTF-8
        pass
    raise click.BadParameter(f"{value!r} is no name.", param=parameter)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def filters(command: Command) -> Command:
    """The options by which jobs are told from others."""
    for option in (
        click.option("--error", help="Those in whose error or reason this text is."),
        click.option("--organization", help="Those of this organisation."),
        click.option("--job", help="Those of this job type."),
    ):
        command = option(command)
    return command


def paging(command: Command) -> Command:
    """The options of a page."""
    size = click.IntRange(1, MOST_ON_A_PAGE)
    command = click.option("--cursor", help="Go on behind an earlier page: what that one has told.")(command)
    return click.option("--limit", type=size, default=50, show_default=True, help="Jobs on a page.")(command)


@click.group()
def jobs() -> None:
    """See what is in the queues; try dead letters anew; pause and resume.

    Which Redis, is told by the same environment as to `run`.
    """


@jobs.command()
@json_option
def queues(as_json: bool) -> None:
    """Every queue, and how many jobs of it are in each state."""
    with _desk() as desk:
        _print(desk.words.queues([desk.views.counts(queue) for queue in desk.views.queues()], as_json))


@jobs.command("list")
@click.argument("queue", callback=named)
@click.option("--state", type=click.Choice(STATES), default="ready", show_default=True)
@filters
@paging
@json_option
def list_(
    queue: str,
    state: str,
    job: str | None,
    organization: str | None,
    error: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """A page of the jobs of QUEUE that are in one state."""
    with _desk() as desk:
        desk.look_at(queue)
        _print(desk.page(queue, state, cursor, limit, desk.filter(job, organization, error), as_json))


@jobs.command()
@click.argument("id_", metavar="ID")
@json_option
def show(id_: str, as_json: bool) -> None:
    """One typed job by its id, in whatever state it is, with what it carries."""
    with _desk() as desk:
        found = desk.views.find(id_)
        if found is None:
            raise click.ClickException(f"There is no job {id_}: it was never enqueued, or is kept no longer.")
        _print(desk.words.job(found, as_json))


@jobs.command()
@click.argument("queue", callback=named)
@click.option("--reason", default="", help="Why; others are shown it.")
@click.option("--force", is_flag=True, help="Though nobody has used a queue of that name yet.")
@json_option
def pause(queue: str, reason: str, force: bool, as_json: bool) -> None:
    """Let no worker take jobs from QUEUE. What runs goes on; jobs can be enqueued as ever."""
    with _desk() as desk:
        if not desk.look_at(queue) and not force:
            raise click.ClickException(f"{queue!r} is not paused. Correct its name, or say --force.")
        _print(desk.words.paused(desk.pauses.pause(queue, by=_who(), reason=reason), as_json))


@jobs.command()
@click.argument("queue", callback=named)
@json_option
def resume(queue: str, as_json: bool) -> None:
    """Let the workers take jobs from QUEUE again."""
    with _desk() as desk:
        desk.look_at(queue)
        _print(desk.words.resumed(queue, desk.pauses.resume(queue, by=_who()), as_json))


@jobs.command()
@click.argument("queue", callback=named)
@json_option
def limits(queue: str, as_json: bool) -> None:
    """How many jobs of each organisation QUEUE lets be in flight at once.

    "*" is for all that have no limit of their own.
    """
    with _desk() as desk:
        _print(desk.words.limits(desk.limits.list(queue), as_json))


@jobs.command()
@click.argument("queue", callback=named)
@click.argument("organization", callback=named)
@click.argument("most", type=click.IntRange(min=1), required=False)
@json_option
def limit(queue: str, organization: str, most: int | None, as_json: bool) -> None:
    """Let no more than MOST jobs of ORGANIZATION be in flight at once in QUEUE; without MOST, as many as there are.

    ORGANIZATION "*" is for all that have no limit of their own.
    """
    with _desk() as desk:
        desk.look_at(queue)
        if most is None:
            desk.limits.lift(queue, organization)
        else:
            desk.limits.set(queue, organization, most)
        _print(desk.words.limits(desk.limits.list(queue), as_json))


@jobs.command()
@json_option
def schedules(as_json: bool) -> None:
    """Every schedule, with its last tick and its next."""
    with _desk() as desk:
        _print(desk.words.schedules(desk.schedules.all(), as_json))


@jobs.command()
@click.argument("name")
@json_option
def unschedule(name: str, as_json: bool) -> None:
    """Remove the schedule NAME, and the job of its next tick. An application that schedules it anew brings it back."""
    with _desk() as desk:
        _print(desk.words.unscheduled(name, desk.schedules.remove(name), as_json))


@jobs.command()
@click.argument("name", metavar="ORGANIZATION")
@click.option("--days-ago", type=click.IntRange(0, 31), default=0, show_default=True, help="Which day, in UTC.")
@json_option
def organization(name: str, days_ago: int, as_json: bool) -> None:
    """What an organisation's jobs came to on one day, by queue."""
    with _desk() as desk:
        _print(desk.words.organization(desk.views.organization(name, days_ago), as_json))


@jobs.group()
def dead() -> None:
    """Dead letters: jobs that nobody tries again by himself."""


@dead.command("list")
@click.argument("queue", callback=named)
@filters
@paging
@json_option
def dead_list(
    queue: str,
    job: str | None,
    organization: str | None,
    error: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """A page of the dead letters of QUEUE, the last one first."""
    with _desk() as desk:
        desk.look_at(queue)
        _print(desk.page(queue, "dead", cursor, limit, desk.filter(job, organization, error), as_json))


@dead.command("show")
@click.argument("queue", callback=named)
@click.argument("id_", metavar="ID")
@json_option
def dead_show(queue: str, id_: str, as_json: bool) -> None:
    """One dead letter of QUEUE: its reason, its last error, what it carries."""
    with _desk() as desk:
        desk.look_at(queue)
        found = desk.letters.find(queue, id_)
        if found is None:
            raise click.ClickException(f"There is no dead letter {id_} in {queue}.")
        _print(desk.words.job(found, as_json))


@dead.command()
@click.argument("queue", callback=named)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "is_all", is_flag=True, help="All of them.")
@filters
@json_option
def retry(
    queue: str,
    ids: tuple[str, ...],
    is_all: bool,
    job: str | None,
    organization: str | None,
    error: str | None,
    as_json: bool,
) -> None:
    """Try dead letters of QUEUE anew: those with these ids, or all that are like this.

    They keep their ids and have all their tries again.
    """
    is_named = _is_named(ids, is_all, job, organization, error)
    with _desk() as desk:
        desk.look_at(queue)
        like = desk.filter(job, organization, error)
        _finish(
            desk,
            "retried",
            desk.letters.retry(queue, ids) if is_named else desk.letters.retry_all(queue, like),
            as_json,
        )


@dead.command()
@click.argument("queue", callback=named)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "is_all", is_flag=True, help="All of them.")
@filters
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(
    queue: str,
    ids: tuple[str, ...],
    is_all: bool,
    job: str | None,
    organization: str | None,
    error: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete dead letters of QUEUE: those with these ids, or all that are like this."""
    is_named = _is_named(ids, is_all, job, organization, error)
    if not is_named and not yes:
        click.confirm(f"Delete {'all' if is_all else 'these'} dead letters of {queue} for good?", abort=True, err=True)
    with _desk() as desk:
        desk.look_at(queue)
        like = desk.filter(job, organization, error)
        _finish(
            desk,
            "deleted",
            desk.letters.delete(queue, ids) if is_named else desk.letters.delete_all(queue, like),
            as_json,
        )


@dataclass(frozen=True, slots=True)
class _Desk:
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
def _desk() -> Iterator[_Desk]:
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
            yield _Desk(letters, limits, pauses, views, schedules, jobs_words)
    except WorkerError as error:
        _fail(error)


def _is_named(ids: tuple[str, ...], is_all: bool, *like: str | None) -> bool:
    is_filtered = any(value is not None for value in like)
    if ids and (is_all or is_filtered):
        raise click.UsageError("Name jobs by their ids, or all that are like something; not both.")
    if is_all and is_filtered:
        raise click.UsageError("--all is all of them; leave it out, or --job, --organization and --error.")
    if not ids and not is_all and not is_filtered:
        raise click.UsageError("Which ones? Name their ids, or say --job, --organization, --error, or --all.")
    return bool(ids)


def _finish(desk: _Desk, what: str, done: Done, as_json: bool) -> None:
    _print(desk.words.done(what, done, as_json))
    if done.missing or done.unreadable:
        sys.exit(1)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _print(text: str) -> None:
    # An error's text, or what a plain job carries, may have what no terminal takes.
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(plain(text).encode(encoding, "backslashreplace").decode(encoding))


def _fail(error: WorkerError) -> Any:
    click.echo(plain(f"crewcall-worker: {error}"), err=True)
    sys.exit(error.exit_status)
