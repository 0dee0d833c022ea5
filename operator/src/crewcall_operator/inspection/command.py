"""The commands `crewcall explain` and `crewcall top`, and the same for kubectl. Imports what runs when it runs.

`kubectl-crewcall` on the PATH is all that kubectl wants of a plugin, and `kubectl_complete-crewcall` for Tab:
https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/ and kubectl's pkg/cmd/plugin/plugin_completion.go.
"""

from __future__ import annotations

import asyncio
import json as json_module
import re
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import ShellComplete

from crewcall_operator.api.names import OBJECT_NAME

if TYPE_CHECKING:
    from crewcall_operator.inspection.cluster import Cluster

Answer = TypeVar("Answer")

#: Seconds that pressing Tab may take.
TAB_PATIENCE = 3.0

#: To kubectl, after the completions: no names of files either (ShellCompDirectiveNoFileComp of spf13/cobra).
NO_FILES = ":4"


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands have in common."""
    for option in (
        click.option("--json", is_flag=True, help="Print JSON, for programs."),
        click.option("--context", metavar="NAME", help="The kubeconfig's context. Default: the current one."),
        click.option(
            "-n", "--namespace", metavar="NAME", help="The namespace. Default: the context's, as for kubectl."
        ),
    ):
        command = option(command)
    return command


def _pool_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """For Tab. A cluster that cannot be asked completes nothing, and says nothing in the middle of a line."""

    async def names(cluster: Cluster) -> list[str]:
        async with asyncio.timeout(TAB_PATIENCE):
            bodies = await cluster.pools(ctx.params.get("namespace") or cluster.namespace)
        return [name for body in bodies if (name := body["metadata"]["name"]).startswith(incomplete)]

    try:
        return _asked(names, ctx.params.get("context"))
    except (click.ClickException, TimeoutError):
        return []


@click.command(short_help="Say why a pool has the replicas it has.")
@click.argument("pool", shell_complete=_pool_names)
@_options
def explain(pool: str, namespace: str | None, context: str | None, json: bool) -> None:
    """Say why POOL has the replicas it has.

    What was seen of its queues, workers and Deployment; each step of the last decision, and the limit that bound;
    conditions and recent Events. All of it is what the operator did and wrote down, at most 10 s ago where it changes.

    \b
    crewcall explain notifications -n shop
    kubectl crewcall explain shop/notifications
    """
    if "/" in pool:
        namespace, _, pool = pool.partition("/")
    if not all(re.fullmatch(OBJECT_NAME, name) for name in (pool, namespace) if name is not None):
        raise click.UsageError("POOL is the name of a WorkerPool, or NAMESPACE/NAME; crewcall top lists them")
    found = _asked(lambda cluster: cluster.explain(pool, namespace or cluster.namespace), context)
    if json:
        click.echo(json_module.dumps(found.as_json(), indent=2))
        return
    from rich.console import Console

    from crewcall_operator.inspection.page import page

    console = Console(highlight=False)
    console.print(page(found, datetime.now(UTC), console.width), soft_wrap=True)


@click.command(short_help="List pools, live.")
@click.option("-A", "--all-namespaces", is_flag=True, help="The pools of all namespaces.")
@click.option("--once", is_flag=True, help="Print the list once, as when this is no terminal.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.5, max=60.0),
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    help="Between two looks.",
)
@_options
def top(
    namespace: str | None, all_namespaces: bool, once: bool, interval: float, context: str | None, json: bool
) -> None:
    """List pools with their replicas, backlog and reason, those in trouble first. Ctrl-C ends it.

    Counts are what the operator wrote down last, at most 10 s ago where they change; live ones are in its metrics.

    \b
    crewcall top -n shop
    kubectl crewcall top -A
    crewcall top -A --json | jq '.[] | select(.healthy == false)'
    """
    try:
        _asked(
            lambda cluster: _listed(
                cluster, None if all_namespaces else namespace or cluster.namespace, interval, json, once
            ),
            context,
        )
    except KeyboardInterrupt:
        sys.exit(0)


async def _listed(cluster: Cluster, namespace: str | None, interval: float, json: bool, once: bool) -> None:
    from crewcall_operator.inspection.listing import rows

    if json:
        found = rows(await cluster.pools(namespace))
        click.echo(json_module.dumps([row.as_json() for row in found], indent=2))
        return
    from rich.console import Console

    from crewcall_operator.inspection.live import print_once, watch

    console = Console(highlight=False)
    if once or not console.is_terminal:
        await print_once(cluster, namespace, console)
    else:
        await watch(cluster, namespace, console, interval)


def _asked(question: Callable[[Cluster], Coroutine[Any, Any, Answer]], context: str | None) -> Answer:
    """The cluster's answer. Raises `ClickException` with what to do where it gives none."""
    try:
        from crewcall_operator.inspection.cluster import CannotLook, connected
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise click.ClickException(f"{missing} is not installed. Try: pip install 'crewcall[client]'") from error

    async def ask() -> Answer:
        async with connected(context) as cluster:
            return await question(cluster)

    try:
        return asyncio.run(ask())
    except CannotLook as error:
        raise click.ClickException(str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crewcall", prog_name="kubectl crewcall")
def plugin() -> None:
    """Look at the WorkerPools of the cluster that kubectl talks to."""


plugin.add_command(explain)
plugin.add_command(top)


def kubectl_plugin() -> None:
    """`kubectl crewcall`."""
    plugin(prog_name="kubectl crewcall", auto_envvar_prefix="CREWCALL")


def kubectl_complete() -> None:
    """What may follow on `kubectl crewcall`: the words so far are the arguments, and the last one is being written."""
    *words, begun = sys.argv[1:] or [""]
    for found in ShellComplete(plugin, {}, "kubectl crewcall", "").get_completions(words, begun):
        click.echo(f"{found.value}\t{found.help}" if found.help else found.value)
    click.echo(NO_FILES)
