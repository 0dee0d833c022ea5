"""`python -m crewcall_jobs.alerts.secret ORGANISATION`: the secret by which an organisation checks its webhooks."""

from __future__ import annotations

import os
import sys

import click
from pydantic import TypeAdapter, ValidationError

from crewcall_jobs.alerts.signing import secret_of
from crewcall_jobs.settings import ENV_WEBHOOK_SECRET, from_environment
from crewcall_worker.errors import BadSetting
from crewcall_worker.queues.payload import OrganizationId


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("organization", callback=lambda _context, _parameter, value: _an_organization(value))
def main(organization: str) -> None:
    """Print ORGANIZATION's webhook secret, made from the installation's (CREWCALL_WEBHOOK_SECRET)."""
    try:
        click.echo(secret_of(_master(), organization))
    except BadSetting as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_status)


def _an_organization(name: str) -> str:
    try:
        return TypeAdapter(OrganizationId).validate_python(name)
    except ValidationError:
        raise click.BadParameter(
            f"{name!r} is no organisation's; expected up to 100 letters, digits, '.', '_' and '-'"
        ) from None


def _master() -> str:
    masters = from_environment(os.environ).webhook_secrets
    if masters:
        return masters[0]
    raise BadSetting(ENV_WEBHOOK_SECRET, None, "set it to what the workers have")


if __name__ == "__main__":
    main()
