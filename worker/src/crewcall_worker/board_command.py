"""`crewcall-worker board`: the board in the browser, and tokens for it. What it does is in `board`, imported later."""

from __future__ import annotations

import os
import re
import secrets
import sys
from typing import NoReturn

import click

from crewcall_worker import logs
from crewcall_worker.errors import NotInstalled, WorkerError
from crewcall_worker.settings import log_format

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no time; write such as 30m, 12h or 7d.", ctx, param)
    return int(found[1]) * _UNITS[found[2]]


@click.group(invoke_without_command=True)
@click.pass_context
def board(ctx: click.Context) -> None:
    """See every queue and every scaling decision in the browser, and act on them.

    \b
    Settings, from the environment; which Redis, as `run` is told:
      CREWCALL_BOARD_JWT_SECRET   what tokens are signed with, 32 bytes or more:
                                  see `board secret`.
      CREWCALL_BOARD_JWT_SECRET_FILE
                                  a file with it.
      CREWCALL_BOARD_ISSUER       or instead: the OpenID Connect issuer whose
                                  tokens let in.
      CREWCALL_BOARD_JWKS_URL     where its keys are. [as its discovery tells]
      CREWCALL_BOARD_AUDIENCE     for whom tokens have to be; an issuer's always.
      CREWCALL_BOARD_ROLES_CLAIM  the claim with viewer or operator. [roles]
      CREWCALL_BOARD_HOST, CREWCALL_BOARD_PORT
                                  where to listen. [127.0.0.1, 8440]
      CREWCALL_BOARD_PREFIX       the path before all others, behind a proxy.
                                  [none]
      CREWCALL_BOARD_READ_ONLY    true: nobody may change anything. [false]
      CREWCALL_BOARD_REDACT       payload fields that nobody is to see:
                                  phone,card.number
      CREWCALL_BOARD_SESSION_HOURS
                                  how long a login lasts at most. [8]
      CREWCALL_BOARD_TRUSTED_PROXIES
                                  whose word on where a request comes from
                                  counts: 10.0.0.0/8
      CREWCALL_LOG_FORMAT         text, or json. [text]

    \b
    Exit status: 0 it was told to stop, 2 a setting is wrong.
    """
    if ctx.invoked_subcommand is not None:
        return
    try:
        logs.configure(log_format(os.environ))
    except WorkerError as error:
        _fail(error)
    try:
        from crewcall_worker.board.serving import serve
        from crewcall_worker.board.settings import board_settings
    except ModuleNotFoundError as error:
        _fail(NotInstalled((error.name or "").partition(".")[0], "board"))
    try:
        serve(board_settings(os.environ))
    except WorkerError as error:
        _fail(error)


@board.command()
def secret() -> None:
    """Make a secret for CREWCALL_BOARD_JWT_SECRET."""
    click.echo(secrets.token_urlsafe(48))


@board.command()
@click.option("--subject", required=True, help="Whose token it is: a name, as the audit tells it.")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator"]),
    default="viewer",
    show_default=True,
    help="A viewer may look; an operator may act as well.",
)
@click.option(
    "--for", "seconds", callback=_seconds, metavar="TIME", default="12h", show_default=True, help="How long: 30m, 7d."
)
def token(subject: str, role: str, seconds: int) -> None:
    """Issue a token, signed with CREWCALL_BOARD_JWT_SECRET."""
    try:
        from crewcall_worker.board.people import Role
        from crewcall_worker.board.settings import ENV_AUDIENCE, ENV_ROLES_CLAIM, signing_secret
        from crewcall_worker.board.tokens import issue
    except ModuleNotFoundError as error:
        _fail(NotInstalled((error.name or "").partition(".")[0], "board"))
    try:
        text = issue(
            signing_secret(os.environ),
            subject,
            Role(role),
            seconds,
            roles_claim=os.environ.get(ENV_ROLES_CLAIM) or "roles",
            audience=os.environ.get(ENV_AUDIENCE, ""),
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--subject") from error
    except WorkerError as error:
        _fail(error)
    click.echo(text)


def _fail(error: WorkerError) -> NoReturn:
    click.echo(f"crewcall-worker: {error}", err=True)
    sys.exit(error.exit_status)
