"""`crewcall-worker jobs dead`: dead letters seen, tried anew, deleted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from crewcall_worker.jobs_desk import Desk, open_desk, tell
from crewcall_worker.jobs_options import filters, json_option, named, paging

if TYPE_CHECKING:
    from crewcall_worker.queues.dead_letters import Done


@click.group()
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
    with open_desk() as desk:
        desk.look_at(queue)
        tell(desk.page(queue, "dead", cursor, limit, desk.filter(job, organization, error), as_json))


@dead.command("show")
@click.argument("queue", callback=named)
@click.argument("id_", metavar="ID", callback=named)
@json_option
def dead_show(queue: str, id_: str, as_json: bool) -> None:
    """One dead letter of QUEUE: its reason, its last error, what it carries."""
    with open_desk() as desk:
        desk.look_at(queue)
        found = desk.letters.find(queue, id_)
        if found is None:
            raise click.ClickException(f"There is no dead letter {id_} in {queue}.")
        tell(desk.words.job(found, as_json))


@dead.command()
@click.argument("queue", callback=named)
@click.argument("ids", nargs=-1, metavar="[ID]...", callback=named)
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
    with open_desk() as desk:
        desk.look_at(queue)
        like = desk.filter(job, organization, error)
        done = desk.letters.retry(queue, ids) if is_named else desk.letters.retry_all(queue, like)
        _finish(desk, "retried", done, as_json)


@dead.command()
@click.argument("queue", callback=named)
@click.argument("ids", nargs=-1, metavar="[ID]...", callback=named)
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
    with open_desk() as desk:
        desk.look_at(queue)
        like = desk.filter(job, organization, error)
        done = desk.letters.delete(queue, ids) if is_named else desk.letters.delete_all(queue, like)
        _finish(desk, "deleted", done, as_json)


def _is_named(ids: tuple[str, ...], is_all: bool, *like: str | None) -> bool:
    is_filtered = any(value is not None for value in like)
    if ids and (is_all or is_filtered):
        raise click.UsageError("Name jobs by their ids, or all that are like something; not both.")
    if is_all and is_filtered:
        raise click.UsageError("--all is all of them; leave it out, or --job, --organization and --error.")
    if not ids and not is_all and not is_filtered:
        raise click.UsageError("Which ones? Name their ids, or say --job, --organization, --error, or --all.")
    return bool(ids)


def _finish(desk: Desk, what: str, done: Done, as_json: bool) -> None:
    tell(desk.words.done(what, done, as_json))
    if done.missing or done.unreadable:
        sys.exit(1)
