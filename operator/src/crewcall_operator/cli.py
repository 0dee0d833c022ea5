"""The command line: `crewcall` and what it offers. Each command's options live beside what it runs."""

from __future__ import annotations

import click

from crewcall_operator.local.command import local
from crewcall_operator.main import operator


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CREWCALL"})
@click.version_option(package_name="crewcall", prog_name="crewcall")
def main() -> None:
    """Call Dramatiq workers when there is work, and let them finish before they go home.

    \b
    crewcall local -f workerpool.yaml    run a pool on this machine, with processes for pods
    crewcall operator                    watch WorkerPools in a Kubernetes cluster and scale them
    """


main.add_command(operator)
main.add_command(local)
