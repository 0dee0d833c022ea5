"""The command `crewcall local`: its options, and its errors in words. What it runs is imported only when it is run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from crewcall_operator.interval import interval_option
from crewcall_operator.redis_url import check_redis_url

BAD_INPUT = 2


@click.command(short_help="Run pools on this machine, with processes for pods.")
@click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="FILE",
    envvar="CREWCALL_LOCAL_FILE",
    help="A file of one or several WorkerPools; may be repeated.",
)
@click.option(
    "--redis",
    "redis_url",
    metavar="URL",
    envvar="CREWCALL_LOCAL_REDIS",
    help="The Redis to use. Default: an embedded one that is gone with the command. "
    "The pools' own spec.redis.url names a host of the cluster and is not used.",
)
@interval_option
@click.option(
    "--plain",
    "is_plain",
    is_flag=True,
    envvar="CREWCALL_LOCAL_PLAIN",
    help="Write a line for each change, as when this is no terminal.",
)
@click.option(
    "--board/--no-board",
    "has_board",
    default=True,
    show_default=True,
    envvar="CREWCALL_LOCAL_BOARD",
    help="Serve the board beside the pools, on this machine alone, and tell its address.",
)
@click.option(
    "--board-port",
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    envvar="CREWCALL_LOCAL_BOARD_PORT",
    help="Where the board listens. Default: 8440, or another one where that is taken.",
)
def local(
    files: tuple[Path, ...],
    redis_url: str | None,
    interval: float,
    is_plain: bool,
    has_board: bool,
    board_port: int | None,
) -> None:
    """Run the pools of the FILEs on this machine, with processes for pods.

    The very engine of the operator, for development machines and single hosts: workers come and go with the backlog.
    Ctrl-C or SIGTERM drain them, and leave none behind; a second one kills.
    The exit status is 0 after a drain, and after a kill that of the signal: 130 for Ctrl-C, 143 for SIGTERM.

    \b
    crewcall local -f examples/workerpool.yaml        with a Redis of its own
    crewcall local -f pool.yaml --redis redis://localhost:6379/0
    """
    try:
        from rich.console import Console

        from crewcall_operator.adapters.board_process import PortTaken
        from crewcall_operator.adapters.embedded_redis import EmbeddedRedisFailed
        from crewcall_operator.local.files import BadFiles
        from crewcall_operator.local.run import Options, run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise click.ClickException(f"{missing} is not installed. Try: pip install 'crewcall[local]'") from error
    if redis_url is not None:
        check_redis_url(redis_url)
    try:
        sys.exit(asyncio.run(run(Options(files, redis_url, interval, is_plain, has_board, board_port), Console())))
    except BadFiles as error:
        for line in error.lines:
            click.echo(line, err=True)
        sys.exit(BAD_INPUT)
    except PortTaken as error:
        raise click.BadParameter(f"{error}. Name another, or leave it out.", param_hint="--board-port") from error
    except EmbeddedRedisFailed as error:
        raise click.ClickException(f"{error}\nOr give one with --redis URL.") from error
