"""`crewcall-worker jobs`: what is in the queues, for people and scripts; pauses, limits, schedules.

The commands. What they do is in `queues`, how it is told in `jobs_words`; both are imported when a command is run. With
--json each prints one JSON value and nothing else.
"""

from __future__ import annotations

import getpass
import os
import socket
import sys

import click

from crewcall_worker.dead_command import dead
from crewcall_worker.jobs_desk import open_desk, tell
from crewcall_worker.jobs_options import filters, json_option, named, paging

STATES = ("ready", "running", "delayed", "completed", "dead")


@click.group()
def jobs() -> None:
    """See what is in the queues; try dead letters anew; pause and resume.

    Which Redis, is told by the same environment as to `run`.
    """


@jobs.command()
@json_option
def queues(as_json: bool) -> None:
    """Every queue, and how many jobs of it are in each state."""
    with open_desk() as desk:
        tell(desk.words.queues([desk.views.counts(queue) for queue in desk.views.queues()], as_json))


@jobs.command("list")
@click.argument("queue", callback=named)
@click.option("--state", type=click.Choice(STATES), default="ready", show_default=True, help="Those in this state.")
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
    with open_desk() as desk:
        desk.look_at(queue)
        tell(desk.page(queue, state, cursor, limit, desk.filter(job, organization, error), as_json))


@jobs.command()
@click.argument("id_", metavar="ID", callback=named)
@json_option
def show(id_: str, as_json: bool) -> None:
    """One typed job by its id, in whatever state it is, with what it carries."""
    with open_desk() as desk:
        found = desk.views.find(id_)
        if found is None:
            raise click.ClickException(f"There is no job {id_}: it was never enqueued, or is kept no longer.")
        tell(desk.words.job(found, as_json))


@jobs.command()
@click.argument("queue", callback=named)
@click.option("--reason", default="", help="Why; others are shown it.")
@click.option("--force", is_flag=True, help="Though nobody has used a queue of that name yet.")
@json_option
def pause(queue: str, reason: str, force: bool, as_json: bool) -> None:
    """Let no worker take jobs from QUEUE. What runs goes on; jobs can be enqueued as ever."""
    with open_desk() as desk:
        if not desk.look_at(queue) and not force:
            raise click.ClickException(f"{queue!r} is not paused. Correct its name, or say --force.")
        tell(desk.words.paused(desk.pauses.pause(queue, by=_who(), reason=reason), as_json))


@jobs.command()
@click.argument("queue", callback=named)
@json_option
def resume(queue: str, as_json: bool) -> None:
    """Let the workers take jobs from QUEUE again."""
    with open_desk() as desk:
        desk.look_at(queue)
        tell(desk.words.resumed(queue, desk.pauses.resume(queue, by=_who()), as_json))


@jobs.command()
@click.argument("queue", callback=named)
@json_option
def limits(queue: str, as_json: bool) -> None:
    """How many jobs of each organisation QUEUE lets be in flight at once.

    "*" is for all that have no limit of their own.
    """
    with open_desk() as desk:
        tell(desk.words.limits(desk.limits.list(queue), as_json))


@jobs.command()
@click.argument("queue", callback=named)
@click.argument("organization", callback=named)
@click.argument("most", type=click.IntRange(min=1), required=False)
@json_option
def limit(queue: str, organization: str, most: int | None, as_json: bool) -> None:
    """Let no more than MOST jobs of ORGANIZATION be in flight at once in QUEUE; without MOST, as many as there are.

    ORGANIZATION "*" is for all that have no limit of their own.
    """
    with open_desk() as desk:
        desk.look_at(queue)
        if most is None:
            desk.limits.lift(queue, organization)
        else:
            desk.limits.set(queue, organization, most)
        tell(desk.words.limits(desk.limits.list(queue), as_json))


@jobs.command()
@json_option
def schedules(as_json: bool) -> None:
    """Every schedule, with its last tick and its next."""
    with open_desk() as desk:
        tell(desk.words.schedules(desk.schedules.all(), as_json))


@jobs.command()
@click.argument("name", callback=named)
@json_option
def unschedule(name: str, as_json: bool) -> None:
    """Remove the schedule NAME, and the job of its next tick. An application that schedules it anew brings it back."""
    with open_desk() as desk:
        was_there = desk.schedules.remove(name)
        tell(desk.words.unscheduled(name, was_there, as_json))
    sys.exit(0 if was_there else 1)


@jobs.command()
@click.argument("name", metavar="ORGANIZATION", callback=named)
@click.option(
    "--days-ago", type=click.IntRange(0, 31), metavar="DAYS", default=0, show_default=True, help="Which day, in UTC."
)
@json_option
def organization(name: str, days_ago: int, as_json: bool) -> None:
    """What an organisation's jobs came to on one day, by queue."""
    with open_desk() as desk:
        tell(desk.words.organization(desk.views.organization(name, days_ago), as_json))


jobs.add_command(dead)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
