"""The command line: `crewcall` and what it offers. What a command does is imported only when it is run."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys

import click

from crewcall_operator.api.names import OBJECT_NAME
from crewcall_operator.errors import BadSetting
from crewcall_operator.inspection.command import explain, top
from crewcall_operator.interval import interval_option
from crewcall_operator.local.command import local
from crewcall_operator.settings import OperatorSettings
from crewcall_operator.simulation.command import simulate
from crewcall_operator.simulation.record import record


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CREWCALL"})
@click.version_option(package_name="crewcall", prog_name="crewcall")
def main() -> None:
    """Call Dramatiq workers when there is work, and let them finish before they go home.

    Every option can also be given in the environment, as CREWCALL_<COMMAND>_<OPTION>.

    Tab completion: eval "$(_CREWCALL_COMPLETE=bash_source crewcall)", or zsh_source, fish_source.
    """


@main.command()
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="NAME",
    envvar="CREWCALL_OPERATOR_NAMESPACE",
    help="Serve only this namespace; may be repeated. Default: all namespaces.",
)
@interval_option
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Where /metrics, /healthz and /readyz are served; port 0 picks a free one.",
)
@click.option(
    "-l",
    "--selector",
    default="",
    metavar="LABELS",
    help="Serve only WorkerPools with such labels, as in kubectl: another operator has the others. Default: all.",
)
@click.option(
    "--leader-election/--no-leader-election",
    default=True,
    show_default=True,
    help="Of several operators, have one write and the others stand by. Without it there must be one only.",
)
@click.option(
    "--lease",
    default="",
    metavar="[NAMESPACE/]NAME",
    help="The Lease they agree by. Default: one for the namespaces served, in the pod's or kubeconfig's own.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: an object in each line.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning"]),
    default="info",
    show_default=True,
    help="The least that is worth a line.",
)
def operator(
    namespaces: tuple[str, ...],
    interval: float,
    listen: str,
    leader_election: bool,
    lease: str,
    selector: str,
    log_format: str,
    log_level: str,
) -> None:
    """Watch the WorkerPools of a Kubernetes cluster and scale them.

    The cluster is the one this runs in, or the one that KUBECONFIG names.
    Ctrl-C or SIGTERM stop it; every Deployment then keeps the replicas it has.

    \b
    kubectl apply -f crds/                       once: what a WorkerPool is
    crewcall operator                            then this, and
    kubectl apply -f examples/workerpool.yaml    a pool
    """
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{listen!r} is not HOST:PORT, such as 0.0.0.0:8080", param_hint="--listen")
    for namespace in namespaces:
        _check_name(namespace, "--namespace", namespace)
    for name in lease.split("/", maxsplit=1) if lease else ():
        _check_name(name, "--lease", lease)
    # The imports below take a second, and process 1 of a container ignores a signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        import kubernetes.config

        from crewcall_operator.adapters import log
        from crewcall_operator.main import run
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed. Try: pip install 'crewcall[operator]'") from error

    log.configure(log_format, log_level)
    settings = OperatorSettings(namespaces, interval, host.strip("[]"), int(port), leader_election, lease, selector)
    try:
        asyncio.run(run(settings))
    except kubernetes.config.ConfigException as error:
        raise click.ClickException(f"no cluster to work in: {error}\nSet KUBECONFIG, or run it in a pod.") from error
    except BadSetting as error:
        raise click.UsageError(str(error)) from error
    # All is done; the interpreter's own end would wait for name lookups that hang.
    logging.shutdown()
    os._exit(0)


def _check_name(name: str, option: str, value: str) -> None:
    """Raises `click.BadParameter` where no object is called so."""
    if not re.fullmatch(OBJECT_NAME, name):
        words = "letters a to z, digits, '-' and '.', with a letter or digit at either end"
        raise click.BadParameter(f"{value!r} is no name. Write {words}.", param_hint=option)


main.add_command(explain)
main.add_command(local)
main.add_command(record)
main.add_command(simulate)
main.add_command(top)
