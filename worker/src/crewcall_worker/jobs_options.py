"""Options and arguments that several commands of `crewcall-worker jobs` take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

MOST_ON_A_PAGE = 200  # as in queues.views, which help is not to wait for

Command = Callable[..., Any]
Named = TypeVar("Named", str, str | None, tuple[str, ...])


def named(_context: click.Context, parameter: click.Parameter, value: Named) -> Named:
    """Names, or ids, that something could have: the callback of whatever takes one, or several."""
    for name in value if isinstance(value, tuple) else (value,):
        if name is not None and not _is_name(name):
            raise click.BadParameter(f"{name!r} is no name.", param=parameter)
    return value


def _is_name(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:  # bytes on the command line that are no UTF-8
        return False


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def filters(command: Command) -> Command:
    """The options by which jobs are told from others."""
    for option in (
        click.option("--error", help="Those in whose error or reason this text is."),
        click.option("--organization", callback=named, help="Those of this organisation."),
        click.option("--job", help="Those of this job type."),
    ):
        command = option(command)
    return command


def paging(command: Command) -> Command:
    """The options of a page."""
    size = click.IntRange(1, MOST_ON_A_PAGE)
    command = click.option("--cursor", help="Go on behind an earlier page: what that one has told.")(command)
    return click.option(
        "--limit", type=size, metavar="JOBS", default=50, show_default=True, help="At most so many on a page."
    )(command)
